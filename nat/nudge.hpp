// The nudge: a bare ACK in the name of a virtual endpoint. A client that waits in silence on a connection of a dead server answers it, and
// its answer meets the guard's reset; one whose SYN is on its way sends it again at once (FACTS 4). Best effort: a middlebox may drop it.
// Own sockets: an object of this class may live on a worker thread. Not here: whom to nudge (cut), and when (daemon).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nat/address.hpp"

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
  /// Opens a raw socket a family, with nat::packet_mark. Throws std::system_error; EPERM when CAP_NET_RAW is missing. A kernel without IPv6
  /// has no clients there to nudge.
  Nudger();
  ~Nudger();
  Nudger(Nudger&& other) noexcept;
  Nudger& operator=(Nudger&& other) noexcept;

  /// Sends one packet each, paced; ends early when cancelled. Returns how many the kernel took; one that it does not take (no route, an
  /// operator's rule) is left out.
  std::size_t send(std::span<const Nudge> nudges, const std::atomic<bool>& cancelled);

private:
  int socket_of(Family family) const { return family == Family::ipv4 ? ipv4_ : ipv6_; }
  void close();

  int ipv4_ = -1, ipv6_ = -1;
};

} // namespace hanat::nat
