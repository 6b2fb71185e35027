// Two netlink sockets: one receives changes, the other sends lookups. The kernel replies to a lookup inside the call that sends it, so
// nothing here waits.
#include "probes/passive/route_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include "nat/marks.hpp"

namespace hanat::probes {
namespace {

template <auto release> struct Release {
  template <typename Object> void operator()(Object* object) const { release(object); }
};
using MessagePtr = std::unique_ptr<nl_msg, Release<nlmsg_free>>;
using CallbacksPtr = std::unique_ptr<nl_cb, Release<nl_cb_put>>;
using LinkPtr = std::unique_ptr<rtnl_link, Release<rtnl_link_put>>;
using RoutePtr = std::unique_ptr<rtnl_route, Release<rtnl_route_put>>;

/// A link's message with all its statistics and functions is under 8 KiB; one that does not fit counts as lost.
constexpr std::size_t received_bytes = std::size_t{32} << 10;

// IFF_LOWER_UP is the carrier; libc's <net/if.h> does not name it, and <linux/if.h> cannot be included beside it.
constexpr unsigned lower_up = 1U << 16;

[[noreturn]] void throw_libnl(int error, const char* what) {
  // libnl has error numbers of its own, not all with a matching errno; its messages are good.
  throw std::system_error(error == -NLE_PERM ? EPERM : EIO, std::generic_category(), std::string{what} + ": " + nl_geterror(error));
}

template <typename Pointer> Pointer made(Pointer pointer) {
  if (!pointer) throw std::system_error(ENOMEM, std::generic_category(), "make a netlink message");
  return pointer;
}

std::optional<Address> address_from(const void* bytes, int length) {
  if (bytes == nullptr || (length != 4 && length != 16)) return std::nullopt;
  return Address::from_bytes({static_cast<const std::uint8_t*>(bytes), static_cast<std::size_t>(length)});
}
std::optional<Address> address_in(const nlattr* attribute) {
  return attribute == nullptr ? std::nullopt : address_from(nla_data(attribute), nla_len(attribute));
}
std::optional<Address> address_of(nl_addr* address) {
  if (address == nullptr) return std::nullopt;
  return address_from(nl_addr_get_binary_addr(address), static_cast<int>(nl_addr_get_len(address)));
}
bool is_ip(int family) { return family == AF_INET || family == AF_INET6; }

// ---- changes: header and one or two attributes; parsing whole objects would take ten times as long for a million route changes

bool is_inner(unsigned flags, bool has_master, std::string_view kind, std::string_view name) {
  return (flags & IFF_LOOPBACK) != 0 || has_master || kind == "dummy" || kind == "ifb" || name.starts_with(nat::own_link_prefix);
}

std::string_view text_in(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* const text = static_cast<const char*>(nla_data(attribute));
  return {text, strnlen(text, static_cast<std::size_t>(nla_len(attribute)))};
}

std::optional<Change> link_in(nlmsghdr& message) {
  const auto& info = *static_cast<const ifinfomsg*>(nlmsg_data(&message));
  if (info.ifi_family != AF_UNSPEC || info.ifi_index <= 0) return std::nullopt; // for example, a port that left its bridge
  const auto attribute = [&](int type) { return nlmsg_find_attr(&message, sizeof info, type); };
  const nlattr* const about = attribute(IFLA_LINKINFO);
  const nlattr* const lower = attribute(IFLA_LINK_NETNSID) == nullptr ? attribute(IFLA_LINK) : nullptr;
  return Link{.index = static_cast<unsigned>(info.ifi_index),
              .name = std::string{text_in(attribute(IFLA_IFNAME))},
              .up = (info.ifi_flags & IFF_UP) != 0,
              .carrier = (info.ifi_flags & lower_up) != 0,
              .gone = message.nlmsg_type == RTM_DELLINK,
              .inner = is_inner(info.ifi_flags, attribute(IFLA_MASTER) != nullptr,
                                about == nullptr
                                    ? std::string_view{}
                                    : text_in(nla_find(static_cast<const nlattr*>(nla_data(about)), nla_len(about), IFLA_INFO_KIND)),
                                text_in(attribute(IFLA_IFNAME))),
              .lower = lower == nullptr || nla_len(lower) < 4 ? 0 : nla_get_u32(lower)};
}

std::optional<Change> route_in(nlmsghdr& message) {
  const auto& info = *static_cast<const rtmsg*>(nlmsg_data(&message));
  if (!is_ip(info.rtm_family) || (info.rtm_flags & RTM_F_CLONED) != 0) return std::nullopt; // an exception of one flow
  const std::size_t length = info.rtm_family == AF_INET ? 4 : 16;
  if (info.rtm_dst_len > length * 8) return std::nullopt;
  constexpr std::array<std::uint8_t, 16> any{};
  const auto network = address_in(nlmsg_find_attr(&message, sizeof info, RTA_DST));
  return RouteChange{.network = network && network->bytes().size() == length ? *network : Address::from_bytes({any.data(), length}),
                     .prefix = network ? info.rtm_dst_len : 0U,
                     .removed = message.nlmsg_type == RTM_DELROUTE};
}

std::optional<Change> address_change_in(nlmsghdr& message) {
  const auto& info = *static_cast<const ifaddrmsg*>(nlmsg_data(&message));
  auto address = address_in(nlmsg_find_attr(&message, sizeof info, IFA_LOCAL)); // on a point-to-point link IFA_ADDRESS is the peer's
  if (!address) address = address_in(nlmsg_find_attr(&message, sizeof info, IFA_ADDRESS));
  if (!address || !is_ip(info.ifa_family)) return std::nullopt;
  const nlattr* const all_flags = nlmsg_find_attr(&message, sizeof info, IFA_FLAGS); // ifa_flags has the first eight
  const std::uint32_t flags = all_flags != nullptr && nla_len(all_flags) >= 4 ? nla_get_u32(all_flags) : info.ifa_flags;
  return AddressChange{.address = *address,
                       .interface = info.ifa_index,
                       .removed = message.nlmsg_type == RTM_DELADDR,
                       .usable = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0,
                       .duplicate = (flags & IFA_F_DADFAILED) != 0,
                       .temporary = info.ifa_family == AF_INET6 && (flags & IFA_F_TEMPORARY) != 0};
}

std::optional<Change> neighbour_in(nlmsghdr& message) {
  const auto& info = *static_cast<const ndmsg*>(nlmsg_data(&message));
  if (info.ndm_state != NUD_FAILED || !is_ip(info.ndm_family) || info.ndm_ifindex <= 0) return std::nullopt;
  const auto address = address_in(nlmsg_find_attr(&message, sizeof info, NDA_DST));
  if (!address) return std::nullopt;
  return NeighbourFailed{.hop = {.interface = static_cast<unsigned>(info.ndm_ifindex), .next = *address}};
}

} // namespace

std::optional<Change> change_in(nlmsghdr& message) {
  const auto holds = [&](std::size_t header) { return nlmsg_valid_hdr(&message, static_cast<int>(header)) != 0; };
  switch (message.nlmsg_type) {
  case RTM_NEWLINK:
  case RTM_DELLINK: return holds(sizeof(ifinfomsg)) ? link_in(message) : std::nullopt;
  case RTM_NEWROUTE:
  case RTM_DELROUTE: return holds(sizeof(rtmsg)) ? route_in(message) : std::nullopt;
  case RTM_NEWADDR:
  case RTM_DELADDR: return holds(sizeof(ifaddrmsg)) ? address_change_in(message) : std::nullopt;
  case RTM_NEWNEIGH: return holds(sizeof(ndmsg)) ? neighbour_in(message) : std::nullopt;
  case RTM_NEWRULE:
  case RTM_DELRULE:
  case RTM_NEWNEXTHOP:
  case RTM_DELNEXTHOP: return RulesChange{};
  default: return std::nullopt;
  }
}

// ---- the sockets

void RouteSocket::FreeSocket::operator()(nl_sock* socket) const { nl_socket_free(socket); }

RouteSocket::SocketPtr RouteSocket::open(std::size_t buffer_bytes) {
  SocketPtr socket{nl_socket_alloc()};
  if (!socket) throw std::system_error(ENOMEM, std::generic_category(), "make a netlink socket");
  if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error < 0) throw_libnl(error, "open a netlink socket for routes");
  const int fd = nl_socket_get_fd(socket.get());
  const int bytes = static_cast<int>(buffer_bytes);
  // Above the system's limit with CAP_NET_ADMIN; a smaller buffer only loses changes sooner, which is noticed.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    static_cast<void>(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
  nl_socket_set_nonblocking(socket.get());
  // libnl knows only the sequence numbers of its own requests; an error for another one would make it reject every later reply.
  nl_socket_disable_seq_check(socket.get());
  nl_socket_set_msg_buf_size(socket.get(), received_bytes);
  nl_socket_disable_msg_peek(socket.get()); // one call per message instead of two
  return socket;
}

RouteSocket::RouteSocket(std::size_t buffer_bytes, std::uint32_t mark)
    : mark_(mark), changes_(open(buffer_bytes)), lookups_(open(std::size_t{1} << 18)) {
  const int error =
      nl_socket_add_memberships(changes_.get(), RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                                RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP, RTNLGRP_NONE);
  if (error < 0) throw_libnl(error, "subscribe to changes of links and routes");
}

RouteSocket::~RouteSocket() = default;

int RouteSocket::fd() const { return nl_socket_get_fd(changes_.get()); }

namespace {

bool from_kernel(nl_msg* message) { return nlmsg_get_src(message)->nl_pid == 0; }

/// Callbacks of one read, with `data` for their results. libnl must not check sequence numbers here.
CallbacksPtr callbacks(nl_recvmsg_msg_cb_t on_message, nl_recvmsg_err_cb_t on_error, void* data) {
  CallbacksPtr result = made(CallbacksPtr{nl_cb_alloc(NL_CB_DEFAULT)});
  nl_cb_set(
      result.get(), NL_CB_SEQ_CHECK, NL_CB_CUSTOM, [](nl_msg*, void*) -> int { return NL_OK; }, nullptr);
  nl_cb_set(result.get(), NL_CB_VALID, NL_CB_CUSTOM, on_message, data);
  nl_cb_err(result.get(), NL_CB_CUSTOM, on_error, data);
  return result;
}

} // namespace

RouteSocket::Changes RouteSocket::changes(std::size_t datagrams) {
  Changes result;
  const auto take = callbacks(
      [](nl_msg* message, void* data) -> int {
        if (auto change = from_kernel(message) ? change_in(*nlmsg_hdr(message)) : std::nullopt)
          static_cast<Changes*>(data)->read.push_back(*std::move(change));
        return NL_OK;
      },
      [](sockaddr_nl*, nlmsgerr*, void*) -> int { return NL_SKIP; }, &result);
  for (std::size_t read = 0; read < datagrams; ++read) {
    const int error = nl_recvmsgs(changes_.get(), take.get());
    if (error == -NLE_AGAIN) break;
    if (error < 0) result.lost = true; // NLE_NOMEM is ENOBUFS: the buffer was full
  }
  return result;
}

// ---- lookups

void RouteSocket::put_query(std::vector<std::uint8_t>& datagram, const Path& path, std::uint32_t sequence) const {
  constexpr std::size_t longest = 128;
  const MessagePtr message = made(MessagePtr{nlmsg_alloc_size(longest)});
  const auto bytes = path.server.bytes();
  const auto bits = static_cast<std::uint8_t>(bytes.size() * 8);
  const int family = path.server.family() == Family::ipv4 ? AF_INET : AF_INET6;
  rtmsg info{};
  info.rtm_family = static_cast<std::uint8_t>(family);
  info.rtm_dst_len = bits;
  info.rtm_src_len = path.source ? bits : std::uint8_t{0};
  nlmsghdr* const header =
      nlmsg_put(message.get(), nl_socket_get_local_port(lookups_.get()), sequence, RTM_GETROUTE, sizeof info, NLM_F_REQUEST);
  std::memcpy(nlmsg_data(header), &info, sizeof info);
  nla_put(message.get(), RTA_DST, static_cast<int>(bytes.size()), bytes.data());
  if (path.source) nla_put(message.get(), RTA_SRC, static_cast<int>(bytes.size()), path.source->bytes().data());
  if (mark_ != 0) nla_put_u32(message.get(), RTA_MARK, mark_);
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(header);
  datagram.insert(datagram.end(), begin, begin + NLMSG_ALIGN(header->nlmsg_len));
}

namespace {

struct RouteReplies {
  std::span<const Path> paths;
  std::uint32_t first = 0; // sequence
  std::vector<std::optional<Route>> routes;

  std::optional<Route>* at(std::uint32_t sequence) {
    const std::size_t index = sequence - first;
    return index < routes.size() ? &routes[index] : nullptr;
  }
};

/// The errno of a lookup that ends at a route of this type; IPv6 returns some of them as routes.
int error_of_type(std::uint8_t type) {
  switch (type) {
  case RTN_UNREACHABLE: return EHOSTUNREACH;
  case RTN_BLACKHOLE: return EINVAL;
  case RTN_PROHIBIT: return EACCES;
  default: return 0;
  }
}

Route route_from(rtnl_route& route, const Path& path) {
  Route result{.error = error_of_type(rtnl_route_get_type(&route)), .hop = {.interface = 0, .next = path.server}, .source = path.source};
  result.local = rtnl_route_get_type(&route) == RTN_LOCAL;
  if (!result.source) result.source = address_of(rtnl_route_get_pref_src(&route));
  if (rtnl_nexthop* const hop = rtnl_route_nexthop_n(&route, 0); hop != nullptr) {
    result.hop.interface = static_cast<unsigned>(rtnl_route_nh_get_ifindex(hop));
    auto gateway = address_of(rtnl_route_nh_get_gateway(hop));
    if (!gateway) gateway = address_of(rtnl_route_nh_get_via(hop));
    if (gateway) result.hop.next = *gateway;
  }
  return result;
}

int take_route(nl_msg* message, void* data) {
  auto& replies = *static_cast<RouteReplies*>(data);
  nlmsghdr* const header = nlmsg_hdr(message);
  auto* const reply = from_kernel(message) && header->nlmsg_type == RTM_NEWROUTE ? replies.at(header->nlmsg_seq) : nullptr;
  rtnl_route* parsed = nullptr;
  if (reply == nullptr || rtnl_route_parse(header, &parsed) < 0) return NL_OK;
  const RoutePtr route{parsed};
  *reply = route_from(*route, replies.paths[header->nlmsg_seq - replies.first]);
  return NL_OK;
}

int take_route_error(sockaddr_nl* from, nlmsgerr* error, void* data) {
  auto& replies = *static_cast<RouteReplies*>(data);
  auto* const reply = from->nl_pid == 0 ? replies.at(error->msg.nlmsg_seq) : nullptr;
  if (reply != nullptr) *reply = Route{.error = -error->error, .hop = {}, .source = std::nullopt, .local = false};
  return NL_SKIP;
}

} // namespace

std::vector<std::optional<Route>> RouteSocket::routes(std::span<const Path> paths) {
  paths = paths.first(std::min(paths.size(), routes_at_once));
  RouteReplies replies{.paths = paths, .first = sequence_ + 1, .routes = {}};
  replies.routes.resize(paths.size());
  std::vector<std::uint8_t> datagram;
  for (const Path& path : paths) put_query(datagram, path, ++sequence_);
  if (nl_sendto(lookups_.get(), datagram.data(), datagram.size()) < 0) return std::move(replies.routes);
  const auto take = callbacks(take_route, take_route_error, &replies);
  for (std::size_t read = 0; read <= paths.size(); ++read) {
    const int error = nl_recvmsgs(lookups_.get(), take.get());
    if (error == -NLE_AGAIN) break;
  }
  return std::move(replies.routes);
}

std::optional<Link> RouteSocket::link(unsigned index) {
  rtnl_link* found = nullptr;
  const int error = rtnl_link_get_kernel(lookups_.get(), static_cast<int>(index), nullptr, &found);
  if (error == -NLE_NODEV || error == -NLE_OBJ_NOTFOUND) return Link{.index = index, .name = {}, .gone = true};
  if (error < 0) return std::nullopt;
  const LinkPtr link{found};
  const unsigned flags = rtnl_link_get_flags(link.get());
  const char* const name = rtnl_link_get_name(link.get());
  std::int32_t netns = 0;
  const char* const kind = rtnl_link_get_type(link.get());
  const int lower = rtnl_link_get_link_netnsid(link.get(), &netns) == 0 ? 0 : rtnl_link_get_link(link.get());
  return Link{.index = index,
              .name = name == nullptr ? "" : name,
              .up = (flags & IFF_UP) != 0,
              .carrier = (flags & lower_up) != 0,
              .inner = is_inner(flags, rtnl_link_get_master(link.get()) != 0, kind == nullptr ? "" : kind, name == nullptr ? "" : name),
              .lower = static_cast<unsigned>(lower)};
}

std::vector<Link> RouteSocket::links() {
  struct Dump {
    std::vector<Link> links;
    bool done = false;
  } dump;
  constexpr std::uint32_t without_statistics = 1U << 3; // RTEXT_FILTER_SKIP_STATS
  const MessagePtr message = made(MessagePtr{nlmsg_alloc()});
  const ifinfomsg any{};
  nlmsghdr* const header =
      nlmsg_put(message.get(), nl_socket_get_local_port(lookups_.get()), ++sequence_, RTM_GETLINK, sizeof any, NLM_F_REQUEST | NLM_F_DUMP);
  std::memcpy(nlmsg_data(header), &any, sizeof any);
  nla_put_u32(message.get(), IFLA_EXT_MASK, without_statistics);
  if (nl_sendto(lookups_.get(), header, header->nlmsg_len) < 0) return {};
  const auto take = callbacks(
      [](nl_msg* reply, void* data) -> int {
        const auto change = from_kernel(reply) ? change_in(*nlmsg_hdr(reply)) : std::nullopt;
        if (const Link* link = change ? std::get_if<Link>(&*change) : nullptr) static_cast<Dump*>(data)->links.push_back(*link);
        return NL_OK;
      },
      [](sockaddr_nl*, nlmsgerr*, void* data) -> int {
        static_cast<Dump*>(data)->done = true;
        return NL_SKIP;
      },
      &dump);
  nl_cb_set(
      take.get(), NL_CB_FINISH, NL_CB_CUSTOM,
      [](nl_msg*, void* data) -> int {
        static_cast<Dump*>(data)->done = true;
        return NL_STOP;
      },
      &dump);
  while (!dump.done)
    if (nl_recvmsgs(lookups_.get(), take.get()) < 0) break;
  return std::move(dump.links);
}

} // namespace hanat::probes
