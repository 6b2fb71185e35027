// The status, gathered from the running services. Not here: its JSON form (status), printing it (cli).
#pragma once

#include "daemon/gateway.hpp"
#include "daemon/status.hpp"

namespace hanat {

ServiceStatus report(const RunningService& service, Time now);

} // namespace hanat
