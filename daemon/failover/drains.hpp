// The beginning of a drain, another end of it by an operator, and its end by a decision. Not here: which flows drain (desired_state), the
// jobs that count them (evictions).
#pragma once

#include <optional>
#include <string>

#include "daemon/decision/desired_state.hpp"
#include "daemon/decision/service_state.hpp"
#include "daemon/failover/outbox.hpp"

namespace hanat {

/// An operator gives the drains of one server of the service, or of all of them, another end: after the policy's time, or now.
void change_drains(ServiceState& service, std::optional<std::size_t> server, const FlowPolicy& policy, const std::string& by,
                   Outbox& outbox, Time now);
/// Whether flows of that server drain in the eviction, or are kept; nullopt: of any.
bool is_drain_of(const ServiceState& service, const Eviction& eviction, std::optional<std::size_t> server);

void begin_drain(ServiceState& service, Eviction& eviction, Outbox& outbox, Time now);
/// Some mappings of a drain are targets again, or are on their way out now. `whole`: all are.
/// Before `count_anew`: the flows that ended by themselves are still the drain's here.
void log_drain_end(ServiceState& service, const Eviction& eviction, bool whole, const Plan& plan, Outbox& outbox, Time now);
/// The mappings of a drain are others now: what ended by itself so far is the flip's and the service's, and the rest is counted from zero.
/// Nothing for an eviction without a drain.
void count_anew(ServiceState& service, Eviction& eviction, Time now);

} // namespace hanat
