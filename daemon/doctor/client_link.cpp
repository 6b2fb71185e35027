// Links, routes and neighbours by rtnetlink; no file below /proc/sys is written, which a sandbox may forbid.
#include "daemon/doctor/client_link.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <net/if.h>

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include "nat/marks.hpp"

namespace hanat {
namespace {

constexpr std::string_view name_prefix = nat::own_link_prefix;
constexpr unsigned most_names = 64;
constexpr int most_waits = 200; // milliseconds
// Of <linux/ip.h>, which cannot stand beside libc's <netinet/ip.h>.
constexpr std::uint16_t devconf_forwarding = 1, devconf_rp_filter = 8;
constexpr std::uint32_t no_generated_address = 1; // IN6_ADDR_GEN_MODE_NONE: nothing but the client's packets crosses the pair

using Hardware = std::array<std::uint8_t, 6>;
constexpr std::uint8_t inner_end = 0xc0, outer_end = 0xc1;
// Replies go to this address, which is not the outer end's own: that end takes them for somebody else's and does not pass them on to the
// IP stack of this machine, which would route them once more. Packet sockets see them all the same.
constexpr std::uint8_t client_end = 0xcc;

/// By its hardware address a pair is known as hanatd's from its first moment on: the kernel sets an alias only afterwards. The table tells
/// several hanatds apart (FNV-1a).
Hardware hardware_of(const std::string& table, std::uint8_t end) {
  std::uint32_t hash = 2'166'136'261U;
  for (const char letter : table) hash = (hash ^ static_cast<std::uint8_t>(letter)) * 16'777'619U;
  return {0x02, 0x68, static_cast<std::uint8_t>(hash >> 16U), static_cast<std::uint8_t>(hash >> 8U), static_cast<std::uint8_t>(hash), end};
}

std::string alias_of(const std::string& table) { return fmt::format("hanatd's own client, table {}", table); }

unsigned index_of(const std::string& name) { return if_nametoindex(name.c_str()); }

void remove_link(Rtnetlink& netlink, unsigned index) {
  RtMessage message(RTM_DELLINK, NLM_F_ACK);
  message.extra<ifinfomsg>().ifi_index = static_cast<int>(index);
  if (const int error = netlink.request(message); error != 0 && error != ENODEV)
    throw std::system_error(error, std::generic_category(), "remove hanatd's veth pair");
}

/// Whether some interface forwards. A gateway may forward between some interfaces only, and the default for new ones be off.
bool any_forwards() {
  std::vector<std::string> names;
  struct if_nameindex* const all = if_nameindex();
  for (const struct if_nameindex* at = all; at != nullptr && at->if_index != 0; ++at) names.emplace_back(at->if_name);
  if (all != nullptr) if_freenameindex(all);
  for (const std::string& name : names) {
    if (name == "lo" || name.starts_with(name_prefix)) continue;
    std::ifstream file{fmt::format("/proc/sys/net/ipv4/conf/{}/forwarding", name)};
    if (int value = 0; file >> value && value != 0) return true;
  }
  return false;
}

} // namespace

std::size_t remove_old_client_links(const std::string& table) {
  Rtnetlink netlink;
  std::vector<unsigned> old;
  RtMessage dump(RTM_GETLINK, NLM_F_DUMP);
  dump.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
  const Hardware own = hardware_of(table, inner_end);
  netlink.request(dump, [&](const nlmsghdr& message) {
    const nlattr* const name = attribute_of(message, sizeof(ifinfomsg), IFLA_IFNAME);
    const nlattr* const hardware = attribute_of(message, sizeof(ifinfomsg), IFLA_ADDRESS);
    if (name == nullptr || hardware == nullptr || mnl_attr_get_payload_len(hardware) != own.size()) return;
    if (std::string_view{mnl_attr_get_str(name)}.starts_with(name_prefix) &&
        std::memcmp(mnl_attr_get_payload(hardware), own.data(), own.size()) == 0)
      old.push_back(static_cast<unsigned>(static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message))->ifi_index));
  });
  for (const unsigned index : old) remove_link(netlink, index);
  return old.size();
}

ClientLink::ClientLink(const std::string& table, const std::vector<Address>& clients) {
  make(table);
  try {
    configure(table);
    for (const Address& client : clients) add_client(table, client);
    wait_until_running();
  } catch (...) {
    remove();
    throw;
  }
}

ClientLink::~ClientLink() { remove(); }

void ClientLink::remove() noexcept {
  try {
    remove_link(netlink_, inner_index_);
  } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the next start finds it by its alias
  }
}

/// The first two names that are free.
void ClientLink::make(const std::string& table) {
  for (unsigned number = 0; number < most_names; number += 2) {
    inner_ = fmt::format("{}{}", name_prefix, number);
    outer_ = fmt::format("{}{}", name_prefix, number + 1);
    RtMessage message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
    message.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    message.put(IFLA_IFNAME, inner_);
    const Hardware inner = hardware_of(table, inner_end), outer = hardware_of(table, outer_end);
    message.put_bytes(IFLA_ADDRESS, inner.data(), inner.size());
    nlattr* const info = message.open(IFLA_LINKINFO);
    message.put(IFLA_INFO_KIND, std::string_view{"veth"});
    nlattr* const data = message.open(IFLA_INFO_DATA);
    nlattr* const peer = message.open(VETH_INFO_PEER);
    message.extra<ifinfomsg>().ifi_family = AF_UNSPEC;
    message.put(IFLA_IFNAME, outer_).put_bytes(IFLA_ADDRESS, outer.data(), outer.size());
    message.close(peer);
    message.close(data);
    message.close(info);
    const int error = netlink_.request(message);
    if (error == EEXIST) continue;
    if (error != 0) throw std::system_error(error, std::generic_category(), "make a veth pair");
    hardware_ = inner;
    inner_index_ = index_of(inner_);
    outer_index_ = index_of(outer_);
    return;
  }
  throw std::system_error(EEXIST, std::generic_category(), fmt::format("make a veth pair: every name {}N is taken", name_prefix));
}

/// Strictness, forwarding and addresses of the ends, then up.
void ClientLink::configure(const std::string& table) {
  const bool forwards = any_forwards();
  for (const unsigned index : {inner_index_, outer_index_}) {
    RtMessage message(RTM_NEWLINK, NLM_F_ACK);
    message.extra<ifinfomsg>().ifi_index = static_cast<int>(index);
    nlattr* const families = message.open(IFLA_AF_SPEC);
    nlattr* const ipv4 = message.open(AF_INET);
    nlattr* const settings = message.open(IFLA_INET_CONF);
    message.put(devconf_rp_filter, 0U).put(devconf_forwarding, forwards && index == inner_index_ ? 1U : 0U);
    message.close(settings);
    message.close(ipv4);
    message.close(families);
    netlink_.must(message, "set up hanatd's veth pair");
    RtMessage quiet(RTM_NEWLINK, NLM_F_ACK);
    quiet.extra<ifinfomsg>().ifi_index = static_cast<int>(index);
    nlattr* const specs = quiet.open(IFLA_AF_SPEC);
    nlattr* const ipv6 = quiet.open(AF_INET6);
    mnl_attr_put_u8(quiet.header(), IFLA_INET6_ADDR_GEN_MODE, no_generated_address);
    quiet.close(ipv6);
    quiet.close(specs);
    static_cast<void>(netlink_.request(quiet)); // a kernel without IPv6 refuses it
  }
  for (const unsigned index : {inner_index_, outer_index_}) {
    RtMessage message(RTM_NEWLINK, NLM_F_ACK);
    auto& info = message.extra<ifinfomsg>();
    info.ifi_index = static_cast<int>(index);
    info.ifi_flags = info.ifi_change = IFF_UP;
    const std::string alias = alias_of(table); // for who wonders
    message.put_bytes(IFLA_IFALIAS, alias.data(), alias.size());
    netlink_.must(message, "set hanatd's veth pair up");
  }
}

/// The kernel gives an end its queue some moments after its carrier; what is sent before is lost. Then the first packets are sent once
/// more.
void ClientLink::wait_until_running() {
  for (const unsigned index : {inner_index_, outer_index_}) {
    for (int tries = 0; tries < most_waits; ++tries) {
      bool running = false;
      RtMessage query(RTM_GETLINK, 0);
      query.extra<ifinfomsg>().ifi_index = static_cast<int>(index);
      netlink_.request(query, [&](const nlmsghdr& message) {
        running = (static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message))->ifi_flags & IFF_RUNNING) != 0;
      });
      if (running) break;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }
}

/// A host route by the inner end, and a permanent neighbour: nobody there would answer ARP.
void ClientLink::add_client(const std::string& table, const Address& client) {
  const bool v4 = client.family() == Family::ipv4;
  RtMessage route(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto& info = route.extra<rtmsg>();
  info.rtm_family = v4 ? AF_INET : AF_INET6;
  info.rtm_dst_len = static_cast<std::uint8_t>(client.bytes().size() * 8);
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_STATIC;
  info.rtm_scope = v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  info.rtm_type = RTN_UNICAST;
  route.put(RTA_DST, client).put(RTA_OIF, inner_index_);
  RtMessage neighbour(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  auto& entry = neighbour.extra<ndmsg>();
  entry.ndm_family = static_cast<std::uint8_t>(v4 ? AF_INET : AF_INET6);
  entry.ndm_ifindex = static_cast<int>(inner_index_);
  entry.ndm_state = NUD_PERMANENT;
  const Hardware hardware = hardware_of(table, client_end);
  neighbour.put(NDA_DST, client).put_bytes(NDA_LLADDR, hardware.data(), hardware.size());
  if (v4) {
    netlink_.must(route, "add the route to hanatd's own client");
    netlink_.must(neighbour, "add the neighbour of hanatd's own client");
    ipv4_ = true;
  } else {
    ipv6_ = netlink_.request(route) == 0 && netlink_.request(neighbour) == 0; // IPv6 may be off
  }
}

} // namespace hanat
