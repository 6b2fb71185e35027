// The probes of a server: every probe with the endpoint it is sent to.
// Not here: running them (probes/scheduling).
#pragma once

#include <optional>
#include <vector>

#include "daemon/config/config.hpp"
#include "nat/address.hpp"
#include "probes/result.hpp"

namespace hanat {

/// The protocol of a kind of probe. nullopt: it has no ports (icmp), or its program decides (exec).
std::optional<Protocol> probe_protocol(probes::Kind kind);
/// All probes of a server, one per configured probe and address. Port 0: the kind needs no port, or the service has no listener with a
/// single port; validation rejects the latter.
std::vector<probes::Probe> probes_for(const ServiceConfig& service, const ServerConfig& server);

} // namespace hanat
