// Reads /proc and asks rtnetlink. What cannot be read is taken for good: a setting that does not exist harms nobody.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "daemon/doctor/host_facts.hpp"
#include "daemon/doctor/rtnetlink.hpp"
#include "daemon/pair/vrrp.hpp"
#include "nat/clock.hpp"

namespace hanat {
namespace {

constexpr std::chrono::milliseconds answer_wait{400}; // of a machine on the same link

std::optional<std::int64_t> number_of(const std::string& path) {
  std::ifstream file{path};
  std::int64_t number = 0;
  return file >> number ? std::optional{number} : std::nullopt;
}
std::int64_t sysctl(const std::string& name, std::int64_t otherwise) { return number_of("/proc/sys/net/" + name).value_or(otherwise); }

/// A counter of a file in which a line of names is followed by a line of values, both with the group in front.
std::uint64_t counter_of(const char* path, const std::string& group, const std::string& name) {
  std::ifstream file{path};
  for (std::string names, values; std::getline(file, names) && std::getline(file, values);) {
    std::istringstream heads(names), numbers(values);
    std::string head, number;
    heads >> head;
    numbers >> number;
    if (head != group + ":") continue;
    while (heads >> head && numbers >> number)
      if (head == name) return std::stoull(number);
  }
  return 0;
}

/// The sum of a column over all processors; the numbers are hexadecimal.
std::uint64_t conntrack_counter(const std::string& column) {
  std::ifstream file{"/proc/net/stat/nf_conntrack"};
  std::string line;
  if (!std::getline(file, line)) return 0;
  std::istringstream heads(line);
  std::size_t index = 0;
  for (std::string head; heads >> head && head != column;) ++index;
  std::uint64_t total = 0;
  while (std::getline(file, line)) {
    std::istringstream numbers(line);
    std::string number;
    for (std::size_t at = 0; numbers >> number; ++at)
      if (at == index) total += std::stoull(number, nullptr, 16);
  }
  return total;
}

void read_links(Rtnetlink& netlink, HostFacts& host) {
  RtMessage dump(RTM_GETLINK, NLM_F_DUMP);
  dump.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
  netlink.request(dump, [&](const nlmsghdr& message) {
    const auto& info = *static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
    const nlattr* const name = attribute_of(message, sizeof info, IFLA_IFNAME);
    if (name == nullptr) return;
    InterfaceFacts link;
    link.index = static_cast<unsigned>(info.ifi_index);
    link.name = mnl_attr_get_str(name);
    link.up = (info.ifi_flags & IFF_UP) != 0;
    link.running = (info.ifi_flags & IFF_RUNNING) != 0;
    link.master = number_in(attribute_of(message, sizeof info, IFLA_MASTER));
    const nlattr* const about = attribute_of(message, sizeof info, IFLA_LINKINFO);
    const nlattr* const kind = nested_of(about, IFLA_INFO_KIND);
    link.bridge = kind != nullptr && std::string_view{mnl_attr_get_str(kind)} == "bridge";
    const nlattr* const mode = nested_of(nested_of(about, IFLA_INFO_SLAVE_DATA), IFLA_BRPORT_MODE);
    link.hairpin = mode != nullptr && mnl_attr_get_u8(mode) != 0;
    link.forwarding = sysctl(fmt::format("ipv4/conf/{}/forwarding", link.name), 1) != 0;
    link.rp_filter = static_cast<int>(sysctl(fmt::format("ipv4/conf/{}/rp_filter", link.name), 0));
    host.interfaces.push_back(std::move(link));
  });
}

void read_addresses(Rtnetlink& netlink, HostFacts& host) {
  RtMessage dump(RTM_GETADDR, NLM_F_DUMP);
  dump.extra<ifaddrmsg>().ifa_family = AF_UNSPEC;
  netlink.request(dump, [&](const nlmsghdr& message) {
    const auto& info = *static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(&message));
    auto address = address_in(attribute_of(message, sizeof info, IFA_LOCAL)); // of a point-to-point link IFA_ADDRESS is the peer's
    if (!address) address = address_in(attribute_of(message, sizeof info, IFA_ADDRESS));
    const auto link = std::ranges::find(host.interfaces, info.ifa_index, &InterfaceFacts::index);
    if (address && link != host.interfaces.end()) link->nets.emplace_back(*address, info.ifa_prefixlen);
  });
}

bool same_prefix(const Address& left, const Address& right, unsigned bits) {
  if (left.family() != right.family()) return false;
  for (std::size_t index = 0; index < left.bytes().size() && bits > 0; ++index) {
    const unsigned compared = std::min(bits, 8U);
    const auto mask = static_cast<std::uint8_t>(0xffU << (8 - compared));
    if (((left.bytes()[index] ^ right.bytes()[index]) & mask) != 0) return false;
    bits -= compared;
  }
  return true;
}

RouteFacts route_to(Rtnetlink& netlink, const Address& address) {
  RtMessage query(RTM_GETROUTE, 0);
  auto& info = query.extra<rtmsg>();
  info.rtm_family = static_cast<std::uint8_t>(address.family() == Family::ipv4 ? AF_INET : AF_INET6);
  info.rtm_dst_len = static_cast<std::uint8_t>(address.bytes().size() * 8);
  query.put(RTA_DST, address);
  RouteFacts route;
  route.error = netlink.request(query, [&](const nlmsghdr& message) {
    const auto& reply = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
    route.local = reply.rtm_type == RTN_LOCAL;
    route.interface = number_in(attribute_of(message, sizeof reply, RTA_OIF));
    route.via = address_in(attribute_of(message, sizeof reply, RTA_GATEWAY));
    if (reply.rtm_type == RTN_UNREACHABLE || reply.rtm_type == RTN_BLACKHOLE || reply.rtm_type == RTN_PROHIBIT) route.interface = 0;
  });
  if (route.error == 0 && route.interface == 0 && !route.local) route.error = ENETUNREACH;
  return route;
}

struct NeighbourQuery {
  unsigned interface;
  Address address;
};
Neighbour neighbour_of(Rtnetlink& netlink, const NeighbourQuery& wanted, bool* proxied = nullptr) {
  Neighbour state = Neighbour::unknown;
  for (const bool proxy : {false, true}) {
    if (proxy && proxied == nullptr) continue;
    RtMessage dump(RTM_GETNEIGH, NLM_F_DUMP);
    auto& filter = dump.extra<ndmsg>();
    filter.ndm_family = static_cast<std::uint8_t>(wanted.address.family() == Family::ipv4 ? AF_INET : AF_INET6);
    filter.ndm_flags = proxy ? NTF_PROXY : 0;
    netlink.request(dump, [&](const nlmsghdr& message) {
      const auto& info = *static_cast<const ndmsg*>(mnl_nlmsg_get_payload(&message));
      if (address_in(attribute_of(message, sizeof info, NDA_DST)) != wanted.address) return;
      if ((info.ndm_flags & NTF_PROXY) != 0) {
        if (proxied != nullptr) *proxied = true;
        return;
      }
      if (static_cast<unsigned>(info.ndm_ifindex) != wanted.interface) return;
      // One that is stale, or asked again, was there a while ago: it may be gone.
      constexpr unsigned confirmed = NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP;
      state = (info.ndm_state & NUD_FAILED) != 0 ? Neighbour::failed : (info.ndm_state & confirmed) != 0 ? Neighbour::answers : state;
    });
  }
  return state;
}

RtMessage neighbour_message(std::uint16_t type, std::uint16_t flags, const NeighbourQuery& wanted) {
  RtMessage message(type, flags);
  auto& entry = message.extra<ndmsg>();
  entry.ndm_family = static_cast<std::uint8_t>(wanted.address.family() == Family::ipv4 ? AF_INET : AF_INET6);
  entry.ndm_ifindex = static_cast<int>(wanted.interface);
  entry.ndm_flags = type == RTM_NEWNEIGH ? NTF_USE : 0;
  message.put(NDA_DST, wanted.address);
  return message;
}

/// Has the kernel ask on the link, as for a packet of its own, and everybody, not the machine that had the address a while ago. What nobody
/// answered leaves no entry behind.
Neighbour ask(Rtnetlink& netlink, const NeighbourQuery& wanted) {
  RtMessage old = neighbour_message(RTM_DELNEIGH, NLM_F_ACK, wanted);
  static_cast<void>(netlink.request(old)); // there may be none
  RtMessage use = neighbour_message(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, wanted);
  if (netlink.request(use) != 0) return Neighbour::unknown;
  for (const auto end = Clock::now() + answer_wait; Clock::now() < end; std::this_thread::sleep_for(answer_wait / 20))
    if (neighbour_of(netlink, wanted) == Neighbour::answers) return Neighbour::answers;
  RtMessage forget = neighbour_message(RTM_DELNEIGH, NLM_F_ACK, wanted);
  static_cast<void>(netlink.request(forget));
  return Neighbour::failed;
}

/// Only while IPv6 is not forwarded: a router may have a million routes.
void read_advertised_routes(Rtnetlink& netlink, HostFacts& host) {
  RtMessage dump(RTM_GETROUTE, NLM_F_DUMP);
  dump.extra<rtmsg>().rtm_family = AF_INET6;
  netlink.request(dump, [&](const nlmsghdr& message) {
    const auto& route = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
    const auto link = std::ranges::find(host.interfaces, number_in(attribute_of(message, sizeof route, RTA_OIF)), &InterfaceFacts::index);
    if (route.rtm_protocol != RTPROT_RA || link == host.interfaces.end()) return;
    link->routes_by_ra = sysctl(fmt::format("ipv6/conf/{}/accept_ra", link->name), 0) == 1; // 2: forwarding or not
  });
}

} // namespace

const InterfaceFacts* HostFacts::find(unsigned index) const {
  const auto found = std::ranges::find(interfaces, index, &InterfaceFacts::index);
  return found == interfaces.end() ? nullptr : &*found;
}
const InterfaceFacts* HostFacts::find(const std::string& name) const {
  const auto found = std::ranges::find(interfaces, name, &InterfaceFacts::name);
  return found == interfaces.end() ? nullptr : &*found;
}
const InterfaceFacts* HostFacts::owner_of(const Address& address) const {
  for (const InterfaceFacts& link : interfaces)
    for (const auto& [own, bits] : link.nets)
      if (own == address) return &link;
  return nullptr;
}
const InterfaceFacts* HostFacts::on_link(const Address& address) const {
  for (const InterfaceFacts& link : interfaces)
    for (const auto& [own, bits] : link.nets)
      if (bits < own.bytes().size() * 8 && link.name != "lo" && same_prefix(own, address, bits)) return &link;
  return nullptr;
}

HostFacts read_host() {
  HostFacts host;
  host.ip_forward = sysctl("ipv4/ip_forward", 1) != 0;
  if (const auto forward = number_of("/proc/sys/net/ipv6/conf/all/forwarding")) host.ip6_forward = *forward != 0;
  host.rp_filter_all = static_cast<int>(sysctl("ipv4/conf/all/rp_filter", 0));
  host.conntrack_count = static_cast<std::uint64_t>(sysctl("netfilter/nf_conntrack_count", 0));
  host.conntrack_max = static_cast<std::uint64_t>(sysctl("netfilter/nf_conntrack_max", 0));
  host.conntrack_drops = conntrack_counter("drop") + conntrack_counter("early_drop");
  host.rp_filter_drops = counter_of("/proc/net/netstat", "TcpExt", "IPReversePathFilter");
  host.bridge_nf_ipv4 = sysctl("bridge/bridge-nf-call-iptables", 0) != 0;
  host.bridge_nf_ipv6 = sysctl("bridge/bridge-nf-call-ip6tables", 0) != 0;
  Rtnetlink netlink;
  read_links(netlink, host);
  read_addresses(netlink, host);
  if (host.ip6_forward == std::optional{false}) read_advertised_routes(netlink, host);
  host.has_vrrp = read_vrrp().value_or(false);
  return host;
}

bool forwards_all() { return sysctl("ipv4/ip_forward", 1) != 0 && number_of("/proc/sys/net/ipv6/conf/all/forwarding").value_or(1) != 0; }

RouteFacts read_route(const Address& address) {
  Rtnetlink netlink;
  return route_to(netlink, address);
}

PathFacts read_path(const PathQuery& query) {
  Rtnetlink netlink;
  PathFacts path;
  path.to_client = route_to(netlink, query.client);
  path.to_vip = route_to(netlink, query.vip);
  if (path.to_vip.error == 0 && !path.to_vip.local) path.vip = neighbour_of(netlink, {path.to_vip.interface, query.vip}, &path.proxied);
  if (query.vip_link != 0 && path.vip != Neighbour::answers && !path.proxied) path.vip = ask(netlink, {query.vip_link, query.vip});
  if (query.snat_link != 0) path.snat = ask(netlink, {query.snat_link, query.snat});
  if (!query.server) return path;
  path.to_server = route_to(netlink, *query.server);
  if (path.to_server.error == 0)
    path.server = neighbour_of(netlink, {path.to_server.interface, path.to_server.via.value_or(*query.server)});
  return path;
}

} // namespace hanat
