// Packet sockets: that of hanatd's own client, and one that sees its TCP segments on every interface of this machine, by their sequence
// numbers, which no translation changes. Not here: what is sent (synthetic_client).
#pragma once

#include <cstdint>

#include "nat/fd.hpp"

namespace hanat {

/// Sends and receives IP packets at one interface. Throws std::system_error.
Fd open_packet_socket(unsigned interface);

/// Receives TCP segments of any interface whose sequence number, or the number that they acknowledge, has these upper 16 bits. The kernel
/// drops all others before they cost anything. Throws std::system_error.
Fd watch_segments(std::uint16_t upper_sequence);

} // namespace hanat
