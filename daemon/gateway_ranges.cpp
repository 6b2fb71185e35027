// The gateway and ranges of ports that were given other borders: what is loaded of the old one and what is wanted now share ports without
// being the same endpoint. The kernel refuses two elements of a set that overlap, and flows that stay on their server are not to be cut.
// Not here: endpoints that are the same before and after (gateway_config).
#include <algorithm>
#include <set>
#include <utility>

#include "daemon/gateway.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

/// Every endpoint that a service still has something of.
std::set<Vip> endpoints_left(const RunningService& service) {
  std::set<Vip> result;
  for (const auto& [vip, comment] : service.loaded.known) result.insert(vip);
  for (const auto& [vip, target] : service.loaded.target) result.insert(vip);
  for (const auto& [mapping, comment] : service.loaded.stale) result.insert(mapping.vip);
  for (const auto& [vip, until] : service.moved_until) result.insert(vip);
  for (const Departure& departure : service.departures)
    for (const Mapping& mapping : departure.mappings) result.insert(mapping.vip);
  return result;
}

/// The flows of a mapping at these ports.
Mapping at_ports(const Mapping& mapping, const Vip& listen) {
  const auto& [vip, server] = mapping;
  if (!is_range(vip)) return mapping;
  const Vip part = with_ports(vip, std::max(vip.port, listen.port), std::min(last_port(vip), last_port(listen)));
  return {.vip = part, .server = {.address = server.address, .port = is_range(part) ? std::uint16_t{0} : part.port}};
}

} // namespace

/// After a reload or an adoption. In peace, and without ranges, nothing comes of it.
void Gateway::fit_ranges(Time now) {
  std::map<Vip, RunningService*> listeners;
  for (const auto& service : services_)
    for (const Vip& vip : service->config.listen) listeners.emplace(vip, service.get());
  for (const auto& service : services_) {
    service->taken.clear();
    for (const Vip& vip : endpoints_left(*service)) {
      if (listeners.contains(vip)) continue;
      std::vector<std::pair<Vip, RunningService*>> new_ones;
      for_overlapping(listeners, vip, [&](const auto& entry) { new_ones.emplace_back(entry.first, entry.second); });
      for (const auto& [listen, owner] : new_ones) {
        service->moved_until.erase(vip);
        if (owner != service.get()) give_ports(*service, *owner, vip, listen, now);
        touch(*service);
      }
    }
  }
}

/// Ports of a service's old endpoint are another's now: flows on their way out go on as the other's, and flows to the target are the
/// other's if it has that server, too; else they go, and count for nobody.
void Gateway::give_ports(RunningService& from, RunningService& to, const Vip& old, const Vip& listen, Time now) {
  from.taken.push_back(listen);
  std::vector<Departure> parts;
  for (Departure& departure : from.departures) {
    if (departure.untranslated) continue;
    Departure part = departure;
    part.mappings.clear();
    for (const Mapping& mapping : departure.mappings)
      if (overlap(mapping.vip, listen)) part.mappings.push_back(at_ports(mapping, listen)); // of `old`, or what others left of it
    if (part.mappings.empty()) continue;
    take_out(departure.mappings, part.mappings);
    parts.push_back(std::move(part));
  }
  std::erase_if(from.departures, [](const Departure& departure) { return departure.mappings.empty() && !departure.in_job; });
  if (const auto target = from.loaded.target.find(old); target != from.loaded.target.end()) {
    const Endpoint& server = target->second.server;
    const auto own = std::ranges::find_if(to.config.servers, [&](const Server& one) { return serves_at(one, server); });
    if (own == to.config.servers.end())
      parts.push_back({.mappings = {at_ports({old, server}, listen)}, .comment = to.config.name, .untranslated = true, .due = now});
    else if (!to.current && !to.refused && to.loaded.target.empty()) { // no gap: it is believed until its probes say otherwise
      to.current = static_cast<std::size_t>(own - to.config.servers.begin());
      to.why = Why::adopted;
    }
  }
  for (Departure& part : parts) {
    part.id = ++next_departure_;
    part.flip = 0;
    if (part.in_job) job_.push_back({&to, part.id});
    to.departures.push_back(std::move(part));
    departing_.insert(&to);
  }
  touch(to);
}

} // namespace hanat
