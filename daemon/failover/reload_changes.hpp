// Which services a new configuration adds, changes and removes, and in what: the list by which a reload acts, and which a plan shows. Pure.
// Not here: acting by it (reload), what the traffic does then (rehearsal).
#pragma once

#include <optional>
#include <vector>

#include "daemon/api/reload_plan.hpp"
#include "daemon/config/config.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// Of a service that the configuration has; `service`: nullptr, there is none yet. nullopt: it stays the same.
std::optional<ServicePlan> service_change(const ServiceState* service, const Shared<ServiceConfig>& next);
ServicePlan service_removal(const ServiceState& service);
/// Removed ones first, then the others in the order of the configuration. Without moves and flows.
std::vector<ServicePlan> service_changes(const ServiceRegistry& registry, const Config& config);

} // namespace hanat
