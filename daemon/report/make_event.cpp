// One function an event.
#include "daemon/report/make_event.hpp"
#include "daemon/decision/verdict.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/report/make_status.hpp"
#include "daemon/report/observation_status.hpp"
#include "daemon/report/probe_text.hpp"

namespace hanat::events {
namespace {

ServerName named(const ServerState& server) { return server_name(server); }

std::optional<ServerName> target_of(const ServiceState& service, const Decision& decision) {
  if (decision.kind != TargetKind::server) return std::nullopt;
  return named(service.servers[decision.server]);
}

std::optional<ServerName> named(const ServiceState& service, std::optional<std::size_t> server) {
  return server ? std::optional{named(service.servers[*server])} : std::nullopt;
}

/// Where its flows go; with the role "none" if that server is not configured any more.
std::optional<ServerName> former_target(const ServiceState& service) {
  if (service.current || service.refused || service.loaded.dnat.empty()) return named(service, service.current);
  const Endpoint& server = service.loaded.dnat.begin()->second.server;
  return ServerName{.role = "none", .address = server};
}

LoadedTarget loaded_target(const ServiceState& service) {
  LoadedTarget loaded{.server = named(service, service.current), .other = std::nullopt, .refused = service.refused};
  if (!service.current && !service.loaded.dnat.empty()) loaded.other = service.loaded.dnat.begin()->second.server;
  return loaded;
}

/// A server that would serve clients, were it not disabled.
std::string disabled_but_up(const ServiceState& service) {
  const auto would_do = [](const ServerState& server) {
    const Candidate all = candidate(server);
    return all.disabled && all.health == Health::up;
  };
  const auto found = std::ranges::find_if(service.servers, would_do);
  return found == service.servers.end() ? "" : found->role;
}

FlowKind kind_of(const Eviction& eviction) {
  return eviction.mappings.empty() || eviction.mappings.front().vip.protocol == Protocol::tcp ? FlowKind::tcp : FlowKind::non_tcp;
}

std::optional<probes::ProbeResult> last_result(const ServerState& server, Time now) {
  return server.probes.empty() ? std::nullopt : worst_probe(server, now).last;
}

/// What made the server down, or full.
unsigned fails_of(const ServerState& server, Time now) {
  if (server.probes.empty()) return 0;
  const FailureWindow& window = worst_probe(server, now).window;
  return server.health == Health::full ? window.fails_or_full(now) : window.fails(now);
}

} // namespace

WallTime event_time() {
  thread_local EventClock clock;
  return clock.at(wall_now());
}

ServerName server_name(const ServerState& server) {
  return {.role = server.role, .address = server.addresses.empty() ? Endpoint{} : server.addresses.front()};
}

std::optional<std::chrono::seconds> left_at(WallTime at, const std::optional<WallTime>& until) {
  if (!until) return std::nullopt;
  return std::chrono::round<std::chrono::seconds>(std::max(*until - at, WallTime::duration::zero()));
}

Event make(std::string service, Payload what) { return {.at = event_time(), .service = std::move(service), .what = std::move(what)}; }

Event message(Level level, std::string text) { return make({}, Message{.level = level, .text = std::move(text)}); }

Event flipped(const ServiceState& service, const Decision& decision, const Flip& flip, bool standby) {
  return {.at = flip.at,
          .service = service.config->name,
          .what = Flipped{.from = former_target(service),
                          .to = target_of(service, decision),
                          .reason = flip.reason,
                          .on_none = service.config->on_none,
                          .standby = standby,
                          .disabled = disabled_but_up(service),
                          .group = service.config->group,
                          .flip = report(service, flip)}};
}

Event first_target(const ServiceState& service, const Decision& decision, bool standby) {
  return make(service.config->name, FirstTarget{.to = target_of(service, decision),
                                                .on_none = service.config->on_none,
                                                .standby = standby,
                                                .disabled = disabled_but_up(service),
                                                .group = service.config->group});
}

Event adopted(const ServiceState& service) {
  return make(service.config->name, Adopted{.loaded = loaded_target(service), .observed = service.shadow.has_value()});
}

Event shadow_moved(const ServiceState& service, const Decision& decision) {
  ShadowMoved moved{.from = std::nullopt,
                    .to = target_of(service, decision),
                    .reason = decision.reason,
                    .flip_reason = decision.flip_reason,
                    .from_is_down = false,
                    .last = std::nullopt,
                    .loaded = loaded_target(service),
                    .disabled = disabled_but_up(service),
                    .group = service.config->group};
  if (const auto current = service.shadow ? service.shadow->placement.current : std::nullopt) {
    const ServerState& from = service.servers[*current];
    moved.from = named(from);
    moved.from_is_down = from.health == Health::down;
    moved.last = last_result(from, Clock::now());
  }
  return make(service.config->name, std::move(moved));
}

Event health_changed(const ServiceState& service, const ServerState& server, Time now) {
  HealthChanged changed{
      .server = named(server),
      .health = server.health,
      .fails = fails_of(server, now),
      .within = service.config->down.within,
      .last = last_result(server, now),
      .another_up = std::ranges::any_of(service.servers, [](const ServerState& other) { return usable(candidate(other)) == Health::up; })};
  changed.host = server.host;
  if (!server.probes.empty()) {
    const ProbeState& probe = worst_probe(server, now);
    if (probe.probe != nullptr && server.probes.size() > 1) changed.probe = name_of(*probe.probe);
    if (probe.probe != nullptr && probe.last) changed.wanted = wanted_by(probe.probe->spec, probe.last->reason);
  }
  changed.cause = cause_of(service, server, now);
  if (server.report && server.report->health == server.health) changed.reported_by = server.report->by;
  return make(service.config->name, std::move(changed));
}

Event flapping(const ServiceState& service, const ServerState& server, Time now) {
  const FlapRule rule = flap_rule(service.config);
  return make(service.config->name, Flapping{.server = named(server),
                                             .times = server.damping.level(rule, now),
                                             .wait = server.damping.wait(rule, now),
                                             .observed = service.shadow.has_value()});
}
Event flapping_ended(const ServiceState& service, const ServerState& server) {
  return make(service.config->name, FlappingEnded{.server = named(server)});
}

Event outage_doubted(const ServiceState& service, bool standby) {
  const OutageDoubt& outage = service.outage;
  OutageDoubted doubt{.target = named(service, placement(service).current).value_or(ServerName{}),
                      .lasts = std::nullopt,
                      .common = outage.common,
                      .refuses_new = refuses_new(service) && !standby,
                      .observed = service.shadow.has_value()};
  if (outage.until && !outage.witness_silent) doubt.lasts = *outage.until - outage.since;
  return make(service.config->name, doubt);
}

Event outage_doubt_ended(const ServiceState& service, Clock::duration lasted) {
  const auto current = placement(service).current;
  const bool moved = !service.shadow && service.since > event_time() - std::chrono::duration_cast<WallTime::duration>(lasted);
  OutageDoubtEnded ended{.target = moved ? ServerName{} : named(service, current).value_or(ServerName{}),
                         .lasted = lasted,
                         .observed = service.shadow.has_value()};
  if (service.outage.phase == OutagePhase::confirmed)
    ended.end = OutageDoubtEnded::End::confirmed;
  else if (!current || service.force || moved)
    ended.end = OutageDoubtEnded::End::ended;
  else if (candidate(service.servers[*current]).health == Health::down)
    ended.end = OutageDoubtEnded::End::dead;
  return make(service.config->name, ended);
}

Event probe_warning(const ServiceState& service, const ServerState& server, const ProbeState& probe, const probes::ProbeResult& result) {
  const bool several = probe.probe != nullptr && server.probes.size() > 1;
  return make(service.config->name, ProbeWarning{.server = named(server),
                                                 .result = result,
                                                 .probe = several ? name_of(*probe.probe) : "",
                                                 .wanted = probe.probe == nullptr ? "" : wanted_by(probe.probe->spec, result.reason)});
}

Event probes_inconclusive(const probes::ProbeResult& result) {
  return make({}, ProbesInconclusive{.reason = result.reason, .detail = result.detail});
}
Event probes_conclusive() { return make({}, ProbesConclusive{}); }
Event clients_not_heard(std::string failure) { return make({}, ClientsNotHeard{std::move(failure)}); }

Event path_trouble(const ServiceState& service, const std::optional<Address>& client) {
  return make(service.config->name, PathTrouble{.target = named(service, service.current).value_or(ServerName{}), .client = client});
}
Event path_finding(std::string service, Finding finding) { return make(std::move(service), PathFinding{std::move(finding)}); }

namespace {

Forced forced_now(const ServiceState& service, const Override& force, WallTime at) {
  Forced made{.server = named(service.servers[force.server]),
              .by = force.by,
              .until = force.until_wall,
              .lasts = {},
              .reason = force.reason,
              .until_down = force.until_down,
              .drill = force.drill};
  made.lasts = left_at(at, made.until);
  return made;
}

} // namespace

Event forced(const ServiceState& service, const Override& force) {
  const WallTime at = event_time();
  return {.at = at, .service = service.config->name, .what = forced_now(service, force, at)};
}

Event override_restored(const ServiceState& service, const Override& force) {
  const WallTime at = event_time();
  return {.at = at, .service = service.config->name, .what = OverrideRestored{forced_now(service, force, at)}};
}

Event override_waits(const ServiceState& service) {
  const Override force = service.force.value_or(Override{});
  return make(service.config->name, OverrideWaits{.role = service.servers[force.server].role, .by = force.by});
}

Event override_ended(const ServiceState& service, std::string by) {
  return make(service.config->name, OverrideEnded{.expired = by.empty(), .by = std::move(by)});
}

Event override_lost(const ServiceState& service) {
  const Override force = service.force.value_or(Override{});
  const bool known = force.server < service.servers.size(); // a service that is retired has lost its servers already
  return make(service.config->name,
              OverrideLost{.role = known ? service.servers[force.server].role : "", .by = force.by, .reason = force.reason});
}

Event override_clock(std::string service, std::chrono::seconds ends_after) { return make(std::move(service), OverrideClock{ends_after}); }

Event override_shared(const ServiceState& service, const ServiceState& owner) {
  return make(service.config->name, OverrideShared{.owner = owner.config->name, .group = service.config->group});
}

Event flows_cut(const ServiceState& service, const Eviction& eviction) {
  return make(service.config->name, FlowsCut{.flows = eviction.comment,
                                             .cut = eviction.cut,
                                             .busy = eviction.busy,
                                             .left = eviction.left,
                                             .flip = flip_of(service, eviction)});
}

Event cut_cancelled(const ServiceState& service, const Flip& flip) {
  return make(service.config->name,
              CutCancelled{.flows = fmt::format("{} {}", service.config->name, flip.from), .cut = flip.cut, .flip = report(service, flip)});
}

Event drain_begun(const ServiceState& service, const Eviction& eviction) {
  DrainBegun begun{.flows = eviction.comment, .kind = kind_of(eviction), .lasts = std::nullopt};
  if (eviction.drain && eviction.drain->until) begun.lasts = *eviction.drain->until - eviction.drain->since;
  return make(service.config->name, std::move(begun));
}

Event drain_changed(const ServiceState& service, const Eviction& eviction, std::string by, Time now) {
  DrainChanged changed{.flows = eviction.comment, .kind = kind_of(eviction), .lasts = {}, .by = std::move(by)};
  if (eviction.drain && eviction.drain->until) changed.lasts = std::max(*eviction.drain->until - now, Clock::duration::zero());
  return make(service.config->name, std::move(changed));
}

Event drain_void(const ServiceState& service, const Eviction& eviction) {
  return make(service.config->name, DrainVoid{.flows = eviction.comment, .kind = kind_of(eviction), .flip = flip_of(service, eviction)});
}

Event drained(const ServiceState& service, const Eviction& eviction, Time now) {
  const Drain drain = eviction.drain.value_or(Drain{});
  return make(service.config->name, Drained{.flows = eviction.comment,
                                            .kind = kind_of(eviction),
                                            .took = now - drain.since,
                                            .ended = drain.drained(),
                                            .flip = flip_of(service, eviction)});
}

Event drain_ended(const ServiceState& service, const Eviction& eviction, DrainEnd end, bool whole, Time now) {
  const Drain drain = eviction.drain.value_or(Drain{});
  return make(service.config->name, DrainEnded{.flows = eviction.comment,
                                               .kept = !drain.until,
                                               .left = whole ? drain.left : std::nullopt,
                                               .took = now - drain.since,
                                               .end = end,
                                               .others_stay = !whole,
                                               .flip = flip_of(service, eviction)});
}

Event unexpected_flows(const ServiceState& service, const Eviction& eviction, std::uint64_t number) {
  UnexpectedFlows found{.number = number, .server = std::nullopt, .several_servers = false};
  if (!eviction.untranslated) {
    found.server = eviction.mappings.front().server;
    found.several_servers = std::ranges::any_of(eviction.mappings, [&](const Mapping& mapping) { return mapping.server != found.server; });
  }
  return make(service.config->name, found);
}

Event foreign_flows(const ServiceState& service, const Mapping& mapping, std::uint64_t number) {
  const bool early = mapping == untranslated(mapping.vip);
  return make(service.config->name,
              ForeignFlows{.vip = mapping.vip, .server = early ? std::nullopt : std::optional{mapping.server}, .number = number});
}

Event flows_not_recorded(const ServiceState& service, const Eviction& eviction, std::string error) {
  return make(service.config->name,
              FlowsNotRecorded{.flows = eviction.comment, .vip = eviction.mappings.front().vip, .error = std::move(error)});
}

Event conntrack_failed(bool counting, std::string error, std::chrono::seconds retry_after) {
  return make({}, ConntrackFailed{.counting = counting, .error = std::move(error), .retry_after = retry_after});
}

Event kernel_recovered() { return make({}, KernelRecovered{}); }
Event kernel_refused(std::string error) { return make({}, KernelRefused{std::move(error)}); }
Event table_restored(bool was_there) { return make({}, TableRestored{was_there}); }
Event table_replaced() { return make({}, TableReplaced{}); }
Event heartbeat_by_transaction(std::string error) { return make({}, HeartbeatByTransaction{std::move(error)}); }
Event heartbeat_by_packet() { return make({}, HeartbeatByPacket{}); }
Event not_offloaded(std::string services, bool unknown, std::string error) {
  return make({}, NotOffloaded{.services = std::move(services), .unknown = unknown, .error = std::move(error)});
}

} // namespace hanat::events
