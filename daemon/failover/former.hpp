// Targets that are no server of the configuration any more: shared by a group, reported, and dropped when another server has the traffic.
// Not here: when one begins (decision/reconfiguration), when the traffic leaves it (decision).
#pragma once

#include <span>

#include "daemon/failover/health_monitor.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// Where one service of a group has a former target, all get one: each that server which has its traffic. So they stay together.
void share_former(std::span<ServiceState* const> group, HealthMonitor& health, ServiceRegistry& registry);
/// The former target has the traffic although all servers of the configuration are judged: says so, once.
void report_former(ServiceState& service, Outbox& outbox);
/// The service has just moved, or not. True: its former target is gone, as a server of the configuration has the traffic, in the whole
/// group.
bool drop_former(ServiceState& service, HealthMonitor& health, ServiceRegistry& registry);

} // namespace hanat
