// The kernel's routing over libnl: by which way a packet to an address would leave, what a link is like, and every change of links,
// addresses, routes, rules and neighbours. Routes are asked one by one: a gateway may hold a million of them, and only the kernel knows its
// policy rules. Not here: remembering answers (ways).
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

/// To a server, from an address of ours where the operator said so.
struct Way {
  Address server;
  std::optional<Address> source = std::nullopt;
  auto operator<=>(const Way&) const = default;
};

/// Who gets the packet next: the server itself or a gateway (for an IPv4 server perhaps with an IPv6 address), on an interface.
struct Hop {
  unsigned interface = 0; // its index
  Address next;
  auto operator<=>(const Hop&) const = default;
};

struct Route {
  int error = 0; // the lookup's errno: 0, or there is no way
  Hop hop;
  std::optional<Address> source; // of ours, which the packet would carry
  bool local = false;            // to an address of this machine
  bool operator==(const Route&) const = default;
};

struct Link {
  unsigned index = 0;
  std::string name;
  bool up = false, carrier = false, gone = false;
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
};
struct NeighbourFailed {
  Hop hop;
};
struct RulesChange {}; // policy rules, nexthop objects: any way may be another
using Change = std::variant<Link, RouteChange, AddressChange, NeighbourFailed, RulesChange>;

/// What a message of the kernel changes; nullopt for all that cannot change a way.
std::optional<Change> change_in(nlmsghdr& message);

class RouteSocket {
public:
  /// In the calling thread's network namespace. Throws std::system_error.
  explicit RouteSocket(std::size_t buffer_bytes, std::uint32_t mark);
  ~RouteSocket();
  RouteSocket(const RouteSocket&) = delete;
  RouteSocket& operator=(const RouteSocket&) = delete;

  /// Readable when something changed.
  int fd() const;
  struct Changes {
    std::vector<Change> read;
    bool lost = false; // some could not be kept: look at everything again
  };
  /// What is there now, without waiting, of at most so many datagrams.
  Changes changes(std::size_t at_most);

  /// Longest list of one call: its answers fit into a default receive buffer.
  static constexpr std::size_t routes_at_once = 64;
  /// One answer a way, in order; nullopt where the kernel gave none (try again later).
  std::vector<std::optional<Route>> routes(std::span<const Way> ways);
  /// A link that does not exist is `gone`; nullopt when the kernel gave no answer.
  std::optional<Link> link(unsigned index);

private:
  struct FreeSocket {
    void operator()(nl_sock* socket) const;
  };
  using SocketPtr = std::unique_ptr<nl_sock, FreeSocket>;
  static SocketPtr open(std::size_t buffer_bytes);
  void put_question(std::vector<std::uint8_t>& datagram, const Way& way, std::uint32_t sequence) const;

  std::uint32_t mark_;
  std::uint32_t sequence_ = 0;
  SocketPtr changes_;
  SocketPtr questions_;
};

} // namespace hanat::probes
