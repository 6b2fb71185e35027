// What the other gateway is to know of a service. Not here: the page (peer_page).
#pragma once

#include <cstdint>

#include "daemon/decision/service_state.hpp"
#include "daemon/peer/peer_page.hpp"

namespace hanat {

PeerService make_peer_service(const ServiceState& service);

/// Another number when anything of that may have changed without a reload, or what the two gateways are compared by. It costs next to
/// nothing: a service is looked at with each result of a probe that it shares with thousands of others.
std::uint64_t peer_fingerprint(const ServiceState& service);

} // namespace hanat
