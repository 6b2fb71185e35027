// What programs report of servers' health: begun, renewed, ended, and kept over a reload by address. Not over a restart: it is good for
// seconds. Not here: what it decides (decision).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// It counts from now on; the same health once more only counts for longer.
void begin_report(ServiceState& service, std::size_t server, HealthReport report, ServiceRegistry& registry, Outbox& outbox);
/// The probes count again. `by`: who ended it.
void end_report(ServiceState& service, std::size_t server, std::string by, ServiceRegistry& registry, Outbox& outbox);
/// Ends those whose time is over.
void expire_reports(ServiceState& service, Outbox& outbox, Time now);
/// Another configuration, `before` are its servers until now.
void keep_reports(ServiceState& service, const std::vector<ServerState>& before);

} // namespace hanat
