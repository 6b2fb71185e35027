// Where should a service's new flows go, and why? One pure function of what is known; `now` is an argument.
// Not here: how it is known (failure_window), carrying it out (failover).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "daemon/config/config.hpp"
#include "daemon/decision/failure_window.hpp"

namespace hanat {

/// The words of status and journal; the man page explains each.
enum class Reason : std::uint8_t {
  starting,          // nothing is decided yet: new flows are dropped until the first server in order is
  adopted,           // what was loaded stays while its server is still unknown
  primary_up,        // the primary has the traffic
  failover,          // a server before this one is down, or was when this one took over
  full,              // a server before this one is full and takes no new flows; (a flip's) the old target is
  full_kept,         // the target is full, and no other server may take over
  outage_doubted,    // no server answers, and that may be this machine's own failure: the target stays for none_after
  recovered,         // (a flip's reason) no server was up, and the first one is again
  failback,          // (a flip's reason) a preferred server is up again
  forced,            // an operator pinned it
  drill,             // an operator rehearses a failover: a backup has the traffic for a while
  disabled,          // all servers before this one are disabled; (a flip's) the old target was
  configuration,     // the target is no server of the configuration any more, and serves until one is up; (a flip's) one is up now, or a
                     // reload gave the services another first server, or made them a group
  followed,          // this gateway is the standby of a pair, and the active one has the traffic there
  observe,           // (a status's reason) mode observe: what the kernel holds stays as it is
  no_server_up,      // clients are refused (on_none)
  no_server_up_kept, // the last target keeps the traffic (on_none = "keep")
};
std::string_view to_text(Reason reason);

struct Candidate {
  Health health = Health::unknown;
  Time up_since{};                // meaningful while up: failback.after counts from here
  std::optional<Time> up_at = {}; // when it will be up again if all goes well; nullopt: it is up, or nobody knows
  bool disabled = false;          // an operator took it out of service: it is never chosen
  bool planned = false;           // an operator or a reload let it have the traffic: a move to it is planned work
  bool placed = false;            // a reload gave it this place among the servers: a move to it is the reload's
  Clock::duration penalty = {};   // of one that kept losing the traffic: so long it must have been up, where another server may do
  bool unconfirmed = false;       // it was up before hanatd restarted, and has not passed a probe since
  bool former = false;            // no server of the configuration any more, but its target of before; the last of the servers
  bool operator==(const Candidate&) const = default;
};

/// Everything that the decision depends on.
struct DecisionInput {
  std::span<const Candidate> servers; // the primary first
  std::optional<std::size_t> current; // who has the traffic now
  bool refused = false;               // nobody has it, and that was decided (not merely: nothing decided yet)
  std::optional<std::size_t> forced;
  std::optional<std::size_t> followed = {}; // the active gateway's target, on its standby: whatever is known here
  bool drill = false;                       // `forced` is a drill
  bool forced_waits = false;                // the override is older than the reload: a former target serves until its server is up
  bool override_ended = false;              // an override just ended: go to the best server, whatever failback says
  Failback failback;
  OnNone on_none = OnNone::refuse;
  std::chrono::seconds day_time{}; // local time of day, for failback.window
  bool keep_target = false;        // the current server is down, and whether it is its own fault is in doubt (outage_doubt)
  bool wait_for_first = false;     // after such an outage: the first server may be up in a moment
};

enum class TargetKind : std::uint8_t {
  server,   // `server` says which
  none,     // clients are refused or dropped, by on_none
  undecided // nothing yet: known VIPs drop, what is loaded stays
};

struct Decision {
  TargetKind kind = TargetKind::undecided;
  std::size_t server = 0;                // of TargetKind::server only
  Reason reason = Reason::starting;      // why it is so (status)
  Reason flip_reason = Reason::starting; // why it would be moved there (journal, last_flip)
  std::optional<Time> failback_at;       // a failback waits for this moment (stable_for, after, penalty, window)
  bool planned = false;                  // the move is an operator's: flows of the old target go by on_forced
  bool refuse_new = false;               // new flows are refused although a server has the traffic
  bool operator==(const Decision&) const = default;
};

/// What a decision makes of a server: a disabled one is as good as down.
inline Health usable(const Candidate& server) { return server.disabled ? Health::down : server.health; }
/// The same where the traffic would move to it because it is up: that has to be known for certain.
inline Health certain(const Candidate& server) {
  const Health health = usable(server);
  return health == Health::up && server.unconfirmed ? Health::unknown : health;
}

/// `input.forced` is never a disabled server.
Decision decide(const DecisionInput& input, Time now);

} // namespace hanat
