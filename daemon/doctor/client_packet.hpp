// The packets of hanatd's own client: bytes of a SYN, an RST, a datagram and an echo request, and what a packet that comes back says.
// Pure. Not here: sending and waiting (synthetic_client).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "nat/address.hpp"

namespace hanat {

using Packet = std::vector<std::uint8_t>;

/// Whole packets, with their checksums. Both endpoints are of one family.
Packet tcp_packet(const Endpoint& from, const Endpoint& to, std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledged = 0);
Packet udp_packet(const Endpoint& from, const Endpoint& to, std::string_view payload);
Packet echo_request(const Address& from, const Address& to, std::uint16_t id);

enum class ReplyKind : std::uint8_t { syn_ack, reset, datagram, echo_reply, icmp_error };
/// What came back to the client. Of an ICMP error: the flow that it is about, and who sent it.
struct ClientReply {
  ReplyKind kind = ReplyKind::reset;
  Protocol protocol = Protocol::tcp;
  Endpoint client, peer; // an echo has its id as the client's port
  std::uint32_t acknowledged = 0;
  Address reporter;
  std::uint8_t type = 0, code = 0;
  bool operator==(const ClientReply&) const = default;
};
/// nullopt: not a reply to anything that is built above.
std::optional<ClientReply> parse_reply(std::span<const std::uint8_t> packet);

/// Which TCP segment of a flow a packet is, whatever NAT made of its addresses: the sequence numbers stay.
struct TcpSegment {
  Endpoint from, to;
  std::uint32_t sequence = 0, acknowledged = 0;
  std::uint8_t flags = 0;
};
std::optional<TcpSegment> parse_segment(std::span<const std::uint8_t> packet);

} // namespace hanat
