// What of a service carries on when its configuration changes: which of the new servers was there before, whose old probes go on deciding,
// and whether the target, which is no server any more, serves on behind the new ones. Pure.
// Not here: doing it (failover/reload, failover/health_monitor), when the traffic leaves such a target (decision).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/decision/service_state.hpp"

namespace hanat {

/// The role of a target that is no server of the configuration any more.
inline constexpr std::string_view former_role = "former";

/// Its place, behind the servers of the configuration; nullopt: the service has none.
std::optional<std::size_t> former_of(const ServiceState& service);
/// The servers of the configuration, which an operator may choose.
std::span<const ServerState> configured_servers(const ServiceState& service);
/// The configuration of the service as it was read: without a former target.
Shared<ServiceConfig> configured(const ServiceState& service);
bool is_configured_as(const ServiceState& service, const Shared<ServiceConfig>& config);

/// The server that serves every listener exactly where the kernel sends it now; nullopt: none does, or nothing is loaded for them.
std::optional<std::size_t> serving_now(const ServiceConfig& config, const nat::TableState& loaded);

/// The probes of a server behind a change.
struct ServerProbes {
  std::vector<probes::Probe> deciding, // in the order of the configuration, or all of those of before
      waiting;                         // new ones: they decide nothing until each has passed
};
struct Reconfiguration {
  Shared<ServiceConfig> config;                   // with a former target behind its servers
  std::vector<std::optional<std::size_t>> before; // of each server: its place until now
  std::vector<ServerProbes> probes;               // likewise
  bool begins_former = false;                     // the target has become one by this change
};
/// `service` is as it was before.
Reconfiguration reconfigure(const ServiceState& service, const Shared<ServiceConfig>& next);

} // namespace hanat
