// What happened, as values: one event a fact, with roles, addresses, reasons and counts, and no sentence. Free text is only what an
// operator gave as a reason, and the errors of the kernel and of libraries. Not here: making events (make_event), their sentences
// (event_text), where they go (journal, history).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/api/reload_plan.hpp"
#include "daemon/api/status.hpp"
#include "daemon/config/config.hpp"
#include "daemon/decision/decision.hpp"
#include "daemon/decision/service_state.hpp"
#include "daemon/report/event_doubt.hpp"
#include "daemon/report/event_hook.hpp"
#include "daemon/report/event_names.hpp"
#include "daemon/report/event_override.hpp"
#include "daemon/report/event_pair.hpp"
#include "daemon/report/event_path.hpp"
#include "daemon/report/event_peer.hpp"
#include "daemon/util/wall_time.hpp"
#include "nat/conntrack/cut.hpp"
#include "probes/result.hpp"

namespace hanat {

enum class Level : std::uint8_t { info, notice, warning, error };

} // namespace hanat

namespace hanat::events {

/// What the kernel does with a service that is left as it is.
struct LoadedTarget {
  std::optional<ServerName> server;
  std::optional<Endpoint> other; // a server that is not in the configuration
  bool refused = false;
  bool operator==(const LoadedTarget&) const = default;
};

enum class FlowKind : std::uint8_t { tcp, non_tcp };

// The target of a service

/// New connections go to another server, or to none.
struct Flipped {
  std::optional<ServerName> from, to;
  Reason reason = Reason::starting;
  OnNone on_none = OnNone::refuse;
  bool standby = false;      // of a pair: nobody is served here
  std::string disabled = {}; // a server that is up, and is not chosen because it is disabled
  std::string group;         // empty: in none
  FlipStatus flip;
  bool operator==(const Flipped&) const = default;
};
/// The first target of a service, or none from the beginning.
struct FirstTarget {
  std::optional<ServerName> to;
  OnNone on_none = OnNone::refuse;
  bool standby = false;      // of a pair: nobody is served here
  std::string disabled = {}; // a server that is up, and is not chosen because it is disabled
  std::string group;
  bool operator==(const FirstTarget&) const = default;
};
/// The rules of a service that were loaded before the start.
struct Adopted {
  LoadedTarget loaded;
  bool observed = false;
  bool operator==(const Adopted&) const = default;
};
/// Mode observe: where the traffic would go now.
struct ShadowMoved {
  std::optional<ServerName> from, to;
  Reason reason = Reason::starting, flip_reason = Reason::starting;
  bool from_is_down = false;
  std::optional<probes::ProbeResult> last; // of `from`
  LoadedTarget loaded;
  std::string disabled = {}; // a server that is up, and is not chosen because it is disabled
  std::string group;
  bool operator==(const ShadowMoved&) const = default;
};

// Health

/// What led to a change of health: the first and the last of equal results in a row, and by which rule.
struct HealthCause {
  std::vector<Observation> observations;
  std::vector<probes::Probe> probes; // that they are of, by place
  Time now{};                        // of the steady clock, when it was made
  unsigned of = 0;                   // so many results
  Clock::duration within{};          // up: over this time
  bool operator==(const HealthCause&) const = default;
};
struct HealthChanged {
  ServerName server;
  Health health = Health::unknown;
  unsigned fails = 0; // of the probe that stands for the server, as `last`; of a full one: results that were no pass
  Clock::duration within{};
  std::optional<probes::ProbeResult> last;
  bool another_up = false; // a server of the service that is up
  std::string probe = {};  // which one stands for the server, where it has several
  std::string wanted = {}; // by that probe, where another answer came
  HealthCause cause = {};
  std::string host = {};        // the server's name, where it is configured by that
  std::string reported_by = {}; // it is so by a report, and not by probes
  bool operator==(const HealthChanged&) const = default;
};
/// A probe is inconclusive, and no other one was.
struct ProbesInconclusive {
  probes::Reason reason = probes::Reason::local_error;
  std::string detail;
  bool operator==(const ProbesInconclusive&) const = default;
};
struct ProbesConclusive {
  bool operator==(const ProbesConclusive&) const = default;
};
/// The kernel does not report refused clients.
struct ClientsNotHeard {
  std::string error;
  bool operator==(const ClientsNotHeard&) const = default;
};

// Old flows; `flows` names their service and server: "web primary"

struct FlowsCut {
  std::string flows;
  nat::CutCount cut;
  std::uint64_t busy = 0;         // still there: the kernel does not delete what a flowtable has
  std::uint64_t left = 0;         // they come back after each sweep
  std::optional<FlipStatus> flip; // that they left by
  bool operator==(const FlowsCut&) const = default;
};
/// Before the cut was complete their server became the target again, or another service has their endpoint now.
struct CutCancelled {
  std::string flows;
  nat::CutCount cut; // until then
  std::optional<FlipStatus> flip;
  bool operator==(const CutCancelled&) const = default;
};
struct DrainBegun {
  std::string flows;
  FlowKind kind = FlowKind::tcp;
  std::optional<Clock::duration> lasts; // nullopt: kept
  bool operator==(const DrainBegun&) const = default;
};
/// An operator gave them another end.
struct DrainChanged {
  std::string flows;
  FlowKind kind = FlowKind::tcp;
  Clock::duration lasts{}; // from now on; zero: they are cut now
  std::string by;
  bool operator==(const DrainChanged&) const = default;
};
/// Their server is the target again.
struct DrainVoid {
  std::string flows;
  FlowKind kind = FlowKind::tcp;
  std::optional<FlipStatus> flip = {}; // whose clients were notified
  bool operator==(const DrainVoid&) const = default;
};
/// The last of them ended by itself.
struct Drained {
  std::string flows;
  FlowKind kind = FlowKind::tcp;
  Clock::duration took{};
  std::uint64_t ended = 0;
  std::optional<FlipStatus> flip;
  bool operator==(const Drained&) const = default;
};
/// Those that are left are cut.
struct DrainEnded {
  std::string flows;
  bool kept = false;
  std::optional<std::uint64_t> left; // nullopt: not counted
  Clock::duration took{};
  DrainEnd end = DrainEnd::time;
  bool others_stay = false; // it ended for a part of the endpoints or ports alone
  std::optional<FlipStatus> flip;
  bool operator==(const DrainEnded&) const = default;
};
/// The audit found flows that no target and no policy explains.
struct UnexpectedFlows {
  std::uint64_t number = 0;
  std::optional<Endpoint> server; // nullopt: untranslated
  bool several_servers = false;
  bool operator==(const UnexpectedFlows&) const = default;
};
/// They came back although they were cut, and are left alone: this table does not make them.
struct ForeignFlows {
  Vip vip;
  std::optional<Endpoint> server; // nullopt: untranslated
  std::uint64_t number = 0;
  bool operator==(const ForeignFlows&) const = default;
};
/// Flows that should be cut, but only as they stood, which nobody knows.
struct FlowsNotRecorded {
  std::string flows;
  Vip vip;           // of the first of them
  std::string error; // empty: every answer of the kernel was incomplete
  bool operator==(const FlowsNotRecorded&) const = default;
};
struct ConntrackFailed {
  bool counting = false; // or cutting
  std::string error;
  std::chrono::seconds retry_after{};
  bool operator==(const ConntrackFailed&) const = default;
};

// The table in the kernel

struct KernelRefused {
  std::string error;
  bool operator==(const KernelRefused&) const = default;
};
struct KernelRecovered {
  bool operator==(const KernelRecovered&) const = default;
};
/// Another program changed or removed the table.
struct TableRestored {
  bool was_there = false;
  bool operator==(const TableRestored&) const = default;
};
/// The table that was loaded before the start could not be adopted as it was.
struct TableReplaced {
  bool operator==(const TableReplaced&) const = default;
};
/// A packet does not renew the heartbeat: a transaction does.
struct HeartbeatByTransaction {
  std::string error;
  bool operator==(const HeartbeatByTransaction&) const = default;
};
/// It does again.
struct HeartbeatByPacket {
  bool operator==(const HeartbeatByPacket&) const = default;
};
/// Services have offload = true, and the kernel has no flowtables, or does not make hanat's.
struct NotOffloaded {
  std::string services; // "web and 2 other services"
  bool unknown = false; // the kernel has none
  std::string error;
  bool operator==(const NotOffloaded&) const = default;
};
struct TableNotRemoved {
  std::string table, error;
  bool operator==(const TableNotRemoved&) const = default;
};

// The daemon itself

struct CutMethod {
  Family family = Family::ipv4;
  nat::DeleteMethod method = nat::DeleteMethod::full_dump;
  std::string failed_check; // of a faster method; empty: this is the fastest
  bool operator==(const CutMethod&) const = default;
};
struct Started {
  std::string kernel_release, table;
  bool owns_table = false;
  bool operator==(const Started&) const = default;
};
struct Stopping {
  bool operator==(const Stopping&) const = default;
};
struct NudgingOff {
  std::string error;
  bool not_permitted = false;
  bool operator==(const NudgingOff&) const = default;
};
struct OperatorsUnknown {
  std::string group;
  bool operator==(const OperatorsUnknown&) const = default;
};
struct ConfigError {
  std::string error; // "file:line:col: message"
  bool operator==(const ConfigError&) const = default;
};
struct ConfigRefused {
  std::size_t errors = 0;
  std::string by = {};    // who asked for the reload
  std::string first = {}; // of the errors
  bool operator==(const ConfigRefused&) const = default;
};
struct ConfigReloaded {
  std::size_t services = 0;
  std::vector<std::string> added, changed, removed;
  std::vector<std::string> settings = {}; // of [hanatd] that have changed
  std::string by = {};
  std::shared_ptr<const ReloadPlan> plan = {}; // in detail
  bool operator==(const ConfigReloaded&) const = default;
};
struct ReloadFailed {
  std::string error;
  bool nothing_changed = false;
  std::string by = {};
  bool operator==(const ReloadFailed&) const = default;
};
/// Its files cannot be read, and nothing says that they cannot: a disk, or a directory service, hangs.
struct ReloadHangs {
  std::string by = {};
  bool operator==(const ReloadHangs&) const = default;
};
/// A reload has to be confirmed.
struct ConfigUnconfirmed {
  std::string by, left; // "1m"
  bool operator==(const ConfigUnconfirmed&) const = default;
};
struct ConfigConfirmed {
  std::string by;
  bool operator==(const ConfigConfirmed&) const = default;
};
/// Nobody confirmed it.
struct ConfigReverted {
  std::string by, within; // who loaded it; "1m"
  bool operator==(const ConfigReverted&) const = default;
};
struct ConfigNotCopied {
  std::string error;
  bool operator==(const ConfigNotCopied&) const = default;
};
struct StateNotSaved {
  std::string error;
  bool operator==(const StateNotSaved&) const = default;
};
struct HistoryNotWritten {
  std::string error;
  bool operator==(const HistoryNotWritten&) const = default;
};
struct HistoryWritten {
  bool operator==(const HistoryWritten&) const = default;
};
struct MessagesLost {
  std::size_t number = 0;
  bool operator==(const MessagesLost&) const = default;
};
struct MetricsNotServed {
  std::string error;
  bool operator==(const MetricsNotServed&) const = default;
};
/// What has no value of its own: the text of another part.
struct Message {
  Level level = Level::info;
  std::string text;
  bool operator==(const Message&) const = default;
};

using Payload =
    std::variant<Flipped, FirstTarget, Adopted, ShadowMoved, HealthChanged, ProbesInconclusive, ProbesConclusive, ClientsNotHeard,
                 PathTrouble, PathFinding, PathTroubleEnded, SettingChanged, Forced, OverrideRestored, OverrideWaits, OverrideEnded,
                 OverrideLost, OverrideDropped, OverrideClock, OverrideShared, OverrideVoid, OverrideMoved, ServerDisabled, ServerEnabled,
                 MaintenanceRestored, MaintenanceMoved, MaintenanceLost, MaintenanceClock, FlowsCut, CutCancelled, DrainBegun, DrainChanged,
                 DrainVoid, Drained, DrainEnded, UnexpectedFlows, ForeignFlows, FlowsNotRecorded, ConntrackFailed, KernelRefused,
                 KernelRecovered, TableRestored, TableReplaced, HeartbeatByTransaction, HeartbeatByPacket, NotOffloaded, TableNotRemoved,
                 CutMethod, Started, Stopping, NudgingOff, OperatorsUnknown, ConfigError, ConfigRefused, ConfigReloaded, ReloadFailed,
                 ReloadHangs, ConfigUnconfirmed, ConfigConfirmed, ConfigReverted, ConfigNotCopied, StateNotSaved, HistoryNotWritten,
                 HistoryWritten, MessagesLost, MetricsNotServed, Flapping, FlappingEnded, OutageDoubted, OutageDoubtEnded, HealthReported,
                 ReportEnded, ProbeWarning, NewProbeFails, NewProbesPassed, FormerServes, FormerKept, RoleChanged, MasqueradeInPair,
                 TrackFileNotWritten, PeerSeen, PeerLost, PeerRefused, PeerNotServed, PeerListed, PeerDiffers, PeerAgrees, PairSplit,
                 PairJoined, PairIdle, ConntrackdChanged, KeepalivedChanged, CommandForwarded, HookFailed, NameChanged, NameFails,
                 NameResolves, InterfaceChanged, AddressHeld, ListenOverlaps, Message>;

} // namespace hanat::events

namespace hanat {

struct Event {
  WallTime at{};       // when it was made
  std::string service; // empty: the daemon itself
  events::Payload what;
  bool operator==(const Event&) const = default;
};

} // namespace hanat
