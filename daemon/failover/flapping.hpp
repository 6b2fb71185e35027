// Notes which server got and lost the traffic, for the damping of failback, and says when a server is flapping and when no longer. Not
// here: how long it has to wait (decision/flap_damping), where the traffic goes meanwhile (decision).
#pragma once

#include "daemon/decision/service_state.hpp"
#include "daemon/failover/outbox.hpp"

namespace hanat {

/// What an operator, a drill or a reload moves there and back counts for nobody. The service has just moved, or in mode observe would have:
/// from `before` to where it is now.
void note_move(ServiceState& service, const Placement& before, const Decision& decision, Outbox& outbox, Time now);

/// Servers of which nothing is held against them any more.
void end_flapping(ServiceState& service, Outbox& outbox, Time now);

} // namespace hanat
