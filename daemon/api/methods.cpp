// The table of methods, the types of their replies, and the check and the description made from them.
#include "daemon/api/methods.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace hanat {
namespace {

constexpr std::array status_parameters = {Parameter{"service", "?string"}};
constexpr std::array force_parameters = {
    Parameter{"service", "?string"}, Parameter{"all", "?bool"},          Parameter{"server", "string"},    Parameter{"for_s", "?float"},
    Parameter{"reason", "?string"},  Parameter{"even_if_down", "?bool"}, Parameter{"until_down", "?bool"}, Parameter{"drain_s", "?float"},
    Parameter{"reset", "?bool"},     Parameter{"drill", "?bool"}};
constexpr std::array auto_parameters = {Parameter{"service", "?string"}, Parameter{"all", "?bool"}, Parameter{"drain_s", "?float"},
                                        Parameter{"reset", "?bool"}};
constexpr std::array disable_parameters = {
    Parameter{"service", "?string"},    Parameter{"server", "string"},  Parameter{"for_s", "?float"}, Parameter{"reason", "?string"},
    Parameter{"even_if_last", "?bool"}, Parameter{"drain_s", "?float"}, Parameter{"reset", "?bool"}};
constexpr std::array report_parameters = {Parameter{"service", "?string"}, Parameter{"server", "string"}, Parameter{"health", "string"},
                                          Parameter{"ttl_s", "?float"}, Parameter{"reason", "?string"}};
constexpr std::array enable_parameters = {Parameter{"service", "?string"}, Parameter{"server", "string"}, Parameter{"drain_s", "?float"},
                                          Parameter{"reset", "?bool"}};

constexpr std::array history_parameters = {Parameter{"service", "?string"}, Parameter{"last", "?int"}, Parameter{"since", "?string"},
                                           Parameter{"until", "?string"}, Parameter{"after", "?int"}};

constexpr std::array why_parameters = {Parameter{"service", "?string"}, Parameter{"at", "?string"}, Parameter{"from", "?string"}};
constexpr std::array follow_parameters = {Parameter{"service", "?string"}};
constexpr std::array reload_parameters = {Parameter{"confirm_s", "?float"}};
constexpr std::array files_parameters = {Parameter{"files", "?[]ConfigFile"}};
constexpr std::array names_parameters = {Parameter{"prefix", "?string"}, Parameter{"service", "?string"}};
constexpr std::array connections_parameters = {Parameter{"service", "?string"}, Parameter{"list", "?int"}};

constexpr std::array methods = {
    Method{"Status", false, status_parameters, "status: StatusReport"},
    Method{"Force", true, force_parameters, "services: []Forced, forwarded_to: ?string"},
    Method{"Auto", true, auto_parameters, "services: []Unforced, forwarded_to: ?string"},
    Method{"Disable", true, disable_parameters, "services: []DisabledServer, forwarded_to: ?string"},
    Method{"Enable", true, enable_parameters, "services: []EnabledServer, forwarded_to: ?string"},
    Method{"Report", true, report_parameters, "services: []ReportedServer"},
    Method{"Reload", true, reload_parameters,
           "services: int, added: []string, changed: []string, removed: []string, settings: []string, plan: ReloadPlan, "
           "unconfirmed: ?Unconfirmed"},
    Method{"Confirm", true, {}, "services: int"},
    Method{"Settled", true, {}, "settled: bool, pair: Pair"},
    Method{"History", false, history_parameters, "version: int, next: int, history: []HistoryEntry"},
    Method{"Doctor", false, status_parameters,
           "findings: []Finding, clients: []ClientFinding, checked: []CheckedService, interface: string, failure: ?string"},
    Method{"Version", false, {}, "version: string"},
    Method{"Why", false, why_parameters, "services: []WhyReport, others: int, begin: ?string"},
    Method{"Follow", false, follow_parameters, "event: ?HistoryEntry, next: ?int, skipped: ?int", true},
    Method{"Plan", true, files_parameters, "plan: ReloadPlan"},
    Method{"Ask", true, files_parameters, "answers: []ProbeAnswer"},
    Method{"ProbeServers", true, follow_parameters, "answers: []ProbeAnswer"},
    Method{"Connections", false, connections_parameters, "connections: ConnectionsReport"},
    Method{"Names", false, names_parameters, "services: []string, servers: []ServerName"},
};

// Varlink wants a name only once among types, methods and errors: hence not Status, but StatusReport.
constexpr std::string_view types = R"(# Times are RFC 3339 in UTC. hanatctl(8) lists the words that the strings hold.
# A nullable field is null or absent where it does not apply.
type StatusReport (version: int, daemon: Daemon, services: []Service)
# kernel_error: while kernel is not in-step; fallback: why an older configuration is in use; blind: why probes are inconclusive
# config_stale: the files on disk are not those in use; reload_refused: the last reload, if it was refused
# findings: settings of this machine that stop the clients of every service
type Daemon (
  pid: int, uptime_s: float, kernel: string, kernel_error: ?string, config: string, version: string, fallback: ?string, blind: ?string,
  config_loaded_at: ?string, config_stale: bool, reload_refused: ?RefusedReload, unconfirmed: ?Unconfirmed, reverted: ?Reverted,
  reload_hangs: ?HungReload, pair: ?Pair, hooks: ?Hooks, findings: ?[]Finding
)
# of a gateway in a pair; role: standby, settling, active; settled: it is active, and does not wait for the other one's connections
# conntrackd: ok, absent (it does not run), behind (it does not keep up), unknown; keepalived: ok (a program speaks VRRP), absent (none does any
# more), unknown (none ever did); peer: absent where [pair] names none
type Pair (role: string, since: string, settled: bool, address: string, conntrackd: string, keepalived: string, peer: ?Peer)
# the other gateway. seen_s: since its last answer, null: none yet; failure: why the last attempt failed; role, version: by its last answer;
# conntrackd, keepalived: there, likewise; none_active: both are standby; differs: of the configurations; disagrees: of targets, in words; lag_ms: of the last change there until it was followed here
type Peer (
  address: string, seen_s: ?float, failure: ?string, role: ?string, version: ?string, conntrackd: string, keepalived: string,
  both_active: bool, none_active: bool, agrees: bool, differs: []string, disagrees: []string, lag_ms: ?float
)
# running: calls; waiting, events: events that no call was made for yet, and that one was made for; calls: that ended, by result: ok,
# exit-status, signal, time-limit, not-trusted, not-started
type Hooks (running: int, waiting: int, events: int, calls: [string]int)
type RefusedReload (at: string, by: string, errors: int, first: string)
# the configuration in use was loaded by a Reload with confirm_s: at `until` the one before comes back, unless Confirm is called
type Unconfirmed (by: string, until: string, left_s: ?float)
# Confirm was not called in time; by: who loaded what was taken back
type Reverted (at: string, by: string)
# a reload waits for its files; failover goes on by the configuration in use
type HungReload (since: string, by: string)
# target_address: null where the target is none; would_target, would_why: in mode observe; in_table: true in mode observe while the table holds
# the service as it was before, otherwise absent; standby: true on the standby of a pair, where the
# target counts if it takes over, otherwise absent;
# draining, cutting (servers whose old flows are being cut): absent when empty; outage: while it is in doubt that no server works;
# witness: if one is configured; interfaces: the listeners that are interfaces, absent when there are none;
# offload: of a service with offload = true whether its connections are put on a flowtable, otherwise absent
type Service (
  name: string, target: string, target_address: ?string, since: string, why: string, mode: string, would_target: ?string,
  would_why: ?string, in_table: ?bool, standby: ?bool, group: ?string, forced: ?Override, failback_in_s: ?float, failback: Failback, flips: int, listen: []string,
  servers: []Server,
  last_flip: ?Flip, draining: ?[]Draining, cutting: ?[]string, foreign: ?[]Foreign, path: Path, outage: ?Outage, witness: ?Witness,
  interfaces: ?[]ListenInterface, offload: ?bool, totals: Totals
)
# listen: as configured; addresses: that the service listens on now; problems: why there are none of a family, and what somebody else has;
# held: of the addresses those that are gone, and for how long the service still listens on them
type ListenInterface (listen: string, interface: string, addresses: []string, problems: ?[]string, held: ?[]HeldAddress)
type HeldAddress (address: string, left_s: float)
# state: doubted, settling (somebody answers again); ends_in_s is null: when the witness answers; new_refused: new connections are
type Outage (state: string, for_s: float, ends_in_s: ?float, new_refused: bool)
# answers is null: no probe of it has ended yet
type Witness (address: string, answers: ?bool)
# until is null: until Auto; until_down: it ends, too, when the server goes down; drill: a rehearsal of a failover
type Override (target: string, until: ?string, reason: string, by: string, until_down: ?bool, drill: ?bool)
# to: the preferred server that is up or recovering; waits_for: what the traffic's way back to it waits for
type Failback (mode: string, to: ?string, waits_for: ?string)
# addresses: with more than one; drains: true where it is full because its agent, or a program, wants no new connections there; group_health: the health for the whole group; recovering: passes in a row of a server that is not up yet;
# disabled: it is never chosen; new_flows: since somebody first looked, as of the last look; name: of a server that is configured by it; former_since: no server of the configuration any more since that reload, its role is "former"
type Server (
  role: string, address: string, addresses: ?[]string, health: string, drains: ?bool, group_health: ?string, fails: Fails, recovering: ?Recovering,
  last: ?ProbeResult, flapping: ?Flapping, warning: ?Warning, totals: ?ProbeTotals, probes: ?[]Probe, disabled: ?Maintenance, report: ?HealthReport,
  new_probes: ?NewProbes, former_since: ?string, new_flows: ?int, name: ?Name
)
# state: pending, resolved, failed (it has no address, and never had one); answered: the last good answer; others: addresses that are not in
# use; error: of the last query
type Name (name: string, state: string, answered: ?string, others: ?[]string, error: ?string, failing_since: ?string)
# of a reload: they decide nothing until each has passed; failing: as many results as make a server down were no pass
type NewProbes (since: string, failing: bool, probes: []Probe)
# since hanatd started; latencies: passes that took at most 1, 5, 20, 100, 500 and 2000 ms, and longer
type ProbeTotals (results: []ResultCount, latencies: []int, latency_sum_s: float)
type ResultCount (outcome: string, reason: string, number: int)
# times: that it lost the traffic soon, not forgiven yet; wait_s: so long it must be up before it gets it, while another server works
type Flapping (times: int, wait_s: float, forgiven_in_s: float)
# of a probe that passes: certificate-expires, slow
type Warning (reason: string, detail: string)
# until is null: until Enable
type HealthReport (health: string, since: string, until: string, reason: string, by: string)
type Maintenance (since: string, until: ?string, reason: string, by: string)
# one of several probes of a server, whose own fails and last are those of the worst
type Probe (name: string, health: string, fails: Fails, last: ?ProbeResult)
# for_s: they last so long; of, stable_for_s: so many, over so long a time, make it up
type Recovering (passes: int, of: int, for_s: float, stable_for_s: float)
type Fails (count: int, of: int, within_s: float)
# wanted: what would have passed; certificate_left_s: until the server's certificate expires, where it is known
type ProbeResult (
  outcome: string, reason: string, detail: ?string, wanted: ?string, latency_ms: float, age_s: float, certificate_left_s: ?float
)
# left is null: not counted yet; drain_ends_in_s is null: nothing is draining; cut_ms is null while the cut runs
type Flip (
  at: string, from: string, to: string, why: string, commit_us: int, cut: Cut, nudged: int, drained: int, left: ?int,
  drain_ends_in_s: ?float, cut_ms: ?float
)
type Cut (tcp: int, udp: int, sctp: int)
# left is null: not counted yet; ends_in_s is null: the flows are kept until they end
type Draining (server: string, address: string, drained: int, left: ?int, ends_in_s: ?float)
# flows at a server that hanat did not send them to, which came back after they were cut
type Foreign (listen: string, server: string, flows: int)
# whether clients get an answer. state: no-evidence, ok, unanswered; the counts are of the last minute, and at least that; since: when the
# clients began to get none
type Path (state: string, unanswered_clients: int, refused_clients: int, since: ?string, findings: []Finding)
# severity: note, warning, problem; service: null for the gateway as a whole; remedy: a command or a line, empty where there is none;
# seen_by: whose packet showed it, null for a setting
type Finding (severity: string, code: string, service: ?string, what: string, remedy: string, seen_by: ?string)
# since hanatd started; flips: by why; nudged: clients that nudges were sent to; clients_unanswered, clients_refused: connections, at least
type Totals (
  flips: [string]int, cut: Cut, nudged: int, drained: int, clients_unanswered: int, clients_refused: int,
  latencies: []int, latency_sum_s: float
)
# History: `last` so many, `since` and `until` times, `after` the `next` of an earlier reply: what came since.
# service is null: the daemon itself. An entry of kind flip has the fields of Flip; no other has.
# interrupted is true: a restart of hanatd interrupted the cut, and cut_ms stays null. until: of an override with an end; by: who did it;
# reload: how many services a reload touched; target: of kind target, the role; from_address, to_address: of a flip's servers;
# flip_at: of kind cut, the flip that it belongs to
type HistoryEntry (
  at: string, kind: string, service: ?string, text: string, from: ?string, to: ?string, why: ?string, commit_us: ?int, cut: ?Cut,
  nudged: ?int, drained: ?int, left: ?int, drain_ends_in_s: ?float, cut_ms: ?float, interrupted: ?bool, until: ?string, by: ?string,
  reload: ?ReloadCounts, health: ?HealthChange, changes: ?[]ServicePlan, target: ?string, from_address: ?string, to_address: ?string,
  flip_at: ?string
)
# the rule: `of` results within, or passes over, within_s
type HealthChange (server: string, address: string, health: string, of: int, within_s: float, observations: []Observation)
# kind: event (of the kernel; it has no probe), fail, full, pass; count: the second of three
type Observation (
  at: string, kind: string, server: string, probe: ?string, reason: string, detail: ?string, wanted: ?string, latency_ms: ?float,
  count: ?int, of: ?int
)
# Why: of one service; without a name in brief of those that are not fine, or that changed in the ten minutes before `at`, and how many
# others there are. The time itself is always the end: entries behind it do not count. from: every change of target since then is in the
# chain. omitted: so many older entries are not; known_from: the first entry about the service. status, pending: without `at` only.
# begin, beside the services: the first entry of the whole history
type WhyReport (
  service: string, at: ?string, from: ?string, target: string, why: string, since: string, chain: []HistoryEntry, omitted: int,
  known_from: ?string, last_reload: ?HistoryEntry, last_override: ?HistoryEntry, pending: []Observation, status: ?Service
)
# Follow, with "more": first a reply without an event, then one for each event, also of kind "cut". skipped: so many events were left out,
# because they were not read; History with `after` has them.
# Plan and Ask: without files of the configuration that a reload reads; otherwise the main file, then those of conf.d
type ConfigFile (name: string, text: string)
type ReloadPlan (services: int, changes: []ServicePlan, settings: []KeyChange, warnings: []string)
# change: added, changed, removed, moved (by the change of another one)
type ServicePlan (service: string, change: string, keys: []KeyChange, move: ?Move, flows: []OldFlows, probes: ProbeChanges,
  held: ?[]string, serves_on: ?string, take_over: ?TakeOver, observed: ?bool)
# The service had no target, or was only observed, and now its new connections go by hanatd's decisions. target: a role or none
type TakeOver (target: string, address: string, why: string)
# an empty text: the key is not there
type KeyChange (key: string, before: string, after: string)
# an empty address: no server
type Move (from: string, to: string, why: string, from_address: string, to_address: string)
# action: reset, keep, "drain 60s"
type OldFlows (flows: string, server: string, action: string)
type ProbeChanges (kept: int, started: int, ended: int)
type ProbeAnswer (
  service: string, role: string, probe: string, outcome: string, reason: string, detail: ?string, wanted: ?string, explanation: ?string,
  latency_ms: float
)
# list: as many connections as were asked for; on_forced: what becomes of them when the service is forced: reset, keep, "drain 1m";
# observed: mode observe, other rules may send its connections
type ConnectionsReport (service: string, took_ms: float, on_forced: string, observed: ?bool, servers: []ConnectionServer, list: []Connection)
# role is empty: not in the configuration; leaving: drain, keep, cut or empty; opened_by_server, offloaded: counted by state, too
type ConnectionServer (
  role: string, address: string, health: string, target: bool, disabled: bool, leaving: string, ends_in_s: ?float,
  returns_in_s: ?float, also_target_of: []string,
  opening: int, established: int, closing: int, answered: int, unanswered: int, opened_by_server: int, offloaded: int, total: int
)
type Connection (client: string, listen: string, server: string, state: string, opened_by_server: bool, offloaded: bool)
# Names, for completions: the services whose names begin with prefix, or the servers of the service that is named
type ServerName (role: string, address: string)
type ReloadCounts (added: int, changed: int, removed: int)
# Settled: conntrackd has put the other gateway's connections into conntrack; settled is false where the gateway was settled already
# forwarded_to: the active gateway, which carried it out; null: this one did
# Force pins the server of a role (primary, backup, backup2, ...) or, with any-backup, the first backup that is up.
# drill: a rehearsal, with for_s, which also ends when the backup goes down; refused unless the primary is up and has the traffic, the
# backup is up and nothing is forced.
# All services of a group are forced and unforced together. forced: the server that is pinned; pending: the flip to it is still to come
# drain_s, reset: what happens to the connections of the old target, instead of what on_forced says; old_connections is null where the
# traffic did not move and nothing drains; replaced: the override that was there before; mode: auto, or observe, which moves nothing; why: as
# in Service
type Forced (
  name: string, target: string, target_address: ?string, why: string, mode: string, forced: ?string, pending: bool, until: ?string,
  until_down: bool, group: ?string, replaced: ?Override, old_connections: ?OldConnections
)
type Unforced (
  name: string, target: string, target_address: ?string, why: string, mode: string, forced: ?string, pending: bool, was_forced: bool,
  group: ?string, old_connections: ?OldConnections
)
# action: reset, drain (what is left at until is cut), keep. Of Disable, and of Force with drain_s or reset, also those that drain already:
# they get the new end
type OldConnections (server: string, address: ?string, action: string, until: ?string)
# Disable takes a server, by its role or address, out of service, and Enable lets it back: for the whole group. The last usable one only
# with even_if_last. pending: the traffic is still to move away; until is null: until Enable
type DisabledServer (
  name: string, server: string, server_address: string, until: ?string, target: string, target_address: ?string, why: string,
  mode: string, forced: ?string, pending: bool, group: ?string, old_connections: ?OldConnections
)
# Report says how a server is, by its role or address: health is up, down or drain (as full), and counts instead of the server's probes for
# ttl_s seconds; none ends it. until is null: its probes decide
type ReportedServer (
  name: string, server: string, server_address: string, health: string, until: ?string, target: string, target_address: ?string,
  why: string, mode: string, forced: ?string, pending: bool, group: ?string, old_connections: ?OldConnections
)
# failback_in_s, waits_for: what the traffic's way back to it waits for; also "up": that it is up; null: it does not come back to it
type EnabledServer (
  name: string, server: string, server_address: string, health: string, was_disabled: bool, target: string, target_address: ?string,
  why: string, mode: string, forced: ?string, pending: bool, group: ?string, old_connections: ?OldConnections, failback_in_s: ?float,
  waits_for: ?string
)
# Doctor examines the way of clients, of one service or of all; it replies within some seconds.
# sent: flows that hanatd's own client opened, by interface; served: real clients got answers meanwhile; failure: why none could be opened
type CheckedService (service: string, sent: int, answered: int, served: bool, slowest_ms: float)
# clients: what stopped single clients within the last hour, the last of each rule; it says nothing about others
type ClientFinding (severity: string, code: string, service: ?string, what: string, remedy: string, seen_by: ?string, at: string)
)";

constexpr std::string_view errors = R"(
error Refused (message: string)
error Failed (message: string)
error UnknownService (message: string, services: []string)
error NotPermitted (message: string)
error BadConfiguration (message: string, errors: []string)
error InvalidParameter (message: string, parameter: string)
)";

bool has_type(const nlohmann::json& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "bool") return value.is_boolean();
  if (type == "int") return value.is_number_integer();
  if (type.starts_with("[]")) return value.is_array();
  return value.is_number(); // "float"
}

std::string describe() {
  std::string text = fmt::format(
      "# hanat: a kernel-NAT failover controller. Anyone who can open the socket may call Status, History, Doctor, Version,\n"
      "# Why, Follow, Connections and Names; root and the group named in [hanatd] operators may call the rest.\ninterface {}\n\n{}\n",
      control_interface, types);
  for (const auto& method : methods) {
    std::string parameters;
    for (const auto& parameter : method.parameters)
      parameters += fmt::format("{}{}: {}", parameters.empty() ? "" : ", ", parameter.name, parameter.type);
    text += fmt::format("method {}({}) -> ({})\n", method.name, parameters, method.result);
  }
  return text.append(errors);
}

} // namespace

std::span<const Method> control_methods() { return methods; }

const Method* find_method(std::string_view name) {
  const auto* const found = std::find_if(methods.begin(), methods.end(), [&](const Method& method) { return method.name == name; });
  return found == methods.end() ? nullptr : found;
}

std::optional<WrongParameter> check_parameters(const Method& method, const nlohmann::json& parameters) {
  for (const auto& [key, value] : parameters.items()) {
    const auto has_name = [&name = key](const Parameter& parameter) { return parameter.name == name; };
    if (std::none_of(method.parameters.begin(), method.parameters.end(), has_name))
      return WrongParameter{key, fmt::format("{} has no such parameter", method.name)};
  }
  for (const auto& parameter : method.parameters) {
    const bool optional = parameter.type.front() == '?';
    const auto type = parameter.type.substr(optional ? 1 : 0);
    const auto found = parameters.find(std::string{parameter.name});
    if (found == parameters.end() || found->is_null()) {
      if (!optional)
        return WrongParameter{std::string{parameter.name}, fmt::format("{} needs {}, a {}", method.name, parameter.name, type)};
    } else if (!has_type(*found, type)) {
      return WrongParameter{std::string{parameter.name}, fmt::format("{} of {} must be a {}", parameter.name, method.name, type)};
    }
  }
  return std::nullopt;
}

std::string_view interface_description() {
  static const std::string text = describe();
  return text;
}

std::string_view service_description() {
  return R"(# Implemented by every varlink service
interface org.varlink.service

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
error ExpectedMore ()
)";
}

} // namespace hanat
