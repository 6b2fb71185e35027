// Field by field.
#include "daemon/peer/make_peer_service.hpp"

#include <algorithm>

#include "daemon/decision/reconfiguration.hpp"

namespace hanat {
namespace {

constexpr std::size_t longest_reason = 1000; // bytes
constexpr std::size_t named_listeners = 16;  // more are compared as they are written

/// Servers are known to the other gateway by their addresses: one whose name has none is no server yet.
bool is_known(const ServerState& server) { return !server.addresses.empty(); }

PeerServer server_of(const ServerState& server) { return {.role = server.role, .addresses = server.addresses}; }

std::vector<std::string> listeners_of(const ServiceConfig& config) {
  std::vector<std::string> listen;
  const bool by_address = config.interfaces.empty(); // of an interface each gateway has addresses of its own
  if ((config.listen.size() > named_listeners || !by_address) && !config.listen_text.empty()) {
    listen = config.listen_text;
  } else {
    for (const Vip& vip : config.listen) listen.push_back(to_text(vip));
  }
  std::ranges::sort(listen);
  return listen;
}

} // namespace

PeerService make_peer_service(const ServiceState& service) {
  PeerService made{.name = service.config->name,
                   .listen = listeners_of(service.config),
                   .group = service.config->group,
                   .why = std::string{to_text(service.reason)},
                   .since = service.since};
  for (const ServerState& server : configured_servers(service))
    if (is_known(server)) made.servers.push_back(server_of(server));
  if (service.current && *service.current < service.servers.size() && is_known(service.servers[*service.current]))
    made.target = server_of(service.servers[*service.current]);
  if (const auto& force = service.force; force && force->server < service.servers.size() && is_known(service.servers[force->server]))
    made.force = PeerOverride{.server = server_of(service.servers[force->server]),
                              .until = force->until,
                              .since = force->since,
                              .reason = force->reason.substr(0, longest_reason),
                              .by = force->by,
                              .until_down = force->until_down};
  for (const ServerState& server : service.servers)
    if (const auto& maintenance = server.maintenance; maintenance && is_known(server))
      made.disabled.push_back({.server = server_of(server),
                               .until = maintenance->until,
                               .since = maintenance->since,
                               .reason = maintenance->reason.substr(0, longest_reason),
                               .by = maintenance->by});
  return made;
}

std::uint64_t peer_fingerprint(const ServiceState& service) {
  std::uint64_t hash = 0xcbf29ce484222325; // FNV-1a, by numbers
  const auto add = [&hash](auto value) { hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x100000001b3; };
  const auto add_end = [&add](const std::optional<Time>& until) { add(until ? until->time_since_epoch().count() : -1); };
  add(service.current ? *service.current + 1 : 0);
  add(service.reason);
  add(service.since.time_since_epoch().count());
  add(service.force ? service.force->server + 1 : 0);
  if (const auto& force = service.force) {
    add_end(force->until);
    add(force->since.time_since_epoch().count());
  }
  for (const ServerState& server : service.servers) {
    add(candidate(server).health == Health::down);
    add(server.maintenance.has_value());
    if (!server.maintenance) continue;
    add_end(server.maintenance->until);
    add(server.maintenance->since.time_since_epoch().count());
  }
  return hash;
}

} // namespace hanat
