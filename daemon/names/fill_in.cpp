// Service by service, server by server.
#include "daemon/names/fill_in.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

using Listeners = std::map<Vip, bool>; // no two keys overlap

Listeners listeners_of(const Config& config) {
  Listeners listeners;
  for (const ServiceConfig& service : config.services)
    for (const Vip& vip : service.listen) listeners.emplace(vip, true);
  return listeners;
}

/// Packets for the server would be translated again.
bool is_listener(const ServiceConfig& service, const ServerConfig& server, const Listeners& listeners) {
  return std::ranges::any_of(service.listen, [&](const Vip& vip) {
    const auto endpoint = endpoint_for(server, vip);
    if (!endpoint) return false;
    const std::uint16_t first = endpoint->port != 0 ? endpoint->port : vip.port;
    const Vip target = with_ports({.address = endpoint->address, .protocol = vip.protocol}, first, is_range(vip) ? vip.last : first);
    bool found = false;
    for_overlapping(listeners, target, [&found](const auto&) { found = true; });
    return found;
  });
}

/// The same machine and port: a flow has no way to leave the one for the other.
bool is_same(const ServiceConfig& service, const ServerConfig& one, const ServerConfig& other) {
  return std::ranges::any_of(service.listen, [&](const Vip& vip) {
    const auto endpoint = endpoint_for(one, vip);
    return endpoint && endpoint == endpoint_for(other, vip);
  });
}

bool has_names(const ServiceConfig& service) {
  return std::ranges::any_of(service.servers, [](const ServerConfig& server) { return server.host.has_value(); });
}

void fill_server(ServiceConfig& service, std::size_t index, const Listeners& listeners, const FindRecord& find) {
  ServerConfig& server = service.servers[index];
  HostName& host = *server.host; // NOLINT(bugprone-unchecked-optional-access): it has one
  server.addresses.clear();
  bool known = true;
  for (const Family family : families_of(service)) {
    const NameRecord* record = find({.name = host.name, .family = family});
    known = known && record != nullptr && record->known;
    if (record != nullptr && record->address) server.addresses.push_back({.address = *record->address, .port = host.port});
  }
  bool clashes = is_listener(service, server, listeners);
  for (std::size_t other = 0; other < service.servers.size(); ++other) // of two names the first; an address that is configured stays
    if (other != index && (other < index || !service.servers[other].host))
      clashes = clashes || is_same(service, server, service.servers[other]);
  if (clashes) server.addresses.clear();
  host.lookup = !server.addresses.empty() ? Lookup::resolved : known ? Lookup::failed : Lookup::pending;
}

} // namespace

std::vector<Family> families_of(const ServiceConfig& service) {
  std::vector<Family> families;
  const std::vector<Vip>& ports = listening_ports(service);
  for (const Family family : both_families)
    if (std::ranges::find(ports, family, [](const Vip& vip) { return vip.address.family(); }) != ports.end()) families.push_back(family);
  return families;
}

std::set<NameQuery> queries_of(const Config& config) {
  std::set<NameQuery> queries;
  for (const ServiceConfig& service : config.services)
    for (const ServerConfig& server : service.servers)
      if (server.host)
        for (const Family family : families_of(service)) queries.insert({.name = server.host->name, .family = family});
  return queries;
}

bool has_names(const Config& config) {
  return std::ranges::any_of(config.services, [](const ServiceConfig& service) { return has_names(service); });
}

Config fill_in(Config config, const FindRecord& find) {
  const Listeners listeners = listeners_of(config);
  for (Shared<ServiceConfig>& shared : config.services) {
    if (!has_names(shared)) continue;
    ServiceConfig& service = shared.edit();
    for (std::size_t index = 0; index < service.servers.size(); ++index)
      if (service.servers[index].host) fill_server(service, index, listeners, find);
  }
  return config;
}

} // namespace hanat
