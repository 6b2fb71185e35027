// One service while hanatd runs: its configuration, what is known of its servers, what the kernel holds for it, and the flows that are on
// their way out. Data, with the few questions that can be answered from it alone.
// Not here: deciding (decision), what the kernel should hold (wanted), acting (gateway).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/config.hpp"
#include "daemon/decision.hpp"
#include "daemon/group.hpp"
#include "daemon/health.hpp"
#include "daemon/walltime.hpp"
#include "nat/cut.hpp"
#include "nat/rules.hpp"
#include "probes/engine.hpp"

namespace hanat {

/// One question that is asked of a server, and what was answered.
struct RunningQuestion {
  const probes::Question* question = nullptr; // the engine's, as long as it is asked
  probes::QuestionId id{};
  Window window;
  probes::Pace pace;
  std::optional<probes::Answer> last;
  Time last_at{};
  std::optional<probes::Reason> last_abnormal = {}; // of the answers; while it is down: why
};

struct RunningServer {
  std::string role;
  std::vector<Endpoint> addresses; // as configured
  std::vector<RunningQuestion> questions;
  Health health = Health::unknown;
  Health told = Health::unknown; // the last one that was written to the journal
  Time up_since{};
  Candidate elsewhere = nobody_else; // what the other services of the group know of it
};

/// An operator's override, as long as it lasts.
struct Force {
  std::size_t server = 0;
  std::optional<Time> until;          // rules while hanatd runs
  std::optional<WallTime> until_wall; // shown, and kept over a restart
  WallTime since{};
  std::string reason, by;
};

/// Flows that are to go, and how far that has come: DESIGN's order is datagrams at once, then TCP clients are told, TCP after they had time
/// to be reset, then sweeps until one finds nothing.
enum class CutStage : std::uint8_t { datagrams, clients, streams, sweep };
/// Flows that may stay a while where they are (policy "drain", or "keep"): no stale keys, no cut. At its end they become a departure of the
/// usual kind.
struct Drain {
  std::optional<Time> until = {};          // rules while hanatd runs; nullopt: kept
  std::optional<WallTime> until_wall = {}; // the same over a restart
  Time since{};
  bool told = false;                      // clients that never got a connection know of the new target
  std::optional<std::uint64_t> left = {}; // flows, when they were counted last
  std::uint64_t most = 0;                 // flows that were ever counted
  std::uint64_t drained() const { return most - left.value_or(most); }
};
/// Why a drain ended while there were flows left, or may have been.
enum class DrainEnd : std::uint8_t {
  time,
  silent,    // their server answers nothing
  dead,      // datagrams of a server that is down
  no_target, // nobody is to be served
  given_up,  // the endpoint is no longer the service's
};
struct Departure {
  std::uint64_t id = 0; // for the job that cuts it
  std::vector<Mapping> mappings;
  std::string comment;                    // of its stale keys: service and server
  std::optional<Drain> drain = {};        // as long as the flows stay
  std::optional<DrainEnd> drain_end = {}; // of the flows that were draining before
  bool untranslated = false;              // entries that came before the rules; they are nobody's flows, and not counted
  CutStage stage = CutStage::datagrams;
  Time due{};
  Clock::duration tell_after{}; // from the datagrams' end; where the old server lives, a move that is taken back at once waits for nobody
  bool in_job = false;          // a cut is under way right now
  unsigned sweeps = 0;
  std::uint64_t flip = 0; // the flip that caused it: last_flip.number
  nat::CutCount cut = {};
};

struct Flip {
  std::uint64_t number = 0;
  WallTime at{};
  std::string from, to;
  Why why = Why::starting;
  std::chrono::microseconds commit{};
  nat::CutCount cut;
  std::uint64_t nudged = 0;  // clients
  std::uint64_t drained = 0; // flows that ended by themselves in drains that are over
  std::chrono::microseconds cut_time{};
  bool cutting = false;
};

/// In mode observe: where the traffic would be by hanat's decisions, while the kernel's part stays what it is.
struct Imagined {
  Standing standing;
  Why why = Why::starting;
  bool begun = false; // something was decided; before, it is what was found in the kernel
};

/// Of a service since hanatd started, whatever flip caused it.
struct Totals {
  std::map<Why, std::uint64_t> flips;
  nat::CutCount cut;
  std::uint64_t nudged = 0;
  std::uint64_t drained = 0; // what drains now is counted when it is over
};

struct RunningService {
  Service config; // of a removed service: without listeners and servers
  bool removed = false;
  std::vector<RunningServer> servers;

  // what is so
  std::optional<std::size_t> current;
  bool refused = false;
  Why why = Why::starting;
  WallTime since{};
  std::optional<Time> failback_at;
  std::optional<Force> force;
  bool override_ended = false;
  std::optional<Imagined> would; // exactly in mode observe
  std::uint64_t flips = 0;
  std::optional<Flip> last_flip;
  Totals totals;

  // what the kernel holds for it, as of the last answer
  nat::Rules loaded;
  std::map<Vip, Time> moved_until;
  std::vector<Vip> taken; // of what is loaded: ports that another service has now, as parts of ranges with other borders
  std::vector<Departure> departures;

  // settle()'s own notes
  bool dirty = false;
  bool flip_has_a_rest = false; // `moved` and `hold` are still to be loaded
  std::optional<Time> alarm;
};

/// "primary", "backup", ..., or "none".
std::string target_name(const RunningService& service);
/// Where the traffic is by hanat's decisions: in mode observe it would be there.
Standing standing(const RunningService& service);
/// A server as the whole group sees it.
Candidate candidate(const RunningServer& server);
/// What choose() needs to know.
std::vector<Candidate> candidates(const RunningService& service);
/// Tells every service of a group what the others know.
void share(std::span<RunningService* const> group);
/// Combines the windows of all servers, in the situation of the service.
void assess(RunningService& service, Time now);
/// How fast a question is to be asked now.
probes::Pace pace_of(const Service& service, const RunningQuestion& question);
/// Does the server answer nothing at all? Whoever waits for it waits for ever.
bool is_silent(const RunningServer& server);
/// The first moment after `now` at which something of the service changes by time alone.
std::optional<Time> next_alarm(const RunningService& service, Time now);

} // namespace hanat
