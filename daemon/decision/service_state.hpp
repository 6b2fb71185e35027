// One service while hanatd runs: its configuration, what is known of its servers, what the kernel holds for it, and the flows that are on
// their way out. Data, with what can be told from it alone.
// Not here: deciding (decision), what the kernel should hold (desired_state), acting (failover).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/decision/client_waits.hpp"
#include "daemon/decision/decision.hpp"
#include "daemon/decision/eviction.hpp"
#include "daemon/decision/failure_window.hpp"
#include "daemon/decision/flap_damping.hpp"
#include "daemon/decision/group.hpp"
#include "daemon/decision/observations.hpp"
#include "daemon/decision/outage_doubt.hpp"
#include "daemon/decision/probe_totals.hpp"
#include "daemon/util/rare.hpp"
#include "daemon/util/wall_time.hpp"
#include "nat/conntrack/cut.hpp"
#include "nat/nftables/table_state.hpp"
#include "nat/rare_map.hpp"
#include "probes/scheduling/scheduler.hpp"

namespace hanat {

/// One probe of a server, and its results.
struct ProbeState {
  const probes::Probe* probe = nullptr; // the scheduler's, as long as it is sent
  probes::ProbeId id{};
  FailureWindow window;
  probes::Rate rate;
  std::optional<probes::ProbeResult> last;
  Time last_at{};
  std::optional<probes::Reason> last_failure = {}; // of the failed results the last: why the server is down
  WayToServer way = {};                            // what the results say of it
  std::optional<Time> warned_at = {};              // a warning was logged
};

/// Probes of a new configuration, of a server that works by those of before: they decide nothing until each has passed.
struct NewProbes {
  std::vector<ProbeState> probes;
  WallTime since{};      // of the reload
  bool reported = false; // that they do not pass
};

/// The target is no server of the configuration any more: it serves until one of the configuration is up.
struct FormerTarget {
  WallTime since{};      // of the reload
  bool reported = false; // that none is up
  std::string host{};    // the name that it had its address from; empty: none
};

/// An operator took a server out of service, as long as that lasts.
struct Maintenance {
  std::optional<Time> until = {};          // rules while hanatd runs
  std::optional<WallTime> until_wall = {}; // shown, and kept over a restart
  WallTime since{};
  std::string reason, by;
  bool copied = false; // of the active gateway of a pair: it ends when it ends there
};

/// A program that knows better than probes says how a server is: that counts, until its time is over.
struct HealthReport {
  Health health = Health::unknown;
  Time until{};             // rules
  WallTime until_wall = {}; // shown
  WallTime since{};
  std::string reason, by;
};

struct ServerState {
  std::string role;
  std::vector<Endpoint> addresses; // as configured, or those of its name; none: its name has none
  std::vector<ProbeState> probes;  // none where it has no address
  std::string host = {};           // its name, "db1.lan:5432"; empty: its addresses are configured
  bool unresolved = false;         // its name has no address, and was asked for
  Rare<NewProbes> new_probes = {};
  Rare<FormerTarget> former = {}; // the last of the servers may be one
  Rare<HealthReport> report = {};
  Health health = Health::unknown;      // by the report, or by the probes
  Health last_logged = Health::unknown; // the last one that was written to the journal
  Time up_since{};
  Rare<Candidate> group_view = {};    // what the other services of the group know of it; empty: nothing, or it is in none
  Observations observations = {};     // since its health changed last
  Rare<Maintenance> maintenance = {}; // it is disabled: never chosen
  bool planned =
      false; // an operator enabled it or ended its drain, or a reload moved or added it, and it has not been the target or gone down since
  bool placed = false;                 // of these: the last reload gave it this place among the servers
  Rare<FlowPolicy> planned_flows = {}; // what the operator wants for the flows of the old target of that move
  FlapDamping damping = {};
  ProbeTotals totals = {};
  Rare<SilenceCheck> silence_check = {}; // while flows drain
  ClientWaits client_waits = {};         // while it is the target
  bool flapping_logged = false;
  bool followed = false; // on the standby of a pair: the active gateway has the traffic there
};

/// An operator's override, as long as it lasts.
struct Override {
  std::size_t server = 0;
  std::optional<Time> until;          // rules while hanatd runs
  std::optional<WallTime> until_wall; // shown, and kept over a restart
  WallTime since{};
  std::string reason, by;
  bool until_down = false; // it ends, too, when the server goes down
  bool drill = false;      // a rehearsal, which began at the primary and has an end
  bool copied = false;     // of the active gateway of a pair: it ends when it ends there
};

/// Mode observe: where hanat's decisions would have the traffic, while the kernel keeps what it has.
struct ShadowState {
  Placement placement;
  Reason reason = Reason::starting;
  bool begun = false; // something was decided; before, it is what was found in the kernel
};

/// Of a service since hanatd started, whatever flip caused it.
struct Totals {
  RareMap<Reason, std::uint64_t> flips;
  nat::CutCount cut;
  std::uint64_t nudged = 0;  // clients that nudges were sent to
  std::uint64_t drained = 0; // of drains that are over
  PassTimes passes;          // of all its servers, also of those that a reload took away
};

/// Flows at a server that is no target: an audit of conntrack found them, or they came back during a cut.
struct UnexpectedFlow {
  std::uint64_t flows = 0; // in the last audit, without those that the server opened
  bool was_cut = false;
  bool left_alone = false;   // they came back: not by this table
  bool server_opens = false; // it opened such flows itself: they are cut each time, and this was reported
  bool was_target = false;   // the server was the target meanwhile, and no audit has looked since
};

/// Whether hanat's flowtable forwards the established flows of a service.
enum class Offloading : std::uint8_t {
  off,
  on,
  unknown_to_kernel, // offload = true, but the kernel has no flowtables
  refused,           // the kernel did not make hanat's
};

struct ServiceState {
  Shared<ServiceConfig> config; // of a removed service: without listeners and servers
  std::vector<ServerState> servers;

  // where its traffic is, and why
  std::optional<std::size_t> current;
  bool refused = false;
  bool removed = false;
  bool override_ended = false;
  bool outage_logged = false;
  Reason reason = Reason::starting;
  WallTime since{};
  Time target_loaded_at{}; // when the kernel last got other servers for its new flows
  std::optional<Time> failback_at;
  Rare<Override> force;
  Rare<FlowPolicy> asked_flows; // what an operator wants for the flows of the old target of the next planned move
  Rare<ShadowState> shadow;     // exactly in mode observe
  std::uint64_t flips = 0;
  Rare<Flip> last_flip;
  OutageDoubt outage;                         // the same for all services of a group
  Rare<ProbeState> witness;                   // its probe counts for no server
  RareMap<std::uint64_t, Flip> earlier_flips; // those whose flows are still on their way out, by number
  Totals totals;

  // what the kernel holds for it, as of the last answer
  nat::TableState loaded;
  RareMap<Vip, Time> recent_until;
  std::map<Mapping, Time> displaced_until; // flows that were cut: until then their server opens no new ones
  std::vector<Vip> ports_taken_over;       // of what is loaded: ports that another service has now, as parts of ranges with other borders
  std::vector<Eviction> evictions;
  RareMap<Mapping, UnexpectedFlow> unexpected; // until an audit finds none behind a time as the target

  Offloading offloading = Offloading::off;

  // notes of ServiceRegistry and Controller
  bool dirty = false;
  struct Due {
    bool answer = false;   // of the kernel, which TableSync has given a change of it
    bool followup = false; // `recent` and `hold` are still to be loaded
    std::optional<Time> timer;
  } due;
};

/// Every service, removed ones included until nothing of them is left in the kernel.
using Services = std::vector<std::unique_ptr<ServiceState>>;

/// Of its addresses the first; its name where that has none.
std::string address_text(const ServerState& server);
/// "primary", "backup", ..., or "none".
std::string target_name(const ServiceState& service);
/// The server that the active gateway of a pair has the traffic at; nullopt: none that is known, or this gateway is no standby.
std::optional<std::size_t> followed_server(const ServiceState& service);
/// Where hanat's decisions have the traffic; in mode observe: would have it.
Placement placement(const ServiceState& service);
/// The flip of that number, if it is the last one or its flows are still on their way out; nullptr: neither.
const Flip* find_flip(const ServiceState& service, std::uint64_t number);
Flip* find_flip(ServiceState& service, std::uint64_t number);
/// Whether flows of that flip are still on their way out, or drain.
bool has_evictions_of(const ServiceState& service, std::uint64_t flip);
/// The passes in a row of a server that is down or full, all of its probes together; nullopt: it is not recovering.
std::optional<Recovery> recovery_of(const ServerState& server, Time now);
/// A server as the whole group sees it.
Candidate candidate(const ServerState& server);
/// What all of its probes say of the way to it.
WayToServer way_to(const ServerState& server);
/// What decide() needs to know of the servers.
std::vector<Candidate> candidates(const ServiceState& service);
/// Merges what the services of a group know of each server into every one of them.
void share_health(std::span<ServiceState* const> group);
/// Combines the failure windows of all servers, in the context of the service.
void evaluate(ServiceState& service, Time now);
/// The server has the traffic, or went down: a later move to it is nobody's plan.
void end_planned_move(ServerState& server);
/// Notes a result that the window of the server's probe has just counted, if it may be a part of why its health changes.
void observe(const ServiceState& service, ServerState& server, std::size_t probe, const probes::ProbeResult& result, Time now);
/// `relaxed`: another server has the traffic, and a server that is down may be asked at its down_interval. `fast`: as in a burst.
enum class ProbePace : std::uint8_t { relaxed, usual, fast };
/// How often a probe is to be sent now.
probes::Rate rate_of(const ServiceConfig& service, const ProbeState& probe, ProbePace pace = ProbePace::usual);
/// Whether it is down for a reason that leaves its clients waiting for nothing.
bool is_silent(const ServerState& server);
/// Whether it is down without a doubt: what drains there may end. Not so while its silence may be that of the way to all servers, nor when
/// it passes again and is only watched.
bool is_lost(const ServerState& server);
/// Flows drain at a server that is down and silent, and whether it is lost is still to be seen: each result counts.
bool awaits_silence_check(const ServiceState& service);
/// A server keeps the traffic although no server answers, and new flows are refused all the same.
bool refuses_new(const ServiceState& service);
/// It has no target yet, nobody is refused, and all that is loaded of it is its endpoints: it only waits for a server to be up.
bool begins(const ServiceState& service);
/// It has a target that is up, and no operator wants anything else: what else there is to do for it can wait a moment.
bool is_well(const ServiceState& service);
/// Whether some server of some service can have its traffic, as far as this gateway sees; without services there is nothing to reach.
bool reaches_a_server(const Services& services);
/// The first moment after `now` at which something of the service changes by time alone.
std::optional<Time> next_timer(const ServiceState& service, Time now);

} // namespace hanat
