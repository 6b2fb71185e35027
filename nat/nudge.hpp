// The nudge: a bare ACK sent to a client with a virtual endpoint as its source. A client that waits silently on a connection to a dead
// server replies, and the guard resets that reply. A client that is still connecting repeats its SYN at once (Linux 5.0 and later).
// Best effort: a middlebox may drop the packet. The class has its own sockets, so an object may live on a worker thread.
// Not here: which clients to nudge (conntrack/cut), and when (daemon).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nat/address.hpp"
#include "nat/fd.hpp"

namespace hanat::nat {

struct Nudge {
  Endpoint from; // the virtual endpoint
  Endpoint to;   // the client
  bool operator==(const Nudge&) const = default;
};

/// The whole packet, IP header and TCP header, with their checksums. Pure. Throws std::invalid_argument for mixed families.
std::vector<std::uint8_t> nudge_packet(const Nudge& nudge);

class Nudger {
public:
  /// Opens a raw socket per family, with nat::packet_mark. Throws std::system_error; EPERM without CAP_NET_RAW. A kernel without IPv6 gets
  /// no IPv6 socket.
  Nudger();

  /// Sends one packet per nudge, paced; stops early when cancelled. Returns how many the kernel accepted. Packets that it does not accept
  /// (no route, an operator's rule) are skipped.
  std::size_t send(std::span<const Nudge> nudges, const std::atomic<bool>& cancelled);

private:
  const Fd& socket_for(Family family) const { return family == Family::ipv4 ? ipv4_ : ipv6_; }

  Fd ipv4_, ipv6_;
};

} // namespace hanat::nat
