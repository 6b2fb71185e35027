// From the flows that conntrack has to what a service's servers have: which mappings are meant, and the sums by server. Pure. Not here:
// reading conntrack (failover/flow_lister), the text (cli/show_connections).
#pragma once

#include <chrono>
#include <vector>

#include "daemon/api/connections.hpp"
#include "daemon/decision/service_state.hpp"
#include "nat/conntrack/flow_list.hpp"

namespace hanat {

/// Every mapping of the service's endpoints that flows may have: to its servers, to its target, and those on their way out.
std::vector<Mapping> mappings_of(const ServiceState& service);

/// `services`: all, to tell what else a server is the target of.
ConnectionsReport make_connections(const ServiceState& service, const Services& services, const nat::FlowList& flows,
                                   std::chrono::microseconds took, Time now);

} // namespace hanat
