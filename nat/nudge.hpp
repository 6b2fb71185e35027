// The nudge: a bare TCP segment sent to a client with a virtual endpoint as its source. A client that waits silently on a connection to a
// dead server replies with an ACK, and the guard resets that reply. A client that is still connecting repeats its SYN at once (Linux 5.0
// and later). Best effort: a middlebox may drop the packet. The class has its own sockets, so an object may live on a worker thread. Not
// here: which clients to nudge (conntrack/cut), and when (daemon).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "nat/address.hpp"
#include "nat/fd.hpp"

namespace hanat::nat {

/// What the segment is. Its sequence numbers are 0, since conntrack does not tell those of a connection: the client sees a segment that it
/// does not expect, and says with an ACK what it does expect (RFC 9293, 3.10.7.4; RFC 5961, 4.2).
enum class Segment : std::uint8_t {
  /// For every client whose packets reach it unfiltered, connected or not. But a router that translates the client's address, or a firewall
  /// that drops invalid packets, compares sequence numbers: Linux lets the segment pass if the numbers of both sides are below 2^31, which
  /// is one connection of four, and before 6.1 only if 0 is within both windows, which is none.
  ack,
  /// For connected clients behind such a router. Conntrack takes a SYN and ACK in the direction of replies for a late duplicate of the
  /// handshake: in every state but the first it is "ignored", which means translated and passed on before sequence numbers are compared,
  /// and
  /// the entry stays as it is (nf_conntrack_proto_tcp.c: sIG in tcp_conntracks; so in Linux 2.6 and in 6.18). One packet, through any
  /// number of such routers. The other way, ACKs with numbers 2^30 apart on both sides, needs 16 and fails before Linux 6.1.
  syn_ack,
};

struct Nudge {
  Endpoint from; // the virtual endpoint
  Endpoint to;   // the client
  Segment segment = Segment::ack;
  bool operator==(const Nudge&) const = default;
};

/// The whole packet, IP header and TCP header, with their checksums. Pure. Throws std::invalid_argument for mixed families.
std::vector<std::uint8_t> nudge_packet(const Nudge& nudge);

class Nudger {
public:
  /// Opens a raw socket per family, with nat::packet_mark. Throws std::system_error; EPERM without CAP_NET_RAW. A kernel without IPv6 gets
  /// no IPv6 socket.
  Nudger();

  /// Sends one packet per nudge, paced; stops early when cancelled. Returns for each whether the kernel accepted it. Packets that it does
  /// not accept (no route, an operator's rule) are skipped.
  std::vector<bool> send(std::span<const Nudge> nudges, const std::atomic<bool>& cancelled);

private:
  const Fd& socket_for(Family family) const { return family == Family::ipv4 ? ipv4_ : ipv6_; }

  Fd ipv4_, ipv6_;
};

} // namespace hanat::nat
