// What the status says of flapping servers, doubted outages, witnesses and warnings. Not here: the rest of the status (make_status).
#pragma once

#include "daemon/api/status.hpp"
#include "daemon/decision/service_state.hpp"

namespace hanat {

/// Fills in what it knows of the service, whose servers are in `status` already.
void report_stability(const ServiceState& service, ServiceStatus& status, Time now);

} // namespace hanat
