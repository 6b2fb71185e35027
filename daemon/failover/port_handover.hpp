// Ranges of ports that were given other borders: what is loaded of the old range and what is wanted now share ports without being the same
// endpoint. The kernel refuses two elements of a set that overlap, and flows that stay on their server are not to be cut.
// Not here: endpoints that are the same before and after (reload).
#pragma once

#include <span>
#include <vector>

#include "daemon/failover/change.hpp"
#include "daemon/failover/evictions.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// Ranges change hands in one transaction: where one of the services waits, the changes of those that give it ports, or get some of it,
/// wait too, and so on. Removes them from the changes. Returns all services that wait.
std::vector<ServiceState*> hold_handovers(std::vector<ServiceState*> waiting, std::vector<Change>& changes);

/// After these services were changed, or when a table was adopted. Without ranges nothing comes of it.
void adjust_ranges(std::span<ServiceState* const> services, ServiceRegistry& registry, Evictions& evictions, Time now);

} // namespace hanat
