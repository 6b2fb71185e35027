// The standby of a pair follows the active gateway: its targets, whatever the standby's own probes say, and its list of overrides and
// disabled servers, as copies that live on when the standby takes over. Not here: how it is told (daemon/peer), what a standby may do to
// connections (the role).
#pragma once

#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/peer/peer_page.hpp"

namespace hanat {

/// Takes over what the active gateway says of one service. What was made here and is not on its list is dropped, and that is told.
void follow_peer(ServiceState& service, const PeerService& active, ServiceRegistry& registry, Outbox& outbox, Time now);
/// Whether anything of it is the active gateway's.
bool follows_peer(const ServiceState& service);
/// The gateway is the standby no longer: the ordinary rules decide from where it is, and the copies are its own now.
void stop_following(ServiceState& service, ServiceRegistry& registry);

} // namespace hanat
