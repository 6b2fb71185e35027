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

/// The servers that some flow of an old endpoint may be on.
std::set<Address> servers_of(const RunningService& service, const Vip& vip) {
  std::set<Address> result;
  if (const auto target = service.loaded.target.find(vip); target != service.loaded.target.end())
    result.insert(target->second.server.address);
  for (const Departure& departure : service.departures)
    for (const Mapping& mapping : departure.mappings)
      if (mapping.vip == vip && !departure.untranslated) result.insert(mapping.server.address);
  return result;
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

/// Ports of a service's old endpoint are another's now. Flows to a server that the other one has, too, are its own now; those to any other
/// server go, and count for nobody.
void Gateway::give_ports(RunningService& from, RunningService& to, const Vip& old, const Vip& listen, Time now) {
  const Vip shared = with_ports(old, std::max(old.port, listen.port), std::min(last_port(old), last_port(listen)));
  std::vector<Mapping> given, strange;
  for (const Address& server : servers_of(from, old)) {
    given.push_back({.vip = listen, .server = {.address = server, .port = is_range(listen) ? std::uint16_t{0} : listen.port}});
    if (std::ranges::none_of(to.config.servers, [&](const Server& own) { return serves_at(own, {.address = server, .port = 0}); }))
      strange.push_back({.vip = shared, .server = {.address = server, .port = is_range(shared) ? std::uint16_t{0} : shared.port}});
  }
  from.taken.push_back(listen);
  for (Departure& departure : from.departures)
    if (!departure.untranslated) take_out(departure.mappings, given);
  std::erase_if(from.departures, [](const Departure& departure) { return departure.mappings.empty() && !departure.in_job; });
  if (!strange.empty()) {
    to.departures.push_back(
        {.id = ++next_departure_, .mappings = std::move(strange), .comment = to.config.name, .untranslated = true, .due = now});
    departing_.insert(&to);
  }
  touch(to);
}

} // namespace hanat
