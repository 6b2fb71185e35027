// From the services to the doubt and back.
#include "daemon/failover/outage.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

/// The longest time in which a server that can be reached again has shown it, at the pace of an outage: the probes that were sent before
/// have to time out first. And links come back one after the other.
Clock::duration settle_time(std::span<ServiceState* const> group) {
  Clock::duration longest = std::chrono::seconds{1};
  for (const ServiceState* service : group)
    for (const ServerState& server : service->servers)
      for (const ProbeState& probe : server.probes)
        if (probe.probe != nullptr)
          longest = std::max(longest, 2 * probe.probe->spec.timeout + service->config->up.passes * probe.probe->spec.fast_interval);
  return std::min(longest, group.front()->config->none_after);
}

/// As all services of the group together see them.
std::vector<ServerInOutage> servers_of(std::span<ServiceState* const> group) {
  std::vector<ServerInOutage> servers;
  for (const ServerState& server : group.front()->servers) servers.push_back({.health = candidate(server).health, .way = {}});
  for (const ServiceState* service : group)
    for (std::size_t index = 0; index < servers.size(); ++index)
      servers[index].way = merge_ways(servers[index].way, way_to(service->servers[index]));
  return servers;
}

void check_silence(std::span<ServiceState* const> group, std::span<const ServerInOutage> servers, Time now) {
  const ServiceState& first = *group.front();
  for (std::size_t index = 0; index < servers.size(); ++index) {
    std::vector<WayToServer> others;
    for (std::size_t other = 0; other < servers.size(); ++other)
      if (other != index) others.push_back(servers[other].way);
    if (first.witness) others.push_back(first.witness->way);
    for (ServiceState* service : group) {
      Rare<SilenceCheck>& check = service->servers[index].silence_check;
      SilenceCheck next = check.value_or(SilenceCheck{});
      next.update(servers[index].way, others, first.config->none_after, now);
      check = next == SilenceCheck{} ? Rare<SilenceCheck>{} : Rare<SilenceCheck>{next};
    }
  }
}

/// By an operator, whatever becomes of the server.
bool is_pinned(const ServiceState& service) { return service.removed || (service.force && !service.force->until_down); }

/// A doubt that only waits for the answer of a server that is up is over in a moment, and not worth a word.
bool is_worth_telling(const ServiceState& service) {
  const OutageDoubt& outage = service.outage;
  const bool others_up = std::ranges::any_of(service.servers, [](const ServerState& one) { return usable(candidate(one)) == Health::up; });
  return outage.phase == OutagePhase::doubted && (outage.common || !others_up);
}

void log_changes(ServiceState& service, const OutageDoubt& before, Outbox& outbox, Time now) {
  if (!service.outage_logged && is_worth_telling(service)) {
    service.outage_logged = true;
    outbox.log(events::outage_doubted(service, outbox.standby));
  } else if (service.outage_logged && !service.outage.keeps_target()) {
    service.outage_logged = false;
    outbox.log(events::outage_doubt_ended(service, now - before.began));
  }
}

} // namespace

void update_outage(std::span<ServiceState* const> group, Outbox& outbox, Time now) {
  const ServiceState& first = *group.front();
  OutageDoubt outage;
  const bool same_size = std::ranges::all_of(group, [&](const ServiceState* one) { return one->servers.size() == first.servers.size(); });
  const bool drains = std::ranges::any_of(group, [](const ServiceState* one) { return !one->evictions.empty(); });
  if (same_size && drains) check_silence(group, servers_of(group), now);
  if (same_size && !is_pinned(first) && first.config->none_after > Clock::duration::zero()) {
    const Placement where = placement(first);
    const bool target_down = where.current && candidate(first.servers[*where.current]).health == Health::down;
    if (first.outage.phase == OutagePhase::none && !target_down) return; // in peace nothing is computed
    const auto servers = servers_of(group);
    outage = assess_outage(first.outage,
                           {.servers = servers,
                            .current = where.current,
                            .refused = where.refused,
                            .pinned = false,
                            .witness = first.witness ? std::optional{first.witness->way} : std::nullopt,
                            .none_after = first.config->none_after,
                            .settle_time = settle_time(group),
                            .window = first.config->down.within},
                           now);
  }
  for (ServiceState* service : group) {
    const OutageDoubt before = std::exchange(service->outage, outage);
    log_changes(*service, before, outbox, now);
  }
}

} // namespace hanat
