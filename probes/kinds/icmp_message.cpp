// Formats of RFC 792 and RFC 4443.
#include "probes/kinds/icmp_message.hpp"

#include <array>
#include <span>

#include "probes/io/wire_reader.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t icmp_header = 8; // type, code, checksum; id and sequence, or unused bytes of an error
constexpr std::size_t token_bytes = 8;
constexpr std::size_t ipv4_header = 20, ipv6_header = 40;

// Types.
constexpr unsigned echo_reply4 = 0, unreachable4 = 3, echo_request4 = 8, time_exceeded4 = 11;
constexpr unsigned unreachable6 = 1, time_exceeded6 = 3, echo_request6 = 128, echo_reply6 = 129;
// Protocols in an IP header.
constexpr unsigned icmp4 = 1, icmp6 = 58;

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }
std::uint16_t u16_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

/// Zero for a message with a valid checksum.
std::uint16_t checksum(std::string_view bytes) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) sum += at + 1 < bytes.size() ? u16_at(bytes, at) : byte_at(bytes, at) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffffU) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// The ICMP message of an IPv4 packet; nullopt: not IPv4, not ICMP, or a later fragment.
std::optional<std::string_view> payload_of_ipv4(std::string_view packet) {
  if (packet.size() < ipv4_header || byte_at(packet, 0) >> 4 != 4) return std::nullopt;
  const std::size_t header = (byte_at(packet, 0) & 0x0fU) * std::size_t{4};
  const bool fragment = (u16_at(packet, 6) & 0x1fffU) != 0;
  if (header < ipv4_header || packet.size() < header || byte_at(packet, 9) != icmp4 || fragment) return std::nullopt;
  return packet.substr(header);
}

/// The same of an IPv6 packet. Echo requests of hanat have no extension headers.
std::optional<std::string_view> payload_of_ipv6(std::string_view packet) {
  if (packet.size() < ipv6_header || byte_at(packet, 0) >> 4 != 6 || byte_at(packet, 6) != icmp6) return std::nullopt;
  return packet.substr(ipv6_header);
}

void read_key(std::string_view echo, IcmpReceived& received) {
  received.key.id = u16_at(echo, 4);
  received.key.sequence = u16_at(echo, 6);
  received.has_token = echo.size() >= icmp_header + token_bytes;
  if (!received.has_token) return;
  for (std::size_t at = 0; at < token_bytes; ++at) received.key.token = received.key.token << 8 | byte_at(echo, icmp_header + at);
}

struct Meaning {
  Reason reason;
  std::string_view detail;
};

Meaning meaning4(unsigned type, unsigned code) {
  if (type == time_exceeded4) return {.reason = Reason::host_unreachable, .detail = "time exceeded: routing loop"};
  switch (code) {
  case 0:
  case 6:
  case 11: return {.reason = Reason::net_unreachable, .detail = ""};
  case 2: return {.reason = Reason::refused, .detail = "protocol unreachable"};
  case 3: return {.reason = Reason::refused, .detail = "port unreachable"};
  case 9:
  case 10:
  case 13: return {.reason = Reason::host_unreachable, .detail = "administratively prohibited"};
  default: return {.reason = Reason::host_unreachable, .detail = ""};
  }
}

Meaning meaning6(unsigned type, unsigned code) {
  if (type == time_exceeded6) return {.reason = Reason::host_unreachable, .detail = "time exceeded: routing loop"};
  switch (code) {
  case 0:
  case 6: return {.reason = Reason::net_unreachable, .detail = ""};
  case 4: return {.reason = Reason::refused, .detail = "port unreachable"};
  case 1:
  case 5: return {.reason = Reason::host_unreachable, .detail = "administratively prohibited"};
  default: return {.reason = Reason::host_unreachable, .detail = ""};
  }
}

/// An error quotes the packet that caused it, which must be an echo request.
std::optional<IcmpReceived> parse_error(Family family, std::string_view message) {
  const bool v4 = family == Family::ipv4;
  const unsigned type = byte_at(message, 0), code = byte_at(message, 1);
  if (v4 && type == unreachable4 && code == 4) return std::nullopt; // the path takes shorter packets only
  const std::string_view packet = message.substr(icmp_header);
  const auto quoted = v4 ? payload_of_ipv4(packet) : payload_of_ipv6(packet);
  if (!quoted || quoted->size() < icmp_header || byte_at(*quoted, 0) != (v4 ? echo_request4 : echo_request6)) return std::nullopt;
  const auto [reason, detail] = v4 ? meaning4(type, code) : meaning6(type, code);
  IcmpReceived received{.reason = reason, .detail = detail, .key = {}, .quoted = {}};
  const std::string_view target = v4 ? packet.substr(16, 4) : packet.substr(24, 16);
  received.quoted = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(target.data()), target.size()});
  read_key(*quoted, received);
  return received;
}

} // namespace

std::string echo_request(Family family, const EchoKey& key) {
  const bool v4 = family == Family::ipv4;
  std::string bytes = big_endian(v4 ? echo_request4 : echo_request6, 1) + big_endian(0, 3) + // code and checksum
                      big_endian(key.id, 2) + big_endian(key.sequence, 2) + big_endian(key.token, token_bytes);
  if (!v4) return bytes;
  const std::uint16_t sum = checksum(bytes);
  bytes[2] = static_cast<char>(sum >> 8);
  bytes[3] = static_cast<char>(sum & 0xffU);
  return bytes;
}

std::optional<IcmpReceived> parse_icmp(Family family, std::string_view bytes) {
  const bool v4 = family == Family::ipv4;
  const auto message = v4 ? payload_of_ipv4(bytes) : std::optional{bytes};
  if (!message || message->size() < icmp_header) return std::nullopt;
  if (v4 && checksum(*message) != 0) return std::nullopt; // raw sockets receive it before the kernel checks it
  const unsigned type = byte_at(*message, 0);
  if (type == (v4 ? unreachable4 : unreachable6) || type == (v4 ? time_exceeded4 : time_exceeded6)) return parse_error(family, *message);
  if (type != (v4 ? echo_reply4 : echo_reply6) || byte_at(*message, 1) != 0) return std::nullopt;
  IcmpReceived received;
  read_key(*message, received);
  if (!received.has_token) return std::nullopt; // shorter than the request
  return received;
}

} // namespace hanat::probes
