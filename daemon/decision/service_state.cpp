// What a service tells from its own data.
#include "daemon/decision/service_state.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/decision/reason_policy.hpp"
#include "daemon/decision/verdict.hpp"

namespace hanat {
namespace {

/// When it will be up if all goes well.
std::optional<Time> up_at(const ServerState& server) {
  std::optional<Time> last;
  for (const ProbeState* probe : deciding_probes(server.probes)) {
    if (probe->window.health() == Health::up) continue;
    const auto one = probe->window.up_at();
    if (!one) return std::nullopt;
    last = last ? std::max(*last, *one) : *one;
  }
  return last;
}

/// The server as this service alone sees it.
Candidate own_view(const ServerState& server) {
  return {.health = server.health,
          .up_since = server.up_since,
          .up_at = server.health == Health::up || server.report ? std::nullopt : up_at(server),
          .disabled = server.maintenance.has_value(),
          .planned = server.planned,
          .placed = server.placed,
          .unconfirmed = !server.report && !std::ranges::all_of(deciding_probes(server.probes),
                                                                [](const ProbeState* probe) { return probe->window.is_confirmed(); }),
          .former = server.former.has_value()};
}

/// A former target of a group may be a server that is configured, and the operator wants nothing at it.
bool is_disabled_former(const ServiceState& service, const ServerState& server) {
  if (!server.former) return false;
  return std::ranges::any_of(service.servers,
                             [&](const ServerState& other) { return other.maintenance && other.addresses == server.addresses; });
}

/// Whether another server than `self` has the traffic, and is not down.
bool another_works(const ServiceState& service, std::size_t self) {
  const auto current = placement(service).current;
  if (!current || *current == self) return false;
  return candidate(service.servers[*current]).health != Health::down;
}

} // namespace

std::string address_text(const ServerState& server) { return server.addresses.empty() ? server.host : to_text(server.addresses.front()); }

std::string target_name(const ServiceState& service) { return service.current ? service.servers[*service.current].role : "none"; }

std::optional<std::size_t> followed_server(const ServiceState& service) {
  const auto server = std::ranges::find(service.servers, true, &ServerState::followed);
  return server == service.servers.end() ? std::nullopt : std::optional{static_cast<std::size_t>(server - service.servers.begin())};
}

Placement placement(const ServiceState& service) {
  if (service.shadow) return service.shadow->placement;
  return {.current = service.current, .refused = service.refused};
}

const Flip* find_flip(const ServiceState& service, std::uint64_t number) {
  if (number == 0) return nullptr;
  if (service.last_flip && service.last_flip->number == number) return &*service.last_flip;
  const auto earlier = service.earlier_flips.find(number);
  return earlier == service.earlier_flips.end() ? nullptr : &earlier->second;
}

Flip* find_flip(ServiceState& service, std::uint64_t number) {
  return const_cast<Flip*>(find_flip(std::as_const(service), number)); // the service itself may be changed
}

bool has_evictions_of(const ServiceState& service, std::uint64_t flip) {
  return std::ranges::find(service.evictions, flip, &Eviction::flip) != service.evictions.end();
}

std::optional<Recovery> recovery_of(const ServerState& server, Time now) {
  std::optional<Recovery> all;
  for (const ProbeState& probe : server.probes) {
    if (probe.window.health() == Health::up) continue;
    const auto one = probe.window.recovery(now);
    if (!one) return std::nullopt;
    if (!all) all = *one;
    all->passes = std::min(all->passes, one->passes);
    all->lasts = std::min(all->lasts, one->lasts);
  }
  return all;
}

Candidate candidate(const ServerState& server) {
  return server.group_view ? merge_health(own_view(server), *server.group_view) : own_view(server);
}

WayToServer way_to(const ServerState& server) {
  WayToServer all;
  for (const ProbeState& probe : server.probes) all = merge_ways(all, probe.way);
  return all;
}

std::vector<Candidate> candidates(const ServiceState& service) {
  std::vector<Candidate> result;
  result.reserve(service.servers.size());
  for (const ServerState& server : service.servers) result.push_back(candidate(server));
  return result;
}

/// Of the server with this place, for each service of a group what the others know.
static void share_views(std::span<ServiceState* const> group, std::size_t index) {
  Candidate before = neutral, after = neutral; // of the services before, and behind, the one in turn
  for (ServiceState* service : group) {
    ServerState& server = service->servers.at(index);
    server.group_view = before;
    before = merge_health(before, own_view(server));
  }
  for (auto service = group.rbegin(); service != group.rend(); ++service) {
    ServerState& server = (*service)->servers[index];
    server.group_view = merge_health(server.group_view.value_or(neutral), after);
    after = merge_health(after, own_view(server));
  }
}

void share_health(std::span<ServiceState* const> group) {
  for (std::size_t index = 0; index < group.front()->servers.size(); ++index) {
    if (group.size() > 1)
      share_views(group, index);
    else
      group.front()->servers[index].group_view.reset();
    const auto is_disabled = [index](const ServiceState* service) { return is_disabled_former(*service, service->servers[index]); };
    if (std::ranges::none_of(group, is_disabled)) continue;
    for (ServiceState* service : group) {
      Rare<Candidate>& view = service->servers[index].group_view;
      if (!view) view = neutral;
      view->disabled = true;
    }
  }
}

/// The former target has the name of this server, and the address that the name had before.
static bool is_renamed(const ServerState& target, const ServerState& server) {
  return target.former && !server.host.empty() && target.former->host == server.host;
}

/// Whoever wants no new connections there does not say that it works: its probes go on to tell whether it is down.
static Health health_of(const ServerState& server) {
  if (server.unresolved) return Health::down;
  if (!server.report) return verdict_of(server.probes);
  return server.report->health == Health::full && verdict_of(server.probes) == Health::down ? Health::down : server.report->health;
}

void evaluate(ServiceState& service, Time now) {
  const auto current = placement(service).current;
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    ServerState& server = service.servers[index];
    const Context context{.target_works = another_works(service, index),
                          .preferred = current && index < *current,
                          .renamed = current && is_renamed(service.servers[*current], server)};
    for (ProbeState& probe : server.probes) probe.window.evaluate(context, now);
    if (server.new_probes)
      for (ProbeState& probe : server.new_probes->probes) probe.window.evaluate(context, now);
    const Health before = std::exchange(server.health, health_of(server));
    if (server.health == Health::up && before != Health::up) server.up_since = now;
    if (server.health == Health::down && before != Health::down) end_planned_move(server);
  }
}

void end_planned_move(ServerState& server) {
  server.planned = server.placed = false;
  server.planned_flows.reset();
}

void observe(const ServiceState& service, ServerState& server, std::size_t probe, const probes::ProbeResult& result, Time now) {
  if (result.outcome == probes::Outcome::inconclusive) return;
  Observations& observations = server.observations;
  const FailureWindow& window = server.probes[probe].window;
  if (result.outcome == probes::Outcome::pass) {
    const auto recovery = window.recovery(now);
    const bool unknown = window.health() == Health::unknown;
    if (recovery || unknown) // it is down, full or unknown, or was until this pass
      observations.add({.kind = Observation::Kind::pass,
                        .at = now,
                        .event = {},
                        .detail = {},
                        .probe = probe,
                        .reason = result.reason,
                        .latency = result.latency,
                        .count = window.passes(),
                        .of = service.config->up.passes});
    else if (!observations.empty() && window.health() == Health::up && !window.in_burst())
      observations.drop_before(now - service.config->down.within);
    return;
  }
  const bool full = result.outcome == probes::Outcome::full;
  if (!observations.empty()) observations.drop_passes();
  if (window.health() == Health::down && server.last_logged == Health::down) return; // nothing new, as long as it lasts
  observations.add({.kind = full ? Observation::Kind::full : Observation::Kind::fail,
                    .at = now,
                    .event = {},
                    .detail = result.detail,
                    .probe = probe,
                    .reason = result.reason,
                    .latency = result.latency,
                    .count = full ? window.fails_or_full(now) : window.fails(now),
                    .of = service.config->down.fails});
}

probes::Rate rate_of(const ServiceConfig& service, const ProbeState& probe, ProbePace pace) {
  const probes::ProbeSpec& spec = probe.probe->spec;
  const bool gone = probe.window.health() == Health::down && probe.window.passes() == 0;
  if (pace == ProbePace::relaxed && gone && spec.down_interval) return {.interval = *spec.down_interval, .in_flight = 1};
  if (pace == ProbePace::fast || probe.window.in_burst()) return {.interval = spec.fast_interval, .in_flight = service.down.fails};
  return {.interval = spec.interval, .in_flight = 1};
}

bool is_silent(const ServerState& server) {
  return server.health == Health::down && std::ranges::any_of(deciding_probes(server.probes), [](const ProbeState* probe) {
           return probe->window.health() == Health::down && probe->last_failure &&
                  policy_of(*probe->last_failure).standing == StandingFlows::never_drain;
         });
}

bool is_lost(const ServerState& server) {
  if (candidate(server).health != Health::down) return false;
  const WayToServer way = way_to(server);
  if (way.is_silent()) return server.silence_check && server.silence_check->is_its_own;
  return !way.heard_at || way.answers_badly;
}

bool awaits_silence_check(const ServiceState& service) {
  return !service.evictions.empty() && std::ranges::any_of(service.servers, [](const ServerState& server) {
    return server.health == Health::down && !(server.silence_check && server.silence_check->is_its_own) && way_to(server).is_silent();
  });
}

bool refuses_new(const ServiceState& service) {
  const OutageDoubt& outage = service.outage;
  return !service.shadow && outage.keeps_target() && outage.refuses_new && service.config->on_none == OnNone::refuse;
}

bool begins(const ServiceState& service) {
  return !service.current && !service.refused && !service.removed && !service.shadow && !service.force && service.config->group.empty() &&
         service.evictions.empty() && service.loaded.dnat.empty() && !service.loaded.vips.empty();
}

bool is_well(const ServiceState& service) {
  const auto ordered = [](const ServerState& server) { return server.maintenance || server.planned; };
  return service.current && service.servers[*service.current].health == Health::up && !service.removed && !service.shadow &&
         !service.force && !service.override_ended && service.config->group.empty() && std::ranges::none_of(service.servers, ordered);
}

/// A target that was adopted counts until it is judged.
bool reaches_a_server(const Services& services) {
  const auto reached = [](const auto& service) {
    for (std::size_t index = 0; index < service->servers.size(); ++index) {
      const Health health = usable(candidate(service->servers[index]));
      if (health == Health::up || health == Health::full || (health == Health::unknown && service->current == std::optional{index}))
        return true;
    }
    return false;
  };
  const auto removed = [](const auto& service) { return service->removed; };
  return std::ranges::all_of(services, removed) || std::ranges::any_of(services, reached);
}

std::optional<Time> next_timer(const ServiceState& service, Time now) {
  std::optional<Time> timer;
  const auto at = [&](std::optional<Time> moment) {
    if (moment && *moment > now) timer = timer ? std::min(*timer, *moment) : *moment;
  };
  at(service.failback_at);
  at(service.outage.until);
  if (service.force) at(service.force->until);
  for (const ServerState& server : service.servers) {
    at(server.damping.next_change(flap_rule(service.config), now));
    const auto silence = server.silence_check && !server.silence_check->is_its_own ? server.silence_check->silence : std::nullopt;
    if (silence) at(*silence + service.config->none_after);
    if (server.maintenance) at(server.maintenance->until);
    if (server.report) at(server.report->until);
    for (const ProbeState& probe : server.probes) at(probe.window.stable_at());
  }
  for (const auto& [vip, until] : service.recent_until) at(until);
  for (const auto& [mapping, until] : service.displaced_until) at(until);
  for (const Eviction& eviction : service.evictions) {
    if (!eviction.in_job) at(eviction.due);
    if (eviction.drain) at(eviction.drain->until);
  }
  return timer;
}

} // namespace hanat
