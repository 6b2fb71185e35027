// Endpoints of all services together. Of servers, which services share, those that the table's guard knows by their packets' source: all of
// them, and those that have just lost their traffic; and the virtual endpoints whose flows are offloaded. Pure.
// Not here: the elements of one service (desired_state).
#pragma once

#include "daemon/decision/service_state.hpp"
#include "nat/nftables/table_state.hpp"

namespace hanat {

/// The TCP endpoints of every configured server; `all_protocols`: the others, too. A service in mode observe has those that are loaded.
nat::EndpointMap all_servers(const Services& services, bool all_protocols = false);

/// Endpoints whose flows were cut in the last minute (ServiceState::displaced_until). Not among them: what is the target of any service,
/// and what still has flows that drain or are kept.
nat::EndpointMap displaced_servers(const Services& services, Time now);

/// The virtual endpoints with TCP and UDP that are loaded of services whose flows are offloaded.
nat::EndpointMap offloaded_endpoints(const Services& services);

/// After a restart: servers that were displaced before, and are not the target of their service, are displaced until then.
void restore_displaced(const Services& services, const nat::EndpointMap& displaced, Time until);

} // namespace hanat
