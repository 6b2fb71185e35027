// Whether a server could take over, for every reader of a status: hanatctl and the status page. Not here: what either says of it
// (cli/notices, report/page_status), the decision itself (daemon/decision).
#pragma once

#include "daemon/api/status.hpp"

namespace hanat {

/// It has passed often enough to get the traffic at once when the target fails.
inline bool takes_over(const ServiceStatus& service, const ServerStatus& server) {
  return server.recovering && server.recovering->passes >= server.recovering->of && (!service.group || service.failback.to == server.role);
}

} // namespace hanat
