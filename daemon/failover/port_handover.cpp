// The parts of old ranges, given to their new services.
#include "daemon/failover/port_handover.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

/// Every endpoint of which the service still has something.
std::set<Vip> endpoints_left(const ServiceState& service) {
  std::set<Vip> result;
  for (const auto& [vip, comment] : service.loaded.vips) result.insert(vip);
  for (const auto& [vip, target] : service.loaded.dnat) result.insert(vip);
  for (const auto& [mapping, comment] : service.loaded.stale) result.insert(mapping.vip);
  for (const auto& [vip, until] : service.recent_until) result.insert(vip);
  for (const Eviction& eviction : service.evictions)
    for (const Mapping& mapping : eviction.mappings) result.insert(mapping.vip);
  return result;
}

/// The flows of a mapping at these ports.
Mapping at_ports(const Mapping& mapping, const Vip& listen) {
  const auto& [vip, server] = mapping;
  if (!is_range(vip)) return mapping;
  const Vip part = with_ports(vip, std::max(vip.port, listen.port), std::min(last_port(vip), last_port(listen)));
  return {.vip = part, .server = {.address = server.address, .port = is_range(part) ? std::uint16_t{0} : part.port}};
}

/// Ports of a service's old endpoint are another's now: flows on their way out go on as the other's, and flows to the target are the
/// other's if it has that server, too; else they leave, and count for no flip.
void transfer_ports(ServiceState& from, ServiceState& to, const Vip& old, const Vip& listen, Evictions& evictions, Time now) {
  from.ports_taken_over.push_back(listen);
  std::vector<Eviction> parts;
  for (Eviction& eviction : from.evictions) {
    if (eviction.untranslated) continue;
    Eviction part = eviction;
    part.mappings.clear();
    for (const Mapping& mapping : eviction.mappings)
      if (overlap(mapping.vip, listen)) part.mappings.push_back(at_ports(mapping, listen)); // of `old`, or what others left of it
    if (part.mappings.empty()) continue;
    subtract(eviction.mappings, part.mappings);
    if (!eviction.given_up) parts.push_back(std::move(part));
  }
  evictions.drop_empty(from);
  if (const auto target = from.loaded.dnat.find(old); target != from.loaded.dnat.end()) {
    const Endpoint& server = target->second.server;
    const auto own = std::ranges::find_if(to.config->servers, [&](const ServerConfig& one) { return serves_at(one, server); });
    if (own == to.config->servers.end())
      parts.push_back({.mappings = {at_ports({old, server}, listen)}, .comment = to.config->name, .untranslated = true, .due = now});
    else if (!to.current && !to.refused && to.loaded.dnat.empty()) { // no gap: it stays until its probes say otherwise
      to.current = static_cast<std::size_t>(own - to.config->servers.begin());
      to.reason = Reason::adopted;
    }
  }
  for (Eviction& part : parts) {
    part.flip = 0;
    evictions.add(to, std::move(part));
  }
}

/// Of what is left of the service: endpoints that it does not listen to itself.
std::vector<Vip> endpoints_given_up(const ServiceState& service) {
  std::vector<Vip> given_up;
  for (const Vip& vip : endpoints_left(service))
    if (std::ranges::find(service.config->listen, vip) == service.config->listen.end()) given_up.push_back(vip);
  return given_up;
}

} // namespace

std::vector<ServiceState*> hold_handovers(std::vector<ServiceState*> waiting, std::vector<Change>& changes) {
  const auto gives_to = [](const ServiceState& from, const ServiceState& to) {
    return std::ranges::any_of(from.ports_taken_over, [&to](const Vip& ports) {
      return std::ranges::any_of(to.config->listen, [&ports](const Vip& vip) { return overlap(vip, ports); });
    });
  };
  for (std::size_t index = 0; index < waiting.size(); ++index) { // it grows meanwhile
    std::set<std::size_t> batches;
    for (const Change& change : changes)
      if (gives_to(*change.service, *waiting[index]) || gives_to(*waiting[index], *change.service)) batches.insert(change.batch);
    std::erase_if(changes, [&](const Change& change) {
      if (!batches.contains(change.batch)) return false;
      waiting.push_back(change.service);
      return true;
    });
  }
  return waiting;
}

void adjust_ranges(std::span<ServiceState* const> services, ServiceRegistry& registry, Evictions& evictions, Time now) {
  std::map<Vip, ServiceState*> listeners; // made where something was given up
  for (ServiceState* service : services) {
    service->ports_taken_over.clear();
    for (const Vip& vip : endpoints_given_up(*service)) {
      if (listeners.empty())
        for (const auto& one : registry.services())
          for (const Vip& listen : one->config->listen) listeners.emplace(listen, one.get());
      if (listeners.contains(vip)) continue;
      std::vector<std::pair<Vip, ServiceState*>> new_ones;
      for_overlapping(listeners, vip, [&](const auto& entry) { new_ones.emplace_back(entry.first, entry.second); });
      for (const auto& [listen, owner] : new_ones) {
        service->recent_until.erase(vip);
        if (owner != service) {
          transfer_ports(*service, *owner, vip, listen, evictions, now);
          registry.mark_dirty(*owner);
        }
        registry.mark_dirty(*service);
      }
    }
  }
}

} // namespace hanat
