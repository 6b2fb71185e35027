// The beginning of a drain, and its end by a decision, as they are told. Not here: which flows drain (desired_state), the jobs that count
// them (evictions).
#pragma once

#include "daemon/decision/desired_state.hpp"
#include "daemon/decision/service_state.hpp"
#include "daemon/failover/outbox.hpp"

namespace hanat {

void begin_drain(ServiceState& service, Eviction& eviction, Outbox& outbox, Time now);
/// Some mappings of a drain are targets again, or are on their way out now. `whole`: all are.
void log_drain_end(ServiceState& service, const Eviction& eviction, bool whole, const Plan& plan, Outbox& outbox, Time now);

} // namespace hanat
