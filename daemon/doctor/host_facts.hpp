// What this machine's settings, routes and counters are, as a value. Not here: reading it (read_host), what is wrong with it (host_checks).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "nat/address.hpp"

namespace hanat {

struct InterfaceFacts {
  unsigned index = 0;
  std::string name;
  bool up = false;
  bool running = true; // it has a carrier: a cable, and somebody at its other end
  bool bridge = false;
  unsigned master = 0;                            // the bridge or bond that it is a port of; 0: none
  bool hairpin = false;                           // of a port of a bridge: a packet may leave by the port that it came by
  bool forwarding = true;                         // IPv4; IPv6 has one switch for all
  int rp_filter = 0;                              // as set: the kernel takes the larger of this and that of "all"
  bool routes_by_ra = false;                      // it has IPv6 routes from router advertisements, which forwarding would turn off
  std::vector<std::pair<Address, unsigned>> nets; // its addresses, with the length of their prefix
};

/// Of one network namespace.
struct HostFacts {
  bool ip_forward = true;
  std::optional<bool> ip6_forward; // nullopt: no IPv6
  int rp_filter_all = 0;
  std::vector<InterfaceFacts> interfaces;
  std::uint64_t conntrack_count = 0, conntrack_max = 0; // 0 of max: no conntrack
  std::uint64_t conntrack_drops = 0;                    // packets that found no room, since boot
  std::uint64_t rp_filter_drops = 0;                    // since boot
  bool has_vrrp = false;                                // a program here speaks VRRP, or this is a gateway of a pair: addresses come and go
  bool bridge_nf_ipv4 = false, bridge_nf_ipv6 = false;  // net.bridge.bridge-nf-call-iptables, -ip6tables

  const InterfaceFacts* find(unsigned index) const;
  const InterfaceFacts* find(const std::string& name) const;
  const InterfaceFacts* owner_of(const Address& address) const;
  /// The interface whose net has the address, and the length of its prefix; nullptr: none has.
  const InterfaceFacts* on_link(const Address& address) const;
};

struct RouteFacts {
  int error = 0; // errno of the lookup; 0: there is a route
  unsigned interface = 0;
  std::optional<Address> via; // the next hop; nullopt: on the link
  bool local = false;         // an address of this machine
};
enum class Neighbour : std::uint8_t { unknown, answers, failed };

/// What the kernel says about the packets of one flow.
struct PathFacts {
  bool read = true; // false: it was not asked
  RouteFacts to_server, to_client, to_vip;
  Neighbour server = Neighbour::unknown; // of the server, or the next hop to it
  Neighbour vip = Neighbour::unknown;    // whether another machine answers for the listen address
  Neighbour snat = Neighbour::unknown;   // likewise for the snat address
  bool proxied = false;                  // this machine answers ARP or neighbour discovery for the listen address
};

HostFacts read_host();
/// The switches of both families are on; a machine without IPv6 needs the other one only. In two reads, where read_host() takes a dump.
bool forwards_all();
struct PathQuery {
  Address client; // may be hanatd's own
  Address vip;
  std::optional<Address> server;
  // Who has the listen address and the snat address is asked on these links, for some hundred milliseconds; 0: not at all.
  unsigned vip_link = 0, snat_link = 0;
  Address snat{};
};
PathFacts read_path(const PathQuery& query);
RouteFacts read_route(const Address& address);

} // namespace hanat
