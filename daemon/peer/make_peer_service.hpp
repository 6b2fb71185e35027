// What the other gateway is to know of a service. Not here: the page (peer_page).
#pragma once

#include "daemon/decision/service_state.hpp"
#include "daemon/peer/peer_page.hpp"

namespace hanat {

PeerService make_peer_service(const ServiceState& service);

} // namespace hanat
