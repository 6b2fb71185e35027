// RFC 792, RFC 4443.
#include "probes/icmp_message.hpp"

#include <array>
#include <span>

namespace hanat::probes {
namespace {

constexpr std::size_t icmp_header = 8; // type, code, checksum, and id and sequence, or what an error leaves unused
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

void append_number(std::string& bytes, std::uint64_t value, std::size_t count) {
  for (std::size_t left = count; left > 0; --left) bytes += static_cast<char>(value >> (8 * (left - 1)) & 0xffU);
}

/// Of a message whose checksum is right, zero.
std::uint16_t checksum(std::string_view bytes) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) sum += at + 1 < bytes.size() ? u16_at(bytes, at) : byte_at(bytes, at) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffffU) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// Without its header; nullopt: no IPv4 packet, no ICMP, or a piece of one.
std::optional<std::string_view> payload_of_ipv4(std::string_view packet) {
  if (packet.size() < ipv4_header || byte_at(packet, 0) >> 4 != 4) return std::nullopt;
  const std::size_t header = (byte_at(packet, 0) & 0x0fU) * std::size_t{4};
  const bool fragment = (u16_at(packet, 6) & 0x1fffU) != 0;
  if (header < ipv4_header || packet.size() < header || byte_at(packet, 9) != icmp4 || fragment) return std::nullopt;
  return packet.substr(header);
}

/// Our requests have no extension headers.
std::optional<std::string_view> payload_of_ipv6(std::string_view packet) {
  if (packet.size() < ipv6_header || byte_at(packet, 0) >> 4 != 6 || byte_at(packet, 6) != icmp6) return std::nullopt;
  return packet.substr(ipv6_header);
}

void read_key(std::string_view echo, IcmpHeard& heard) {
  heard.key.id = u16_at(echo, 4);
  heard.key.sequence = u16_at(echo, 6);
  heard.has_token = echo.size() >= icmp_header + token_bytes;
  if (!heard.has_token) return;
  for (std::size_t at = 0; at < token_bytes; ++at) heard.key.token = heard.key.token << 8 | byte_at(echo, icmp_header + at);
}

struct Meaning {
  Reason reason;
  std::string_view detail;
};

Meaning meaning4(unsigned type, unsigned code) {
  if (type == time_exceeded4) return {.reason = Reason::host_unreachable, .detail = "time exceeded: the way there is a loop"};
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
  if (type == time_exceeded6) return {.reason = Reason::host_unreachable, .detail = "time exceeded: the way there is a loop"};
  switch (code) {
  case 0:
  case 6: return {.reason = Reason::net_unreachable, .detail = ""};
  case 4: return {.reason = Reason::refused, .detail = "port unreachable"};
  case 1:
  case 5: return {.reason = Reason::host_unreachable, .detail = "administratively prohibited"};
  default: return {.reason = Reason::host_unreachable, .detail = ""};
  }
}

/// An error quotes the packet that it is about: ours must be an echo request.
std::optional<IcmpHeard> parse_error(Family family, std::string_view message) {
  const bool v4 = family == Family::ipv4;
  const unsigned type = byte_at(message, 0), code = byte_at(message, 1);
  if (v4 && type == unreachable4 && code == 4) return std::nullopt; // the path takes shorter packets only
  const std::string_view packet = message.substr(icmp_header);
  const auto quoted = v4 ? payload_of_ipv4(packet) : payload_of_ipv6(packet);
  if (!quoted || quoted->size() < icmp_header || byte_at(*quoted, 0) != (v4 ? echo_request4 : echo_request6)) return std::nullopt;
  const auto [reason, detail] = v4 ? meaning4(type, code) : meaning6(type, code);
  IcmpHeard heard{.reason = reason, .detail = detail, .key = {}, .quoted = {}};
  const std::string_view target = v4 ? packet.substr(16, 4) : packet.substr(24, 16);
  heard.quoted = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(target.data()), target.size()});
  read_key(*quoted, heard);
  return heard;
}

} // namespace

std::string echo_request(Family family, const EchoKey& key) {
  const bool v4 = family == Family::ipv4;
  std::string bytes;
  append_number(bytes, v4 ? echo_request4 : echo_request6, 1);
  append_number(bytes, 0, 3); // code and checksum
  append_number(bytes, key.id, 2);
  append_number(bytes, key.sequence, 2);
  append_number(bytes, key.token, token_bytes);
  if (!v4) return bytes;
  const std::uint16_t sum = checksum(bytes);
  bytes[2] = static_cast<char>(sum >> 8);
  bytes[3] = static_cast<char>(sum & 0xffU);
  return bytes;
}

std::optional<IcmpHeard> parse_icmp(Family family, std::string_view bytes) {
  const bool v4 = family == Family::ipv4;
  const auto message = v4 ? payload_of_ipv4(bytes) : std::optional{bytes};
  if (!message || message->size() < icmp_header) return std::nullopt;
  if (v4 && checksum(*message) != 0) return std::nullopt; // raw sockets get it before the kernel looks
  const unsigned type = byte_at(*message, 0);
  if (type == (v4 ? unreachable4 : unreachable6) || type == (v4 ? time_exceeded4 : time_exceeded6)) return parse_error(family, *message);
  if (type != (v4 ? echo_reply4 : echo_reply6) || byte_at(*message, 1) != 0) return std::nullopt;
  IcmpHeard heard;
  read_key(*message, heard);
  if (!heard.has_token) return std::nullopt; // ours came back shorter than it was
  return heard;
}

} // namespace hanat::probes
