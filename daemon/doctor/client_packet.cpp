// IPv4, IPv6, TCP, UDP and ICMP headers in network order, written and read by offset.
#include "daemon/doctor/client_packet.hpp"

#include <algorithm>

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>

namespace hanat {
namespace {

constexpr std::size_t header4 = 20, header6 = 40, tcp_bytes = 20, mss_option_bytes = 4, udp_bytes = 8, icmp_bytes = 8;
constexpr std::uint8_t hops = 64;
constexpr std::uint16_t window = 1024;

void put8(Packet& packet, unsigned value) { packet.push_back(static_cast<std::uint8_t>(value)); }
void put16(Packet& packet, unsigned value) {
  put8(packet, value >> 8U);
  put8(packet, value & 0xffU);
}
void put32(Packet& packet, std::uint32_t value) {
  put16(packet, value >> 16U);
  put16(packet, value & 0xffffU);
}
void put(Packet& packet, const Address& address) { packet.insert(packet.end(), address.bytes().begin(), address.bytes().end()); }

std::uint16_t get16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8U | bytes[at + 1]);
}
std::uint32_t get32(std::span<const std::uint8_t> bytes, std::size_t at) {
  return std::uint32_t{get16(bytes, at)} << 16U | get16(bytes, at + 2);
}

/// The ones' complement sum of RFC 1071, not yet folded.
std::uint32_t sum_of(std::span<const std::uint8_t> bytes, std::uint32_t start = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) start += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8U : 0U);
  return start;
}
void put_checksum(Packet& packet, std::size_t at, std::uint32_t total) {
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16U);
  const std::uint32_t folded = ~total & 0xffff;
  packet[at] = static_cast<std::uint8_t>(folded >> 8U);
  packet[at + 1] = static_cast<std::uint8_t>(folded);
}
std::uint32_t pseudo_header(const Address& from, const Address& to, std::uint8_t protocol, std::size_t length) {
  return sum_of(from.bytes(), sum_of(to.bytes())) + protocol + static_cast<std::uint32_t>(length);
}

Packet ip_header(const Address& from, const Address& to, std::uint8_t protocol, std::size_t payload) {
  Packet packet;
  packet.reserve(header6 + payload);
  if (from.family() == Family::ipv4) {
    put16(packet, 0x4500);
    put16(packet, static_cast<unsigned>(header4 + payload));
    put16(packet, 0);
    put16(packet, 0x4000); // don't fragment
    put8(packet, hops);
    put8(packet, protocol);
    put16(packet, 0);
    put(packet, from);
    put(packet, to);
    put_checksum(packet, 10, sum_of(packet));
  } else {
    put32(packet, 0x60000000);
    put16(packet, static_cast<unsigned>(payload));
    put8(packet, protocol);
    put8(packet, hops);
    put(packet, from);
    put(packet, to);
  }
  return packet;
}

/// Where the payload of an IP packet begins, and what it is. Packets with other headers between are not ours.
struct Parts {
  Address from, to;
  std::uint8_t protocol = 0;
  std::span<const std::uint8_t> payload;
};
std::optional<Parts> parts_of(std::span<const std::uint8_t> packet) {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4U == 4) {
    const std::size_t length = (packet[0] & 0xfU) * std::size_t{4};
    if (length < header4 || packet.size() < length || (get16(packet, 6) & 0x1fffU) != 0) return std::nullopt;
    return Parts{.from = Address::from_bytes(packet.subspan(12, 4)),
                 .to = Address::from_bytes(packet.subspan(16, 4)),
                 .protocol = packet[9],
                 .payload = packet.subspan(length)};
  }
  if (packet[0] >> 4U != 6 || packet.size() < header6) return std::nullopt;
  return Parts{.from = Address::from_bytes(packet.subspan(8, 16)),
               .to = Address::from_bytes(packet.subspan(24, 16)),
               .protocol = packet[6],
               .payload = packet.subspan(header6)};
}

/// An error quotes the packet that it is about: that of the client, as NAT undid it.
std::optional<ClientReply> error_reply(const Parts& parts, std::uint8_t type, std::uint8_t code) {
  const auto quoted = parts_of(parts.payload.subspan(icmp_bytes));
  if (!quoted || quoted->payload.size() < 8) return std::nullopt;
  if (quoted->protocol != IPPROTO_TCP && quoted->protocol != IPPROTO_UDP) return std::nullopt;
  return ClientReply{.kind = ReplyKind::icmp_error,
                     .protocol = quoted->protocol == IPPROTO_TCP ? Protocol::tcp : Protocol::udp,
                     .client = {quoted->from, get16(quoted->payload, 0)},
                     .peer = {quoted->to, get16(quoted->payload, 2)},
                     .acknowledged = 0,
                     .reporter = parts.from,
                     .type = type,
                     .code = code};
}

std::optional<ClientReply> icmp_reply(const Parts& parts) {
  if (parts.payload.size() < icmp_bytes) return std::nullopt;
  const bool v4 = parts.protocol == IPPROTO_ICMP;
  const std::uint8_t type = parts.payload[0], code = parts.payload[1];
  if (type == (v4 ? std::uint8_t{ICMP_ECHOREPLY} : std::uint8_t{ICMP6_ECHO_REPLY})) {
    ClientReply reply;
    reply.kind = ReplyKind::echo_reply;
    reply.client = {parts.to, get16(parts.payload, 4)};
    reply.peer = {parts.from, 0};
    return reply;
  }
  const bool error = v4 ? type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED : type < 128;
  return error ? error_reply(parts, type, code) : std::nullopt;
}

} // namespace

Packet tcp_packet(const Endpoint& from, const Endpoint& to, std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledged) {
  const bool with_size = (flags & TH_SYN) != 0; // as of every real client: there are rules that drop a SYN without it
  const std::size_t tcp_length = tcp_bytes + (with_size ? mss_option_bytes : 0);
  Packet packet = ip_header(from.address, to.address, IPPROTO_TCP, tcp_length);
  const std::size_t start = packet.size();
  put16(packet, from.port);
  put16(packet, to.port);
  put32(packet, sequence);
  put32(packet, acknowledged);
  put8(packet, static_cast<unsigned>(tcp_length / 4 << 4U));
  put8(packet, flags);
  put16(packet, window);
  put32(packet, 0);
  if (with_size) {
    put8(packet, TCPOPT_MAXSEG);
    put8(packet, mss_option_bytes);
    put16(packet, from.address.family() == Family::ipv4 ? 1460 : 1440);
  }
  const std::uint32_t pseudo = pseudo_header(from.address, to.address, IPPROTO_TCP, tcp_length);
  put_checksum(packet, start + 16, sum_of(std::span{packet}.subspan(start), pseudo));
  return packet;
}

Packet udp_packet(const Endpoint& from, const Endpoint& to, std::string_view payload) {
  const std::size_t length = udp_bytes + payload.size();
  Packet packet = ip_header(from.address, to.address, IPPROTO_UDP, length);
  const std::size_t start = packet.size();
  put16(packet, from.port);
  put16(packet, to.port);
  put16(packet, static_cast<unsigned>(length));
  put16(packet, 0);
  packet.insert(packet.end(), payload.begin(), payload.end());
  const std::uint32_t pseudo = pseudo_header(from.address, to.address, IPPROTO_UDP, length);
  put_checksum(packet, start + 6, sum_of(std::span{packet}.subspan(start), pseudo));
  if (get16(packet, start + 6) == 0) packet[start + 6] = packet[start + 7] = 0xff; // 0 means "no checksum"
  return packet;
}

Packet echo_request(const Address& from, const Address& to, std::uint16_t id) {
  const bool v4 = from.family() == Family::ipv4;
  const auto protocol = static_cast<std::uint8_t>(v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
  Packet packet = ip_header(from, to, protocol, icmp_bytes);
  const std::size_t start = packet.size();
  put8(packet, v4 ? unsigned{ICMP_ECHO} : unsigned{ICMP6_ECHO_REQUEST});
  put8(packet, 0);
  put16(packet, 0);
  put16(packet, id);
  put16(packet, 1);
  const std::uint32_t pseudo = v4 ? 0 : pseudo_header(from, to, protocol, icmp_bytes);
  put_checksum(packet, start + 2, sum_of(std::span{packet}.subspan(start), pseudo));
  return packet;
}

std::optional<ClientReply> parse_reply(std::span<const std::uint8_t> packet) {
  const auto parts = parts_of(packet);
  if (!parts) return std::nullopt;
  if (parts->protocol == IPPROTO_ICMP || parts->protocol == IPPROTO_ICMPV6) return icmp_reply(*parts);
  if (parts->protocol == IPPROTO_UDP) {
    if (parts->payload.size() < udp_bytes) return std::nullopt;
    ClientReply reply;
    reply.kind = ReplyKind::datagram;
    reply.protocol = Protocol::udp;
    reply.peer = {parts->from, get16(parts->payload, 0)};
    reply.client = {parts->to, get16(parts->payload, 2)};
    return reply;
  }
  const auto segment = parse_segment(packet);
  if (!segment) return std::nullopt;
  const bool reset = (segment->flags & TH_RST) != 0;
  if (!reset && (segment->flags & (TH_SYN | TH_ACK)) != (TH_SYN | TH_ACK)) return std::nullopt;
  ClientReply reply;
  reply.kind = reset ? ReplyKind::reset : ReplyKind::syn_ack;
  reply.peer = segment->from;
  reply.client = segment->to;
  reply.acknowledged = segment->acknowledged;
  return reply;
}

std::optional<TcpSegment> parse_segment(std::span<const std::uint8_t> packet) {
  const auto parts = parts_of(packet);
  if (!parts || parts->protocol != IPPROTO_TCP || parts->payload.size() < tcp_bytes) return std::nullopt;
  return TcpSegment{.from = {parts->from, get16(parts->payload, 0)},
                    .to = {parts->to, get16(parts->payload, 2)},
                    .sequence = get32(parts->payload, 4),
                    .acknowledged = get32(parts->payload, 8),
                    .flags = parts->payload[13]};
}

} // namespace hanat
