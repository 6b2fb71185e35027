// Each function changes the service's override and says so.
#include "daemon/failover/overrides.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/decision/find_server.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {

/// The file is text: a date of another millennium must not overflow a time of the loop. And a machine that comes up with its clock in the
/// past must not make a year of half an hour: never longer than the operator asked for.
SavedTime time_left(WallTime since, WallTime until) {
  constexpr std::chrono::hours longest{24 * 366 * 10};
  const auto asked = std::clamp<WallTime::duration>(until - since, WallTime::duration::zero(), longest);
  const WallTime::duration left = until - wall_now();
  return {.left = std::clamp<WallTime::duration>(left, WallTime::duration::zero(), asked), .clock_went_back = left > asked};
}

void begin_override(ServiceState& service, Override override, ServiceRegistry& registry, Outbox& outbox) {
  outbox.log(events::forced(service, override));
  service.force = std::move(override);
  service.override_ended = false;
  outbox.overrides_changed = true;
  registry.mark_dirty(service);
}

void end_override(ServiceState& service, std::string by, ServiceRegistry& registry, Outbox& outbox) {
  if (!service.force) return;
  service.override_ended = service.force->server != 0;
  service.force.reset();
  outbox.overrides_changed = true;
  outbox.log(events::override_ended(service, std::move(by)));
  registry.mark_dirty(service);
}

void expire_override(ServiceState& service, Outbox& outbox) {
  if (!service.force) return;
  service.force.reset();
  service.override_ended = true;
  outbox.overrides_changed = true;
  outbox.log(events::override_ended(service, {}));
}

void end_override_if_void(ServiceState& service, Outbox& outbox) {
  if (!service.force || service.force->copied) return;
  const ServerState& server = service.servers[service.force->server];
  const Candidate all = candidate(server);
  const bool lost = service.force->until_down && all.health == Health::down && !service.outage.keeps_target();
  if (!all.disabled && !lost) return;
  outbox.log(events::override_void(service, server, all.disabled));
  service.force.reset();
  outbox.overrides_changed = true;
}

void keep_override(ServiceState& service, const std::vector<ServerState>& before, Outbox& outbox) {
  if (!service.force) return;
  const ServerState& old = before[service.force->server];
  const auto place = find_server(service.config->servers, old, before);
  if (!place) {
    outbox.log(events::override_dropped(service.config->name, old, service.force->by));
    service.force.reset();
    outbox.overrides_changed = true;
    return;
  }
  service.force->server = *place;
  const ServerState& server = service.servers[*place];
  if (server.role == old.role && server.addresses == old.addresses) return;
  outbox.log(events::override_moved(service, old, server));
  outbox.overrides_changed = true;
}

void forget_ended_override(ServiceState& service) {
  const auto better = std::span{service.servers}.first(placement(service).current.value_or(0));
  const bool better_unknown =
      std::ranges::any_of(better, [](const ServerState& server) { return certain(candidate(server)) == Health::unknown; });
  if (!better_unknown) service.override_ended = false;
}

void share_override(std::span<ServiceState* const> group, ServiceRegistry& registry, Outbox& outbox) {
  const ServiceState* owner = nullptr;
  Override newest;
  for (const ServiceState* service : group)
    if (const auto& own = service->force; own && (owner == nullptr || own->since > newest.since)) {
      owner = service;
      newest = *own;
    }
  if (owner == nullptr) return;
  for (ServiceState* service : group) {
    if (const auto& own = service->force; own && own->server == newest.server && own->since == newest.since) continue;
    outbox.log(events::override_shared(*service, *owner));
    begin_override(*service, newest, registry, outbox);
  }
}

std::vector<SavedOverride> saved_overrides(const Services& services) {
  std::vector<SavedOverride> result;
  for (const auto& service : services)
    if (const auto& override = service->force)
      result.push_back({.service = service->config->name,
                        .target = service->servers[override->server].role,
                        .until = override->until_wall,
                        .reason = override->reason,
                        .by = override->by,
                        .since = override->since,
                        .addresses = service->servers[override->server].addresses,
                        .until_down = override->until_down,
                        .drill = override->drill,
                        .host = service->servers[override->server].host});
  return result;
}

namespace {

/// One of an older hanatd has no addresses: it is of the role.
std::optional<std::size_t> saved_place(const SavedOverride& saved, const std::vector<ServerConfig>& servers) {
  if (!saved.addresses.empty() || !saved.host.empty()) return find_by_name(servers, saved.host, saved.addresses);
  const auto server = std::ranges::find(servers, saved.target, &ServerConfig::role);
  return server == servers.end() ? std::nullopt : std::optional{static_cast<std::size_t>(server - servers.begin())};
}

} // namespace

void restore_override(const SavedOverride& saved, ServiceRegistry& registry, Outbox& outbox, Time now) {
  ServiceState* service = registry.find(saved.service);
  const auto server = service == nullptr ? std::nullopt : saved_place(saved, service->config->servers);
  const ServerState old{.role = saved.target, .addresses = saved.addresses, .probes = {}};
  if (!server) {
    outbox.log(events::override_dropped(saved.service, old, saved.by));
    outbox.overrides_changed = true; // the file forgets it, too
    return;
  }
  Override override{.server = *server,
                    .until = std::nullopt,
                    .until_wall = saved.until,
                    .since = saved.since,
                    .reason = saved.reason,
                    .by = saved.by,
                    .until_down = saved.until_down,
                    .drill = saved.drill};
  if (saved.until) {
    const SavedTime rest = time_left(saved.since, *saved.until);
    override.until = now + rest.left;
    if (rest.clock_went_back)
      outbox.log(events::override_clock(saved.service, std::chrono::duration_cast<std::chrono::seconds>(rest.left)));
  }
  outbox.log(events::override_restored(*service, override));
  service->force = std::move(override);
  const ServerState& place = service->servers[*server];
  const bool moved = !old.addresses.empty() && place.addresses != old.addresses; // one of an older hanatd has none
  if (place.role != old.role || moved) outbox.log(events::override_moved(*service, old, place));
  if (service->shadow) outbox.log(events::override_waits(*service));
  registry.mark_dirty(*service);
}

} // namespace hanat
