// The kernel's routing through libnl: looks up routes and links, and reads changes of links, addresses, routes, rules and neighbours.
// Routes are looked up one by one: a gateway may hold a million of them, and only the kernel applies policy rules.
// Not here: caching (route_monitor).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "nat/address.hpp"

struct nl_cb;
struct nl_sock;
struct nlmsghdr;

namespace hanat::probes {

/// To a server, from a configured source address if there is one.
struct Path {
  Address server;
  std::optional<Address> source = std::nullopt;
  auto operator<=>(const Path&) const = default;
};

/// The next hop: the server itself or a gateway (of an IPv4 server perhaps with an IPv6 address), on an interface.
struct Hop {
  unsigned interface = 0; // its index
  Address next;
  auto operator<=>(const Hop&) const = default;
};

struct Route {
  int error = 0; // errno of the lookup; 0: there is a route
  Hop hop;
  std::optional<Address> source; // the source address of the packet
  bool local = false;            // to an address of this machine
  bool operator==(const Route&) const = default;
};

struct Link {
  unsigned index = 0;
  std::string name;
  bool up = false, carrier = false, gone = false;
  bool inner = false; // nothing comes by it from outside: loopback, a dummy, a port of a bridge or bond, hanatd's own
  unsigned lower = 0; // the link that it is made upon: that of a VLAN; 0: none, or in another namespace
  bool usable() const { return up && carrier && !gone; }
  bool operator==(const Link&) const = default;
};

struct RouteChange {
  Address network;
  unsigned prefix = 0; // bits
  bool removed = false;
  auto operator<=>(const RouteChange&) const = default;
};
struct AddressChange {
  Address address;
  unsigned interface = 0;
  bool removed = false;
  bool usable = true;     // false: IPv6, and the kernel still looks whether another machine has it, or one has
  bool duplicate = false; // one has
  bool temporary = false; // IPv6: one of those that change every day, for privacy
};
struct NeighbourFailed {
  Hop hop;
};
struct RulesChange {}; // policy rules, nexthop objects: every path may have changed
using Change = std::variant<Link, RouteChange, AddressChange, NeighbourFailed, RulesChange>;

/// The change that a kernel message reports; nullopt: none that affects paths.
std::optional<Change> change_in(nlmsghdr& message);

class RouteSocket {
public:
  /// In the calling thread's network namespace. Throws std::system_error.
  explicit RouteSocket(std::size_t buffer_bytes, std::uint32_t mark);
  ~RouteSocket();
  RouteSocket(const RouteSocket&) = delete;
  RouteSocket& operator=(const RouteSocket&) = delete;

  /// Readable when there are changes.
  int fd() const;
  struct Changes {
    std::vector<Change> read;
    bool lost = false; // some were dropped: refresh everything
  };
  /// The pending changes, without blocking, from at most `datagrams` datagrams.
  Changes changes(std::size_t datagrams);

  /// Longest list of one call: the replies fit into a default receive buffer.
  static constexpr std::size_t routes_at_once = 64;
  /// One route per path, in order; nullopt where the kernel did not reply (try again later).
  std::vector<std::optional<Route>> routes(std::span<const Path> paths);
  /// A link that does not exist is `gone`; nullopt when the kernel did not reply.
  std::optional<Link> link(unsigned index);
  /// All links; as many as the kernel tells.
  std::vector<Link> links();

private:
  struct FreeSocket {
    void operator()(nl_sock* socket) const;
  };
  using SocketPtr = std::unique_ptr<nl_sock, FreeSocket>;
  static SocketPtr open(std::size_t buffer_bytes);
  void put_query(std::vector<std::uint8_t>& datagram, const Path& path, std::uint32_t sequence) const;

  std::uint32_t mark_;
  std::uint32_t sequence_ = 0;
  SocketPtr changes_;
  SocketPtr lookups_;
};

} // namespace hanat::probes
