// The last of the servers comes and goes.
#include "daemon/failover/former.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "daemon/decision/reconfiguration.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

/// A server that is configured gets a second place behind all of them, and keeps its probes at the first.
void add_former(ServiceState& service, const FormerTarget& former, HealthMonitor& health, ServiceRegistry& registry) {
  const std::size_t place = service.current.value_or(0);
  ServerConfig config = service.config->servers[place];
  config.role = former_role;
  config.host.reset();
  const ServerState& server = service.servers[place];
  ServerState copy{.role = config.role,
                   .addresses = server.addresses,
                   .probes = {},
                   .former = former,
                   .health = server.health,
                   .last_logged = server.last_logged,
                   .up_since = server.up_since};
  health.copy_probes(server, copy);
  service.config.edit().servers.push_back(std::move(config));
  service.servers.push_back(std::move(copy));
  if (service.current) service.current = service.servers.size() - 1;
  health.assign(service);
  registry.list(service);
  registry.mark_dirty(service);
}

} // namespace

void share_former(std::span<ServiceState* const> group, HealthMonitor& health, ServiceRegistry& registry) {
  const auto has_one = [](const ServiceState* service) { return former_of(*service).has_value(); };
  const auto owner = std::ranges::find_if(group, has_one);
  if (owner == group.end()) return;
  const FormerTarget former = (*owner)->servers.back().former.value_or(FormerTarget{});
  for (ServiceState* service : group)
    if (!has_one(service)) add_former(*service, former, health, registry);
}

void report_former(ServiceState& service, Outbox& outbox) {
  if (service.reason != Reason::configuration || !former_of(service)) return;
  const auto is_known = [](const ServerState& server) { return usable(candidate(server)) != Health::unknown; };
  FormerTarget& former = *service.servers.back().former; // NOLINT(bugprone-unchecked-optional-access): by its role
  if (former.reported || !std::ranges::all_of(configured_servers(service), is_known)) return;
  former.reported = true;
  outbox.log(events::former_kept(service));
}

bool drop_former(ServiceState& service, HealthMonitor& health, ServiceRegistry& registry) {
  if (!former_of(service)) return false;
  ServiceState* self = &service;
  const auto group = registry.group_of(self);
  const auto has_left = [](const ServiceState* one) { return one->current && one->current != former_of(*one); };
  if (!std::ranges::all_of(group, has_left)) return false; // they have the same number of servers, whatever the kernel refuses
  for (ServiceState* one : group) {
    if (!former_of(*one)) continue;
    health.forget(one->servers.back());
    one->servers.pop_back();
    one->config.edit().servers.pop_back();
    registry.list(*one);
    one->due.followup = true; // its sources are still loaded
  }
  return true;
}

} // namespace hanat
