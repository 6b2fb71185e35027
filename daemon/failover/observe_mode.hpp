// Services in mode observe: what would have been done is reported and remembered, and nothing is done. Not here: what such a service keeps
// in the kernel (desired_state: plan_observe), the decision, which is the same as ever (decision, group).
#pragma once

#include <vector>

#include "daemon/failover/change.hpp"
#include "daemon/failover/outbox.hpp"

namespace hanat {

/// Follows the mode of the configuration: the story begins with what the kernel does.
void begin_to_observe(ServiceState& service);
/// Another configuration, `before` are its servers until now: the shadow's target is still the same server, or none.
void keep_observing(ServiceState& service, const std::vector<ServerState>& before, Outbox& outbox);
/// Such a service's decision stands; its flows have been seen to.
void apply_to_shadow(ServiceState& service, const Decision& decision, Outbox& outbox);

} // namespace hanat
