// Finds settings of servers with names that contradict each other: a port where flows keep theirs, two servers of one name.
// Not here: what depends on their addresses, which are not known yet (daemon/names), servers with addresses (validate).
#include <algorithm>

#include <fmt/format.h>

#include "daemon/config/raw_config.hpp"

namespace hanat::config {
namespace {

void check_port(const Resolved& resolved, std::size_t server, Diagnostics& diagnostics) {
  const HostName host = resolved.service.servers[server].host.value_or(HostName{});
  if (host.port == 0) return;
  const auto range = std::ranges::find_if(*resolved.listen, [](const RawListen& entry) { return entry.listener.ports() > 1; });
  if (range == resolved.listen->end()) return;
  const SourceLocation& at = resolved.servers[server]->location;
  diagnostics.add(at, fmt::format("the {} of service {} has port {}, but the listener {} in {} is a range, and flows of a range keep their "
                                  "port: remove \":{}\", or give the range its own service",
                                  resolved.service.servers[server].role, resolved.service.name, host.port, shown(range->listener.text),
                                  diagnostics.where(range->location, at), host.port));
}

void check_duplicates(const Resolved& resolved, std::size_t server, Diagnostics& diagnostics) {
  const auto& servers = resolved.service.servers;
  const HostName own = servers[server].host.value_or(HostName{});
  for (std::size_t other = 0; other < server; ++other) {
    const auto& host = servers[other].host;
    if (!host || host->name != own.name || host->port != own.port) continue;
    const SourceLocation& at = resolved.servers[server]->location;
    diagnostics.add(at, fmt::format("{} is also the {} of service {} ({}): a backup on the same server gives no protection; write another "
                                    "server or remove this one",
                                    to_text(own), servers[other].role, resolved.service.name,
                                    diagnostics.where(resolved.servers[other]->location, at)));
  }
}

/// A name may have addresses of both families, and need not have either.
void check_interface_families(const Resolved& resolved, Diagnostics& diagnostics) {
  if (!std::ranges::all_of(resolved.service.servers, [](const ServerConfig& server) { return server.host.has_value(); })) return;
  for (const auto& [location, listener] : *resolved.listen)
    if (listener.interface && !listener.interface->family)
      diagnostics.add(location,
                      fmt::format("{0} does not say whether IPv4 or IPv6 is meant, and the servers of service {1} are names, which "
                                  "do not say it either: write \"ipv4@{2}\", \"ipv6@{2}\", or both",
                                  shown(listener.text), resolved.service.name, listener.text));
}

} // namespace

void validate_hosts(const Resolved& service, Diagnostics& diagnostics) {
  if (service.listen == nullptr || service.listen->empty() || service.service.servers.empty()) return;
  check_interface_families(service, diagnostics);
  for (std::size_t server = 0; server < service.service.servers.size(); ++server) {
    if (!service.service.servers[server].host) continue;
    check_port(service, server, diagnostics);
    check_duplicates(service, server, diagnostics);
  }
}

} // namespace hanat::config
