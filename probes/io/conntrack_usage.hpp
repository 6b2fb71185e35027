// Whether the conntrack table is full. Then the kernel drops every packet that starts a connection, probes included, and a missing reply
// says nothing about the server. Not here: what follows from that (socket, daemon/failover/health_monitor).
#pragma once

namespace hanat::probes {

/// Of this network namespace; cached for 200 ms. False without conntrack. For the loop's thread only.
bool conntrack_is_full();

} // namespace hanat::probes
