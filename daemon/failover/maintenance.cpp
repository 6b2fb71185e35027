// Each function changes servers of the service and says so.
#include "daemon/failover/maintenance.hpp"

#include <algorithm>
#include <utility>

#include "daemon/decision/find_server.hpp"
#include "daemon/decision/reconfiguration.hpp"
#include "daemon/failover/overrides.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

void end_maintenance(ServiceState& service, ServerState& server, std::string by, Outbox& outbox) {
  server.maintenance.reset();
  server.planned = true;
  server.placed = false;
  outbox.overrides_changed = true;
  outbox.log(events::server_enabled(service, server, std::move(by)));
}

bool ends_later(const Maintenance& one, const Maintenance& other) {
  const auto rank = [](const Maintenance& maintenance) {
    return std::pair{maintenance.until_wall.value_or(WallTime::max()), maintenance.since};
  };
  return rank(one) > rank(other);
}

bool is_equal(const Maintenance& one, const Maintenance& other) {
  return one.until_wall == other.until_wall && one.since == other.since && one.by == other.by && one.reason == other.reason;
}

} // namespace

bool has_other_usable(const ServiceState& service, std::size_t server) {
  for (std::size_t other = 0; other < service.servers.size(); ++other) {
    if (other == server || service.servers[other].addresses == service.servers[server].addresses) continue; // itself, or its former target
    const Health health = usable(candidate(service.servers[other]));
    if (health == Health::up || health == Health::full) return true;
  }
  return false;
}

void disable_server(ServiceState& service, std::size_t server, Maintenance maintenance, ServiceRegistry& registry, Outbox& outbox) {
  service.servers[server].maintenance = std::move(maintenance);
  outbox.log(events::server_disabled(service, service.servers[server]));
  outbox.overrides_changed = true;
  registry.mark_dirty(service);
}

void enable_server(ServiceState& service, std::size_t server, std::string by, ServiceRegistry& registry, Outbox& outbox) {
  if (!service.servers[server].maintenance) return;
  end_maintenance(service, service.servers[server], std::move(by), outbox);
  service.servers[server].planned_flows = service.asked_flows;
  registry.mark_dirty(service);
}

void expire_maintenance(ServiceState& service, Outbox& outbox, Time now) {
  for (ServerState& server : service.servers) {
    const auto until = server.maintenance ? server.maintenance->until : std::optional<Time>{};
    if (until && *until <= now) end_maintenance(service, server, {}, outbox);
  }
}

void share_maintenance(std::span<ServiceState* const> group, ServiceRegistry& registry, Outbox& outbox) {
  for (std::size_t index = 0; index < group.front()->servers.size(); ++index) {
    std::optional<Maintenance> shared;
    for (const ServiceState* service : group)
      if (const auto& own = service->servers[index].maintenance; own && (!shared || ends_later(*own, *shared))) shared = own;
    if (!shared) continue;
    for (ServiceState* service : group)
      if (const auto& own = service->servers[index].maintenance; !own || !is_equal(*own, *shared))
        disable_server(*service, index, *shared, registry, outbox);
  }
}

void keep_maintenance(ServiceState& service, const std::vector<ServerState>& before, Outbox& outbox) {
  if (before.empty()) return; // a new service
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    const bool stays = index < before.size() && before[index].addresses == service.servers[index].addresses;
    ServerState& server = service.servers[index];
    // What a server that is up waits for, a time or an operator, may be what the new configuration changes.
    server.planned = !stays || before[index].planned || server.health == Health::up;
    server.placed = !stays && server.health != Health::down;
    if (stays) server.planned_flows = before[index].planned_flows;
  }
  for (const ServerState& old : before) {
    if (!old.maintenance) continue;
    outbox.overrides_changed = true;
    const auto place = find_server(service.config->servers, old, before);
    if (!place) {
      outbox.log(events::maintenance_lost(service.config->name, old));
      continue;
    }
    ServerState& server = service.servers[*place];
    server.maintenance = old.maintenance;
    if (server.role != old.role || server.addresses != old.addresses) outbox.log(events::maintenance_moved(service, old, server));
  }
}

void forget_maintenance(ServiceState& service, Outbox& outbox) {
  for (const ServerState& server : service.servers) {
    if (!server.maintenance) continue;
    outbox.log(events::maintenance_lost(service.config->name, server));
    outbox.overrides_changed = true;
  }
}

std::vector<SavedMaintenance> saved_maintenance(const Services& services) {
  std::vector<SavedMaintenance> result;
  for (const auto& service : services)
    for (const ServerState& server : service->servers)
      if (const auto& maintenance = server.maintenance)
        result.push_back({.service = service->config->name,
                          .server = server.role,
                          .addresses = server.addresses,
                          .until = maintenance->until_wall,
                          .reason = maintenance->reason,
                          .by = maintenance->by,
                          .since = maintenance->since,
                          .host = server.host});
  return result;
}

void restore_maintenance(const SavedMaintenance& saved, ServiceRegistry& registry, Outbox& outbox, Time now) {
  ServiceState* service = registry.find(saved.service);
  ServerState old{.role = saved.server, .addresses = saved.addresses, .probes = {}};
  const auto place = service == nullptr ? std::nullopt : find_by_name(service->config->servers, saved.host, saved.addresses);
  Maintenance maintenance{.until_wall = saved.until, .since = saved.since, .reason = saved.reason, .by = saved.by};
  if (!place) {
    old.maintenance = std::move(maintenance);
    outbox.log(events::maintenance_lost(saved.service, old));
    outbox.overrides_changed = true; // the file forgets it, too: what comes back later is another server
    return;
  }
  if (saved.until) {
    const SavedTime rest = time_left(saved.since, *saved.until);
    maintenance.until = now + rest.left;
    if (rest.clock_went_back)
      outbox.log(events::maintenance_clock(saved.service, std::chrono::duration_cast<std::chrono::seconds>(rest.left)));
  }
  ServerState& server = service->servers[*place];
  server.maintenance = std::move(maintenance);
  outbox.log(events::maintenance_restored(*service, server));
  if (server.role != old.role || server.addresses != old.addresses) outbox.log(events::maintenance_moved(*service, old, server));
  registry.mark_dirty(*service);
}

} // namespace hanat
