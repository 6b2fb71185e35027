// Where a server serves a VIP.
// Not here: where its probes go (probe_targets).
#include "daemon/config/config.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/key_values.hpp"
#include "nat/port_range.hpp"

namespace hanat {

std::string to_text(const HostName& host) { return host.port == 0 ? host.name : fmt::format("{}:{}", host.name, host.port); }

std::optional<Endpoint> endpoint_for(const ServerConfig& server, const Vip& vip) {
  const auto found =
      std::ranges::find(server.addresses, vip.address.family(), [](const Endpoint& endpoint) { return endpoint.address.family(); });
  if (found == server.addresses.end()) return std::nullopt;
  if (is_range(vip)) return Endpoint{.address = found->address, .port = 0};
  if (const auto range = find_covering(server.mapped, vip); range != server.mapped.end())
    return Endpoint{.address = found->address, .port = static_cast<std::uint16_t>(range->second + (vip.port - range->first.port))};
  return Endpoint{.address = found->address, .port = found->port != 0 ? found->port : vip.port};
}

bool serves_at(const ServerConfig& server, const Endpoint& at) {
  return std::ranges::any_of(server.addresses, [&](const Endpoint& own) {
    if (own.address != at.address) return false;
    if (own.port == 0 || at.port == 0 || own.port == at.port) return true;
    return std::ranges::any_of(server.mapped, [&](const auto& range) {
      const auto& [vip, first] = range;
      return vip.address.family() == at.address.family() && at.port >= first && at.port - first <= vip.last - vip.port;
    });
  });
}

Config settings_of(const Config& config) {
  return {.on_stop = config.on_stop,
          .operators = config.operators,
          .reconcile = config.reconcile,
          .metrics = config.metrics,
          .resolver = config.resolver,
          .path_check = config.path_check,
          .probe_ports = config.probe_ports,
          .pair = config.pair,
          .hook = config.hook,
          .services = {}};
}

std::vector<std::string> changed_settings(const Config& before, const Config& after) {
  std::vector<std::string> changed;
  for (KeyDifference& one : differences(before, after)) changed.push_back(std::move(one.key));
  return changed;
}

} // namespace hanat
