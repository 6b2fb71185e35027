// Keeps the doubt of a total outage up to date, and says when it begins and ends. Not here: the doubt itself (decision/outage_doubt), what
// follows from it (decision).
#pragma once

#include <span>

#include "daemon/decision/service_state.hpp"
#include "daemon/failover/outbox.hpp"

namespace hanat {

/// Of one service, or of the services of a group together. After their health was brought up to now, and before they are decided.
void update_outage(std::span<ServiceState* const> group, Outbox& outbox, Time now);

} // namespace hanat
