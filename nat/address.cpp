// Converts addresses, endpoints and VIPs from and to text and bytes.
#include "nat/address.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace hanat {

std::optional<Address> Address::parse(std::string_view text) {
  const std::string copy{text}; // inet_pton needs a terminator
  if (copy.size() != std::strlen(copy.c_str())) return std::nullopt;
  Address address;
  if (inet_pton(AF_INET, copy.c_str(), address.bytes_.data()) == 1) return address;
  address.bytes_ = {};
  address.family_ = Family::ipv6;
  if (inet_pton(AF_INET6, copy.c_str(), address.bytes_.data()) == 1) return address;
  return std::nullopt;
}

Address Address::from_bytes(std::span<const std::uint8_t> network_order) {
  Address address;
  if (network_order.size() == 16)
    address.family_ = Family::ipv6;
  else if (network_order.size() != 4)
    throw std::invalid_argument(fmt::format("an address has 4 or 16 bytes, not {}", network_order.size()));
  std::copy(network_order.begin(), network_order.end(), address.bytes_.begin());
  return address;
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(family_ == Family::ipv4 ? AF_INET : AF_INET6, bytes_.data(), buffer.data(), buffer.size());
  return buffer.data();
}

bool Address::is_unspecified() const {
  return std::ranges::all_of(bytes(), [](std::uint8_t byte) { return byte == 0; });
}
bool Address::is_loopback() const {
  if (family_ == Family::ipv4) return bytes_[0] == 127;
  return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}
bool Address::is_multicast() const {
  if (family_ == Family::ipv6) return bytes_[0] == 0xff;
  const bool broadcast = std::ranges::all_of(bytes(), [](std::uint8_t byte) { return byte == 0xff; });
  return (bytes_[0] & 0xf0) == 0xe0 || broadcast;
}
bool Address::is_link_local() const {
  if (family_ == Family::ipv4) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}
bool Address::is_v4_mapped() const {
  return family_ == Family::ipv6 && bytes_[10] == 0xff && bytes_[11] == 0xff &&
         std::all_of(bytes_.begin(), bytes_.begin() + 10, [](std::uint8_t byte) { return byte == 0; });
}

std::string_view to_text(Protocol protocol) {
  switch (protocol) {
  case Protocol::tcp: return "tcp";
  case Protocol::udp: return "udp";
  case Protocol::sctp: return "sctp";
  }
  return "?";
}

std::optional<Protocol> parse_protocol(std::string_view text) {
  for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp})
    if (text == to_text(protocol)) return protocol;
  return std::nullopt;
}

std::string to_text(const Endpoint& endpoint) {
  if (endpoint.port == 0) return endpoint.address.text();
  const bool brackets = endpoint.address.family() == Family::ipv6;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", endpoint.address.text(), brackets ? "]" : "", endpoint.port);
}

std::string to_text(const Vip& vip) {
  if (!is_range(vip)) return fmt::format("{}/{}", to_text(Endpoint{.address = vip.address, .port = vip.port}), to_text(vip.protocol));
  const bool every = vip.port == 1 && vip.last == UINT16_MAX;
  const bool brackets = vip.address.family() == Family::ipv6;
  return fmt::format("{}{}{}:{}/{}", brackets ? "[" : "", vip.address.text(), brackets ? "]" : "",
                     every ? "*" : fmt::format("{}-{}", vip.port, vip.last), to_text(vip.protocol));
}

SocketAddress to_sockaddr(const Endpoint& endpoint) {
  SocketAddress result;
  const auto bytes = endpoint.address.bytes();
  if (endpoint.address.family() == Family::ipv4) {
    auto& in4 = reinterpret_cast<sockaddr_in&>(result.storage);
    in4.sin_family = AF_INET;
    in4.sin_port = htons(endpoint.port);
    std::memcpy(&in4.sin_addr, bytes.data(), bytes.size());
    result.length = sizeof in4;
  } else {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(endpoint.port);
    std::memcpy(&in6.sin6_addr, bytes.data(), bytes.size());
    result.length = sizeof in6;
  }
  return result;
}

} // namespace hanat

std::size_t std::hash<hanat::Address>::operator()(const hanat::Address& address) const noexcept {
  const auto bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
