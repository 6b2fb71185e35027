// Whether the kernel's table of connections is full. Then every packet that begins a connection is dropped, a probe's too, and silence says
// nothing about a server. Not here: what is done about it (socket, daemon).
#pragma once

namespace hanat::probes {

/// Of this network namespace, up to 200 ms old. False where there is no such table. For the loop's thread.
bool conntrack_is_full();

} // namespace hanat::probes
