// Values that every folder uses: an address, an endpoint, a VIP, and the mapping of a VIP to a server, with their text form and its
// parser. Not here: names of DNS (daemon/names), sockets, netlink.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sys/socket.h>

namespace hanat {

enum class Family : std::uint8_t { ipv4, ipv6 };
inline constexpr std::array both_families{Family::ipv4, Family::ipv6};

/// An IPv4 or IPv6 address without scope. Compares by family, then by bytes in network order.
class Address {
public:
  Address() = default; // 0.0.0.0
  /// Strict text form: dotted quad, or IPv6 without brackets and without a %scope. nullopt for anything else.
  static std::optional<Address> parse(std::string_view text);
  /// 4 or 16 bytes in network order, as a kernel message carries them; throws std::invalid_argument for another length.
  static Address from_bytes(std::span<const std::uint8_t> network_order);
  /// 0.0.0.0 or ::
  static Address unspecified(Family family) {
    Address any;
    any.family_ = family;
    return any;
  }

  Family family() const { return family_; }
  /// 4 or 16 bytes, network order.
  std::span<const std::uint8_t> bytes() const { return {bytes_.data(), family_ == Family::ipv4 ? 4U : 16U}; }
  std::string text() const;
  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_multicast() const;  // and IPv4 broadcast
  bool is_link_local() const; // IPv6 fe80::/10, IPv4 169.254.0.0/16
  bool is_v4_mapped() const;  // ::ffff:0:0/96

  auto operator<=>(const Address&) const = default;

private:
  Family family_ = Family::ipv4;
  std::array<std::uint8_t, 16> bytes_{};
};

enum class Protocol : std::uint8_t { tcp = 6, udp = 17, sctp = 132 };
std::string_view to_text(Protocol protocol);
std::optional<Protocol> parse_protocol(std::string_view text);

/// An address and a port. Port 0 means "not given" where a configuration allows that.
struct Endpoint {
  Address address;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};
/// "10.0.0.11:8443" or "[fd00::11]:8443"; without ":port" when the port is 0.
std::string to_text(const Endpoint& endpoint);

/// A virtual endpoint: what clients connect to. Always an address, a protocol and a port, or a range of ports. A flow of a range keeps its
/// port on the way to the server.
struct Vip {
  Address address;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0; // of a range: its first port
  std::uint16_t last = 0; // of a range: its last port, greater than `port`; 0: no range
  auto operator<=>(const Vip&) const = default;
};
constexpr bool is_range(const Vip& vip) { return vip.last != 0; }
constexpr std::uint16_t last_port(const Vip& vip) { return is_range(vip) ? vip.last : vip.port; }
/// "203.0.113.10:443/tcp", "203.0.113.10:5000-9000/tcp", "203.0.113.10:*/tcp"
std::string to_text(const Vip& vip);

/// The flows of one VIP that are translated to one server. For a range the server's port is 0: each flow keeps its own. With the VIP
/// itself as server it names the flows that were never translated: conntrack decides on NAT with a flow's first packet, so flows that
/// began before the rules were loaded stay untranslated.
struct Mapping {
  Vip vip;
  Endpoint server;
  auto operator<=>(const Mapping&) const = default;
};
/// The virtual endpoint of a key, whichever of the two it is.
inline Vip vip_of(const Vip& key) { return key; }
inline Vip vip_of(const Mapping& key) { return key.vip; }
inline Mapping untranslated(const Vip& vip) {
  return {.vip = vip, .server = {.address = vip.address, .port = is_range(vip) ? std::uint16_t{0} : vip.port}};
}

/// The socket address of an endpoint, for connect() and bind().
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
SocketAddress to_sockaddr(const Endpoint& endpoint);

} // namespace hanat

template <> struct std::hash<hanat::Address> {
  std::size_t operator()(const hanat::Address& address) const noexcept;
};
