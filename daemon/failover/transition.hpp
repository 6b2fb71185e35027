// From what is known of the services to what shall change, and what a change means for its service. No effects but on the services
// themselves. Not here: the order in which a transition is carried out (controller), the policy (decision).
#pragma once

#include <vector>

#include "daemon/failover/change.hpp"
#include "daemon/failover/evictions.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// Decides every dirty service, each group as one. A flip that has to wait for a cut is left out; its service is marked when that is over.
std::vector<Change> decide_dirty(ServiceRegistry& registry, Evictions& evictions, Outbox& outbox, Time now);

/// Whether clients who have a target, or are refused, get another answer by it.
bool moves_traffic(const Change& change);

/// The table holds the change: the service's target, reason and flip follow. Before its evictions start, and before `loaded` is replaced.
/// True: the service has flipped.
bool record_target(Change& change, Outbox& outbox);

} // namespace hanat
