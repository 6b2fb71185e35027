// Is it the servers that are all down, or this machine's own way to them? Servers that fall silent at one moment may all be well behind a
// path that is lost for a second: then nothing moves for `none_after`, and when they answer again the traffic goes to the server that
// should have it, at once.
// Pure: `now` is an argument. Not here: where the traffic goes (decision), what the table holds meanwhile (desired_state), the events and
// the rate of the probes (failover).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "daemon/decision/failure_window.hpp"
#include "probes/result.hpp"

namespace hanat {

/// What the results of one probe, or of all probes of one server, say of the way to it.
struct WayToServer {
  std::optional<Time> silent_since; // nullopt: its last word was an answer, or it was never probed
  std::optional<Time> heard_at;     // the last answer, of whatever kind
  std::optional<Time> fell_silent;  // when the last silence began, also of one that is over
  std::optional<Time> last_silence; // when an answer was missed last; results come late, behind those of probes that were sent later
  bool no_path = false;             // of a silent one: this machine itself has no path to it
  bool answers_badly = false;       // of one that is not silent: some probe of it got an answer that is a fail
  bool operator==(const WayToServer&) const = default;

  void record(const probes::ProbeResult& result, Time now);
  bool is_silent() const { return silent_since.has_value(); }
};
/// Two probes of one server: it is silent when no probe of it has been answered since the first of them fell silent.
WayToServer merge_ways(const WayToServer& one, const WayToServer& other);

/// Is the silence of one server its own, or that of the way to all of them? It is its own once another server, or the witness, has answered
/// and this one has missed an answer since; or when it has lasted for none_after.
struct SilenceCheck {
  std::optional<Time> silence = {};          // its beginning; nullopt: the server is not silent
  std::optional<Time> another_answered = {}; // first, since then
  bool is_its_own = false;

  /// `others`: the ways to the other servers and to the witness.
  void update(const WayToServer& way, std::span<const WayToServer> others, Clock::duration none_after, Time now);
  bool operator==(const SilenceCheck&) const = default;
};

struct ServerInOutage {
  Health health = Health::unknown;
  WayToServer way;
};

/// What the doubt depends on.
struct OutageInput {
  std::span<const ServerInOutage> servers;
  std::optional<std::size_t> current; // who has the traffic
  bool refused = false;               // nobody has it, and clients are refused
  bool pinned = false;                // by an operator: nothing is decided
  std::optional<WayToServer> witness; // nullopt: none is configured
  Clock::duration none_after{};       // zero: no doubt
  Clock::duration settle_time{};      // so long after the first answer the other servers must have answered, too
  Clock::duration window{};           // what is further apart is no common cause
};

enum class OutagePhase : std::uint8_t {
  none,
  doubted,   // the target and all others are silent: nothing moves yet
  settling,  // somebody answers again: the target, down as it still is, gets a moment to do so, too
  confirmed, // none_after is over: what the decision says; but the next answers will be waited for
  returning, // no server has the traffic, and one answers again: better ones get a moment to do so, too
};

struct OutageDoubt {
  OutagePhase phase = OutagePhase::none;
  Time since{};                     // of the phase
  Time began{};                     // the target's silence was first noted
  std::optional<Time> until = {};   // when the phase ends, or refuses new flows, by time alone; nullopt: not so
  bool common = false;              // others fell silent with the target, or the witness did
  bool refuses_new = false;         // new flows are better refused than left waiting: this machine knows that it has no path, or none_after
                                    // is over and only the silence of the witness prolongs the doubt
  bool witness_silent = false;      // so is the witness, which answered before: the outage is ours
  bool witness_back = false;        // it was, and answers again: the servers get none_after from then on
  std::optional<Time> settled = {}; // the silence of the target for which it was given its moment: it gets no other
  bool operator==(const OutageDoubt&) const = default;

  /// The target keeps its place although it is down.
  bool keeps_target() const { return phase == OutagePhase::doubted || phase == OutagePhase::settling; }
  /// The probes of all servers are sent as fast as they may.
  bool is_urgent() const {
    const bool waits_for_witness = phase == OutagePhase::doubted && witness_silent && !until; // that may last
    return phase != OutagePhase::none && phase != OutagePhase::confirmed && !waits_for_witness;
  }
};

OutageDoubt assess_outage(const OutageDoubt& before, const OutageInput& input, Time now);

/// Has it answered, in whatever way, later than that?
bool has_answered_since(const WayToServer& way, Time moment);

} // namespace hanat
