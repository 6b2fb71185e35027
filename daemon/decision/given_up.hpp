// Endpoints that a service no longer listens on, and parts of ranges of ports that were given other borders: what is left of them, and
// which flows go with them. Pure. Not here: the rest of the plan (desired_state).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "daemon/decision/desired_state.hpp"

namespace hanat {

/// The flows of a mapping at a part of its ports. Flows of a range keep their port.
Mapping part_of(const Mapping& mapping, const Vip& part);
/// The parts of a mapping at these virtual endpoints: all of it, none, or where a range of ports was given other borders some.
std::vector<Mapping> within(const Mapping& mapping, const std::map<Vip, std::string>& vips);
/// What of a virtual endpoint no service listens on any more.
std::vector<Vip> given_up_parts(const ServiceState& service, const std::map<Vip, std::string>& listed, const Vip& vip);

/// Flows of endpoints that the service no longer listens on. What is there afterwards may be somebody else's: an operator who takes an
/// endpoint from hanat has rules of his own for it, which may lead to the same server. So the flows that stand are recorded first, and
/// until then the endpoint stays as it is, stale keys included (a part of a range does not: it cannot stand beside the rest). Then it
/// leaves the table, and they go.
void disown(const ServiceState& service, Time now, Plan& result);
/// Flows that are given up with their drain are not given up by disown(), too.
void leave_out(const std::vector<Mapping>& given_up, std::vector<Eviction>& evictions);

} // namespace hanat
