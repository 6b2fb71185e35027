// Single TCP segments by hand: what a late duplicate, a middlebox or an attacker would send beside a connection of the kernel's own.
// Not here: connections (peers).
#pragma once

#include <cstdint>

#include "tests/netns/lab/lab.hpp"

namespace hanat::test {

/// The sequence numbers of an established connection, as this end has them.
struct TcpNumbers {
  std::uint32_t to_send = 0, to_receive = 0;
};
TcpNumbers tcp_numbers(int socket);

/// `flags` as in netinet/tcp.h.
struct Segment {
  Endpoint from, to;
  std::uint32_t sequence = 0, acknowledged = 0;
  std::uint8_t flags = 0;
};
/// Sends it from a host that has the address `from`.
void send_segment(Lab& lab, Host host, const Segment& segment);

} // namespace hanat::test
