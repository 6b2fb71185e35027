// What is said of an event, and the sentences about services, servers and overrides.
// Not here: the sentences about old flows (event_text_drain) and about the daemon itself (event_text_daemon), fields (event_fields).
#include "daemon/report/event_text.hpp"

#include <algorithm>
#include <concepts>
#include <memory>

#include <fmt/format.h>

#include "daemon/report/event_sentences.hpp"
#include "daemon/report/observation_status.hpp"
#include "daemon/util/duration.hpp"
#include "daemon/util/escape.hpp"

namespace hanat {
namespace events {
namespace {

std::string to_text(const ServerName& server) {
  if (server.role == "none") return fmt::format("{}, which is no longer configured,", hanat::to_text(server.address));
  return full_name(server);
}
std::string to_text(const std::optional<ServerName>& server) { return server ? to_text(*server) : "no server"; }
std::string role_of(const std::optional<ServerName>& server) { return server ? server->role : "none"; }

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

/// "refused (connection refused)"
std::string to_text(const std::optional<probes::ProbeResult>& last) {
  if (!last) return "no result yet";
  return last->detail.empty() ? std::string{to_text(last->reason)} : fmt::format("{} ({})", to_text(last->reason), last->detail);
}

/// " for 30m": durations, as a reader may be in another time zone.
std::string lasting(std::string_view more, std::optional<std::chrono::seconds> lasts) {
  return lasts ? fmt::format(" for {}{}", more, duration_text(*lasts)) : "";
}

/// Of several probes the one that failed: " (tcp [fd00::11]:443)".
std::string which(const HealthChanged& changed) { return changed.probe.empty() ? "" : fmt::format(" ({})", changed.probe); }

/// "wrong-status (503), wanted: status 200-299"
std::string last_of(const HealthChanged& changed) {
  return to_text(changed.last) + (changed.wanted.empty() ? "" : ", wanted: " + changed.wanted);
}

std::string what_clients_get(OnNone on_none, bool standby) {
  if (standby) return "this gateway is the standby, and would serve nobody if it took over";
  switch (on_none) {
  case OnNone::refuse: return "clients are refused at once";
  case OnNone::drop: return "clients' packets are dropped";
  case OnNone::keep: return "the last target keeps the traffic";
  }
  return {};
}

/// What the kernel does with a service that is left as it is.
std::string to_text(const LoadedTarget& loaded) {
  if (loaded.server) return fmt::format("connections stay on {}", to_text(*loaded.server));
  if (loaded.other)
    return fmt::format("connections stay on {}, which is not a server of this configuration", hanat::to_text(*loaded.other));
  return loaded.refused ? "clients stay refused" : "nothing is loaded for it";
}

/// "; group voice moves together"
std::string group_note(const std::string& group) { return group.empty() ? "" : fmt::format("; group {} moves together", group); }
/// `disabled`: the role of a server that is up all the same.
std::string no_server_up(const std::string& group, const std::string& disabled) {
  const std::string which = group.empty() ? "" : fmt::format(" for all of group {}", group);
  if (disabled.empty()) return fmt::format("no server is up{}", which);
  return fmt::format("no enabled server is up{} ({} is up, but disabled)", which, disabled);
}

std::string_view shadow_verb(Reason flip_reason) {
  if (flip_reason == Reason::failover) return "fail over";
  return flip_reason == Reason::failback ? "fail back" : "go";
}

} // namespace

std::string Sentences::operator()(const Flipped& flip) const {
  std::string text = fmt::format("new connections go from {} to {}: {}; committed in {} us", to_text(flip.from), to_text(flip.to),
                                 hanat::to_text(flip.reason), flip.flip.commit_us);
  if (!flip.to) text += fmt::format("; {}: {}", no_server_up(flip.group, flip.disabled), what_clients_get(flip.on_none, flip.standby));
  return text + group_note(flip.group);
}

std::string Sentences::operator()(const FirstTarget& first) const {
  if (first.to) return fmt::format("connections go to {}", to_text(*first.to));
  return fmt::format("{}: {}", no_server_up(first.group, first.disabled), what_clients_get(first.on_none, first.standby));
}

std::string Sentences::operator()(const Adopted& adopted) const {
  const LoadedTarget& loaded = adopted.loaded;
  const std::string what = adopted.observed ? to_text(loaded) + ", and that is not touched (mode observe)"
                           : loaded.server  ? to_text(loaded)
                           : loaded.refused ? std::string{"clients stay refused until a server is up"}
                           : loaded.other
                               ? std::string{"their target is not a server of this configuration; the first server that is up takes over"}
                               : std::string{"they have no target; the first server that is up takes over"};
  return fmt::format("{}{}", adopted_words, what);
}

std::string Sentences::operator()(const ShadowMoved& moved) const {
  std::string text;
  if (!moved.to)
    text = fmt::format("{}: would turn clients away", no_server_up(moved.group, moved.disabled));
  else if (!moved.from)
    text = fmt::format("would send connections to {}: {}", to_text(*moved.to), hanat::to_text(moved.reason));
  else
    text = fmt::format("would {} from {} to {}: {}", shadow_verb(moved.flip_reason), to_text(*moved.from), to_text(*moved.to),
                       hanat::to_text(moved.flip_reason));
  if (moved.from && moved.from_is_down) text += fmt::format(" ({} is down: {})", moved.from->role, to_text(moved.last));
  return fmt::format("observe: {}; {}{}", text, to_text(moved.loaded), group_note(moved.group));
}

std::string Sentences::operator()(const HealthChanged& changed) const {
  std::string text = fmt::format("{} is {}", to_text(changed.server), hanat::to_text(changed.health));
  if (!changed.reported_by.empty())
    return text + fmt::format(": reported by {}{}", changed.reported_by, changed.another_up ? "" : "; no other server is known to be up");
  switch (changed.health) {
  case Health::up:
    return text + fmt::format(": {} in {:.1f} ms", to_text(changed.last), changed.last ? seconds(changed.last->latency) * 1000 : 0);
  case Health::down:
    if (!changed.host.empty() && changed.server.address == Endpoint{}) {
      text += fmt::format(": its name {} is not resolved, and never was", changed.host);
      break;
    }
    text += fmt::format(": {} failed probe{}{} within {} s, the last: {}", changed.fails, changed.fails == 1 ? "" : "s", which(changed),
                        seconds(changed.within), last_of(changed));
    break;
  case Health::full:
    text += fmt::format(": {} probe{}{} within {} s did not get in, the last: {}; it keeps its connections", changed.fails,
                        changed.fails == 1 ? "" : "s", which(changed), seconds(changed.within), last_of(changed));
    break;
  case Health::unknown: text += ": its probes have not judged it yet"; break;
  }
  return text + (changed.another_up ? "" : "; no other server is known to be up");
}

std::string Sentences::operator()(const ProbesInconclusive& probes) const {
  return fmt::format("servers cannot be probed: {}{}{}; their last known health is kept, and nothing fails over because of this",
                     probes::to_text(probes.reason), probes.detail.empty() ? "" : ": ", probes.detail);
}

std::string Sentences::operator()(const ProbesConclusive&) const { return "all servers can be probed again"; }

std::string Sentences::operator()(const ClientsNotHeard& clients) const {
  return fmt::format("the table's log of refused clients cannot be read: {}; servers are probed at their usual intervals only",
                     clients.error);
}

std::string Sentences::operator()(const PathTrouble& trouble) const {
  const std::string who = trouble.client ? fmt::format("a client ({})", trouble.client->text()) : std::string{"hanatd's own check"};
  return fmt::format("{} gets no answer, although {} passes its probes: something between them drops packets; nothing is moved", who,
                     to_text(trouble.target));
}

std::string Sentences::operator()(const PathFinding& found) const {
  const Finding& finding = found.finding;
  return fmt::format("{}: {}{}{}{}", finding.client_only ? "a client gets no answer" : "clients get no answer", finding.what,
                     finding.seen_by.empty() ? "" : fmt::format(" (seen by {})", finding.seen_by),
                     finding.remedy.empty() ? "" : "; remedy: ", finding.remedy);
}

std::string Sentences::operator()(const PathTroubleEnded& ended) const {
  const std::string why = ended.target_changed ? "the target changed or went down: whether clients get an answer is judged anew"
                          : ended.answered     ? "clients are answered again"
                          : ended.own_client   ? "hanatd's own client is answered again"
                                               : "no client has gone without an answer for a minute";
  const std::string connections = ended.connections == 0 ? ""
                                                         : fmt::format(", and at least {} connection{} got no answer", ended.connections,
                                                                       ended.connections == 1 ? "" : "s");
  return fmt::format("{}{}{:.1f} s{}", why, path_ended_words, seconds(ended.lasted), connections);
}

std::string Sentences::operator()(const Forced& forced) const {
  std::string text =
      fmt::format("{}forced to {} by {}{}", forced.drill ? "a drill: " : "", to_text(forced.server), forced.by, lasting("", forced.lasts));
  if (!forced.reason.empty()) text += fmt::format(" ({})", forced.reason);
  if (forced.until_down) return text + fmt::format("; it ends when that server goes down, or by `hanatctl auto {}`", service_);
  if (forced.until) return text + fmt::format("; no failover until then; `hanatctl auto {}` ends it", service_);
  return text + fmt::format("; no failover until `hanatctl auto {}`", service_);
}

std::string Sentences::operator()(const OverrideRestored& restored) const {
  const Forced& forced = restored.forced;
  return fmt::format("the {} to {} by {} goes on{}{}; `hanatctl auto {}` ends it", forced.drill ? "drill" : "override",
                     to_text(forced.server), forced.by, lasting("another ", forced.lasts),
                     forced.reason.empty() ? "" : fmt::format(" ({})", forced.reason), service_);
}

std::string Sentences::operator()(const OverrideWaits& override) const {
  return fmt::format("mode is observe now: the override to {} by {} is kept, and moves nothing until mode is auto again; "
                     "`hanatctl auto {}` ends it",
                     override.role, override.by, service_);
}

std::string Sentences::operator()(const OverrideEnded& override) const {
  if (override.expired) return "the override has expired: health decides again";
  return fmt::format("the override was ended by {}: health decides again", override.by);
}

std::string Sentences::operator()(const OverrideLost& override) const {
  return fmt::format("no longer configured: its override ends ({}{}{}by {}{}{})", override.role.empty() ? "" : "to ", override.role,
                     override.role.empty() ? "" : ", ", override.by, override.reason.empty() ? "" : ": ", override.reason);
}

std::string Sentences::operator()(const OverrideClock& override) const {
  return fmt::format("this machine's clock shows a time before the override began: the override ends {} s from now",
                     override.ends_after.count());
}

std::string Sentences::operator()(const OverrideShared& override) const {
  return fmt::format("moves together with {0} (group {1}): the override of {0} applies to both", override.owner, override.group);
}

namespace {

template <typename T, typename... Kinds>
concept OneOf = (std::same_as<T, Kinds> || ...);

/// Every kind of event is in exactly one line, or in one of its own.
struct Levels {
  Level operator()(const OneOf<FlowsCut, CutCancelled, CutMethod, Started> auto&) const { return Level::info; }
  Level operator()(const OneOf<Adopted, ProbesConclusive, OverrideEnded, OverrideRestored, ServerEnabled, MaintenanceRestored, DrainBegun,
                               DrainChanged, DrainVoid, Drained, DrainEnded, PathTroubleEnded, FlappingEnded, OutageDoubtEnded,
                               NewProbesPassed, FormerServes, KernelRecovered, HeartbeatByPacket, Stopping, ConfigReloaded,
                               ConfigUnconfirmed, ConfigConfirmed, HistoryWritten, RoleChanged, NameResolves> auto&) const {
    return Level::notice;
  }
  Level operator()(
      const OneOf<ProbesInconclusive, Flapping, OutageDoubted, ProbeWarning, NewProbeFails, FormerKept, ClientsNotHeard, Forced,
                  OverrideWaits, OverrideLost, OverrideDropped, OverrideClock, OverrideVoid, OverrideMoved, ServerDisabled,
                  MaintenanceMoved, MaintenanceLost, MaintenanceClock, OverrideShared, UnexpectedFlows, ForeignFlows, FlowsNotRecorded,
                  ConntrackFailed, TableRestored, TableReplaced, HeartbeatByTransaction, NotOffloaded, NudgingOff, ConfigNotCopied,
                  ConfigReverted, ReloadHangs, MessagesLost, MasqueradeInPair, NameFails, ListenOverlaps> auto&) const {
    return Level::warning;
  }
  Level operator()(const OneOf<PathTrouble, KernelRefused, TableNotRemoved, OperatorsUnknown, ConfigError, ConfigRefused, ReloadFailed,
                               StateNotSaved, HistoryNotWritten, MetricsNotServed, TrackFileNotWritten> auto&) const {
    return Level::error;
  }
  Level operator()(const Flipped& flip) const { return flip.to ? Level::warning : Level::error; }
  Level operator()(const FirstTarget& first) const { return first.to ? Level::notice : Level::error; }
  Level operator()(const ShadowMoved& moved) const { return moved.to ? Level::notice : Level::warning; }
  Level operator()(const HealthChanged& changed) const { return changed.health == Health::up ? Level::notice : Level::warning; }
  Level operator()(const InterfaceChanged& changed) const { return changed.all.empty() ? Level::warning : Level::notice; }
  Level operator()(const NameChanged& changed) const { return changed.after.empty() ? Level::warning : Level::notice; }
  Level operator()(const PathFinding& found) const {
    switch (found.finding.severity) {
    case Severity::note: return Level::notice;
    case Severity::warning: return Level::warning;
    case Severity::problem: return Level::error;
    }
    return Level::error;
  }
  Level operator()(const OneOf<PeerSeen, PeerAgrees, PairJoined, CommandForwarded, HealthReported, ReportEnded, AddressHeld> auto&) const {
    return Level::notice;
  }
  Level operator()(const OneOf<PeerLost, PeerRefused, PeerDiffers, HookFailed> auto&) const { return Level::warning; }
  Level operator()(const OneOf<PeerNotServed, PairSplit> auto&) const { return Level::error; }
  Level operator()(const SettingChanged& changed) const { return changed.gone ? Level::notice : Level::error; }
  Level operator()(const PairIdle& idle) const { return idle.lasted ? Level::notice : Level::error; }
  Level operator()(const ConntrackdChanged& changed) const { return changed.state == FlowSync::ok ? Level::notice : Level::warning; }
  Level operator()(const KeepalivedChanged& changed) const { return changed.state == Vrrp::ok ? Level::notice : Level::warning; }
  Level operator()(const PeerListed& listed) const { return listed.dropped ? Level::warning : Level::notice; }
  Level operator()(const Message& message) const { return message.level; }
};

/// The kinds that the history keeps.
struct HistoryKinds {
  std::string_view operator()(const auto&) const { return {}; }
  std::string_view operator()(const Flipped&) const { return "flip"; }
  std::string_view operator()(const OneOf<FlowsCut, CutCancelled, DrainVoid, Drained, DrainEnded> auto& event) const {
    return event.flip ? "cut" : std::string_view{};
  }
  std::string_view operator()(const OneOf<HealthChanged, HealthReported, ReportEnded> auto&) const { return "health"; }
  std::string_view operator()(const OneOf<ConfigReloaded, ConfigRefused, ReloadFailed, ReloadHangs, ConfigUnconfirmed, ConfigConfirmed,
                                          ConfigReverted> auto&) const {
    return "reload";
  }
  std::string_view operator()(const OneOf<Forced, OverrideEnded, OverrideLost, OverrideDropped, OverrideVoid, OverrideMoved> auto&) const {
    return "override";
  }
  std::string_view operator()(const OneOf<ServerDisabled, ServerEnabled, MaintenanceMoved, MaintenanceLost> auto&) const {
    return "maintenance";
  }
  std::string_view operator()(const OneOf<FirstTarget, Adopted, ShadowMoved> auto&) const { return "target"; }
  std::string_view operator()(const OneOf<UnexpectedFlows, ForeignFlows, TableRestored> auto&) const { return "repair"; }
  std::string_view operator()(const OneOf<PathTrouble, PathFinding, PathTroubleEnded, SettingChanged> auto&) const { return "path"; }
  std::string_view operator()(const OneOf<Flapping, FlappingEnded> auto&) const { return "flapping"; }
  std::string_view operator()(const OneOf<OutageDoubted, OutageDoubtEnded> auto&) const { return "outage"; }
  std::string_view operator()(const OneOf<NewProbeFails, NewProbesPassed, FormerServes, FormerKept> auto&) const { return "configuration"; }
  std::string_view operator()(const OneOf<NameChanged, NameFails, NameResolves> auto&) const { return "name"; }
  std::string_view operator()(const OneOf<InterfaceChanged, AddressHeld, ListenOverlaps> auto&) const { return "interface"; }
  std::string_view operator()(const RoleChanged&) const { return "role"; }
  std::string_view operator()(const OneOf<PeerSeen, PeerLost, PeerDiffers, PeerAgrees, PairSplit, PairJoined, PairIdle, ConntrackdChanged,
                                          KeepalivedChanged, CommandForwarded> auto&) const {
    return "pair";
  }
  std::string_view operator()(const PeerListed& listed) const {
    const bool override = listed.what == PeerListed::What::forced || listed.what == PeerListed::What::unforced;
    return override ? "override" : "maintenance";
  }
};

/// The user, where one did it.
struct ByWhom {
  std::string operator()(const auto&) const { return {}; }
  std::string operator()(const OneOf<Forced, OverrideEnded, ServerDisabled, ServerEnabled, ConfigReloaded, ConfigRefused, ReloadFailed,
                                     ReloadHangs, ConfigUnconfirmed, ConfigConfirmed, ConfigReverted, RoleChanged> auto& event) const {
    return event.by;
  }
  std::string operator()(const OneOf<PeerListed, CommandForwarded, HealthReported, ReportEnded> auto& event) const { return event.by; }
};

/// Of an event of the kind "target": where new connections go now. Mode observe sets no target.
struct TargetOf {
  std::string operator()(const auto&) const { return {}; }
  std::string operator()(const FirstTarget& first) const { return role_of(first.to); }
  std::string operator()(const Adopted& adopted) const {
    return adopted.loaded.server ? adopted.loaded.server->role : adopted.loaded.refused ? "none" : "";
  }
};

std::string address_of(const std::optional<ServerName>& server) { return server ? hanat::to_text(server->address) : std::string{}; }

struct FlipOf {
  std::optional<FlipStatus> operator()(const auto& event) const {
    if constexpr (requires { event.flip; })
      return event.flip;
    else
      return std::nullopt;
  }
};

/// As many as a line of the history has room for; nullptr: none.
std::shared_ptr<const std::vector<ServicePlan>> first_changes(const ReloadPlan& plan) {
  constexpr std::size_t most_services = 16, most_keys = 32, most_flows = 4;
  std::vector<ServicePlan> first;
  std::size_t keys = 0;
  for (const ServicePlan& change : plan.changes) {
    if (first.size() == most_services || keys == most_keys) break;
    first.push_back(change);
    std::vector<KeyChange>& all = first.back().keys;
    all.resize(std::min(all.size(), most_keys - keys));
    keys += all.size();
    if (first.back().flows.size() > most_flows) first.back().flows.resize(most_flows);
  }
  return first.empty() ? nullptr : std::make_shared<const std::vector<ServicePlan>>(std::move(first));
}

} // namespace
} // namespace events

std::string text_of(const Event& event) {
  constexpr std::size_t longest = 1'000;
  return shortened(std::visit(events::Sentences{event.service}, event.what), longest);
}

Level level_of(const Event& event) { return std::visit(events::Levels{}, event.what); }

std::optional<HistoryEntry> history_entry_of(const Event& event, std::string text) {
  const std::string_view kind = std::visit(events::HistoryKinds{}, event.what);
  if (kind.empty()) return std::nullopt;
  HistoryEntry entry{.at = to_text(event.at),
                     .kind = std::string{kind},
                     .service = event.service,
                     .text = std::move(text),
                     .until = {},
                     .by = {},
                     .flip = {}};
  if (const auto* forced = std::get_if<events::Forced>(&event.what); forced != nullptr && forced->until)
    entry.until = to_text(*forced->until);
  if (const auto* disabled = std::get_if<events::ServerDisabled>(&event.what); disabled != nullptr && disabled->until)
    entry.until = to_text(*disabled->until);
  if (const auto* reloaded = std::get_if<events::ConfigReloaded>(&event.what)) {
    entry.reload = ReloadCounts{.added = reloaded->added.size(), .changed = reloaded->changed.size(), .removed = reloaded->removed.size()};
    if (reloaded->plan) entry.changes = events::first_changes(*reloaded->plan);
  }
  if (const auto* changed = std::get_if<events::HealthChanged>(&event.what))
    entry.health = std::make_shared<const HealthChangeStatus>(health_change_status(*changed, event.at));
  if (const auto* flip = std::get_if<events::Flipped>(&event.what)) {
    entry.at = flip->flip.at; // by which its entry is found
    entry.from_address = events::address_of(flip->from);
    entry.to_address = events::address_of(flip->to);
  }
  entry.by = std::visit(events::ByWhom{}, event.what);
  entry.target = std::visit(events::TargetOf{}, event.what);
  entry.flip = std::visit(events::FlipOf{}, event.what);
  return entry;
}

std::optional<HistoryEntry> history_entry_of(const Event& event) { return history_entry_of(event, text_of(event)); }

} // namespace hanat
