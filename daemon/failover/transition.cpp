// Decisions of services and groups.
#include "daemon/failover/transition.hpp"

#include <algorithm>
#include <ctime>
#include <span>
#include <utility>

#include "daemon/failover/flapping.hpp"
#include "daemon/failover/former.hpp"
#include "daemon/failover/maintenance.hpp"
#include "daemon/failover/outage.hpp"
#include "daemon/failover/overrides.hpp"
#include "daemon/failover/port_handover.hpp"
#include "daemon/failover/reported_health.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

std::chrono::seconds local_day_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  localtime_r(&now, &local);
  return std::chrono::hours{local.tm_hour} + std::chrono::minutes{local.tm_min} + std::chrono::seconds{local.tm_sec};
}

/// Brings what is known of a group up to now, in two passes: a member's new health can change another's.
void update_health(std::span<ServiceState* const> group, Outbox& outbox, Time now) {
  const bool expired = std::ranges::any_of(
      group, [now](const ServiceState* service) { return service->force && service->force->until && *service->force->until <= now; });
  for (ServiceState* service : group)
    if (expired) expire_override(*service, outbox);
  for (ServiceState* service : group) {
    expire_maintenance(*service, outbox, now);
    expire_reports(*service, outbox, now);
  }
  for (int pass = 0; pass < (group.size() > 1 ? 2 : 1); ++pass) {
    share_health(group);
    for (ServiceState* service : group) evaluate(*service, now);
  }
  share_health(group);
  for (std::size_t index = 0; index < group.front()->servers.size(); ++index) {
    const auto went_down = [index](const ServiceState* service) {
      const ServerState& server = service->servers[index];
      return server.health == Health::down && server.last_logged != Health::down;
    };
    if (group.size() > 1 && std::ranges::any_of(group, went_down))
      for (ServiceState* service : group) end_planned_move(service->servers[index]);
  }
  for (ServiceState* service : group) {
    for (ServerState& server : service->servers)
      if (server.health != std::exchange(server.last_logged, server.health)) {
        outbox.log(events::health_changed(*service, server, now));
        server.observations.clear();
      }
    const auto is_over = [now](const auto& entry) { return entry.second <= now; };
    erase_if(service->recent_until, is_over);
    std::erase_if(service->displaced_until, is_over);
  }
}

/// Whether the reload that made a former target of the service came behind the override.
bool is_before_reload(const Override& force, const ServiceState& service) {
  const auto& former = service.servers.back().former;
  return former && force.since < former->since;
}

Decision decision_of(std::span<ServiceState* const> group, Time now) {
  const ServiceState& first = *group.front();
  if (first.removed) return {TargetKind::none, 0, Reason::no_server_up, Reason::no_server_up, std::nullopt};
  auto servers = candidates(first);
  for (std::size_t index = 0; index < servers.size(); ++index)
    for (const ServiceState* service : group)
      servers[index].penalty = std::max(servers[index].penalty, service->servers[index].damping.wait(flap_rule(service->config), now));
  std::vector<Placement> placements;
  for (const ServiceState* service : group) placements.push_back(placement(*service));
  Decision decision = decide_group({.servers = servers,
                                    .current = {},
                                    .refused = {},
                                    .forced = first.force ? std::optional{first.force->server} : std::nullopt,
                                    .followed = followed_server(first),
                                    .drill = first.force && first.force->drill,
                                    .forced_waits = first.force && is_before_reload(*first.force, first),
                                    .override_ended = first.override_ended,
                                    .failback = first.config->failback,
                                    .on_none = first.config->on_none,
                                    .day_time = first.config->failback.window ? local_day_time() : 0s,
                                    .keep_target = first.outage.keeps_target(),
                                    .wait_for_first = first.outage.phase == OutagePhase::returning},
                                   placements, now);
  decision.refuse_new = decision.kind == TargetKind::server && refuses_new(first);
  return decision;
}

/// One service, or the services of a group: one decision, and all of its changes or none. False: they wait for a job of the evictions.
bool decide_one(std::span<ServiceState* const> group, Evictions& evictions, std::vector<Change>& changes, Time now) {
  const Decision decision = decision_of(group, now);
  const std::size_t batch = changes.size();
  bool waits = false;
  for (ServiceState* service : group) {
    Plan plan = service->shadow ? plan_observe(*service, now) : desired_state(*service, decision, now);
    if (evictions.is_silent()) plan = plan_standby(*service, std::move(plan));
    waits |= evictions.delays(*service, plan);
    changes.push_back(
        {.batch = batch, .service = service, .decision = decision, .plan = std::move(plan), .asked_flows = service->asked_flows});
  }
  if (waits) changes.erase(changes.begin() + static_cast<std::ptrdiff_t>(batch), changes.end());
  return !waits;
}

void record_flip(Change& change, Outbox& outbox, WallTime at) {
  ServiceState& service = *change.service;
  const Decision& decision = change.decision;
  const bool cuts = std::ranges::any_of(change.plan.evictions, [](const Eviction& eviction) {
    return !eviction.untranslated && !eviction.drain && !eviction.drain_end && !eviction.given_up;
  });
  if (service.last_flip && has_evictions_of(service, service.last_flip->number))
    service.earlier_flips.emplace(service.last_flip->number, std::move(*service.last_flip));
  service.last_flip = Flip{.number = ++service.flips,
                           .at = at,
                           .from = target_name(service),
                           .to = decision.kind == TargetKind::server ? service.servers[decision.server].role : "none",
                           .reason = decision.flip_reason,
                           .commit = change.took,
                           .cut = {},
                           .cut_time = {},
                           .cutting = cuts};
  ++service.totals.flips[decision.flip_reason];
  outbox.log(events::flipped(service, decision, *service.last_flip, outbox.standby));
}

} // namespace

std::vector<Change> decide_dirty(ServiceRegistry& registry, Evictions& evictions, Outbox& outbox, Time now) {
  std::vector<Change> changes;
  std::vector<ServiceState*> waiting;
  for (ServiceState* service : std::exchange(outbox.held, {})) registry.mark_dirty(*service);
  registry.complete_groups();
  for (ServiceState* service : registry.dirty()) {
    const auto group = registry.group_of(service);
    if (group.front() != service) continue; // decided with the first of its group
    update_health(group, outbox, now);
    update_outage(group, outbox, now);
    for (ServiceState* member : group) {
      end_override_if_void(*member, outbox);
      end_flapping(*member, outbox, now);
    }
    if (!decide_one(group, evictions, changes, now)) waiting.insert(waiting.end(), group.begin(), group.end());
  }
  outbox.held = hold_handovers(std::move(waiting), changes);
  return changes;
}

bool moves_traffic(const Change& change) {
  const nat::TableState& loaded = change.service->loaded;
  return (!loaded.dnat.empty() && change.plan.rules.dnat != loaded.dnat) ||
         (!loaded.reject.empty() && change.plan.rules.reject != loaded.reject);
}

bool record_target(Change& change, Outbox& outbox) {
  ServiceState& service = *change.service;
  const Decision& decision = change.decision;
  const bool was_decided = service.current || service.refused || !service.loaded.dnat.empty();
  const bool new_target = !service.removed && decision.kind != TargetKind::undecided &&
                          (decision.kind == TargetKind::none ? !service.refused : service.current != std::optional{decision.server});
  // A former target may be a server that is still configured, because the group has one.
  const bool same_server =
      !service.removed && service.current && service.servers[*service.current].former && decision.kind == TargetKind::server;
  const bool flipped = was_decided && ((new_target && !same_server) || change.plan.moves);
  WallTime at = events::event_time();
  if (flipped && service.last_flip) at = std::max(at, service.last_flip->at + 1ms); // the history tells its flips apart by their times
  if (flipped)
    record_flip(change, outbox, at);
  else if (new_target && !same_server)
    outbox.log(events::first_target(service, decision, outbox.standby));
  if (decision.kind != TargetKind::undecided) {
    service.current = decision.kind == TargetKind::server ? std::optional{decision.server} : std::nullopt;
    service.refused = decision.kind == TargetKind::none && !service.removed;
  }
  const bool starts_anew = decision.reason == Reason::starting && service.reason != Reason::starting;
  if (new_target || starts_anew || service.since == WallTime{}) service.since = at;
  service.reason = decision.reason;
  report_former(service, outbox);
  service.failback_at = decision.failback_at;
  if (new_target && service.current) end_planned_move(service.servers[*service.current]);
  if (!service.removed) forget_ended_override(service);
  const bool made = std::optional<FlowPolicy>{service.asked_flows} == change.asked_flows && !service.override_ended;
  if (made) service.asked_flows.reset();
  return flipped;
}

} // namespace hanat
