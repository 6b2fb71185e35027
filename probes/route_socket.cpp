// Two netlink sockets: one hears what changes, the other asks. The kernel answers a question inside the call that sends it, so that nobody
// waits here.
#include "probes/route_socket.hpp"

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
  // libnl has error numbers of its own; its words are good, a matching errno is not always there.
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

// ---- changes: header and one or two attributes; a whole object each would be ten times the work in a storm of a million routes

std::optional<Change> link_in(nlmsghdr& message) {
  const auto& info = *static_cast<const ifinfomsg*>(nlmsg_data(&message));
  if (info.ifi_family != AF_UNSPEC || info.ifi_index <= 0) return std::nullopt; // a bridge's port left the bridge, say
  const nlattr* const name = nlmsg_find_attr(&message, sizeof info, IFLA_IFNAME);
  return Link{.index = static_cast<unsigned>(info.ifi_index),
              .name = name == nullptr
                          ? ""
                          : std::string(static_cast<const char*>(nla_data(name)),
                                        strnlen(static_cast<const char*>(nla_data(name)), static_cast<std::size_t>(nla_len(name)))),
              .up = (info.ifi_flags & IFF_UP) != 0,
              .carrier = (info.ifi_flags & lower_up) != 0,
              .gone = message.nlmsg_type == RTM_DELLINK};
}

std::optional<Change> route_in(nlmsghdr& message) {
  const auto& info = *static_cast<const rtmsg*>(nlmsg_data(&message));
  if (!is_ip(info.rtm_family) || (info.rtm_flags & RTM_F_CLONED) != 0) return std::nullopt; // one flow's exception
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
  auto address = address_in(nlmsg_find_attr(&message, sizeof info, IFA_LOCAL)); // of a point-to-point link IFA_ADDRESS is the peer's
  if (!address) address = address_in(nlmsg_find_attr(&message, sizeof info, IFA_ADDRESS));
  if (!address || !is_ip(info.ifa_family)) return std::nullopt;
  return AddressChange{.address = *address, .interface = info.ifa_index, .removed = message.nlmsg_type == RTM_DELADDR};
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
  // Beyond the system's limit where CAP_NET_ADMIN allows it; a smaller buffer only looses changes earlier, which is noticed.
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    static_cast<void>(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
  nl_socket_set_nonblocking(socket.get());
  // libnl counts the numbers of its own requests only, and one refusal of another would make it reject every answer that follows.
  nl_socket_disable_seq_check(socket.get());
  nl_socket_set_msg_buf_size(socket.get(), received_bytes);
  nl_socket_disable_msg_peek(socket.get()); // a message is read with one call instead of two
  return socket;
}

RouteSocket::RouteSocket(std::size_t buffer_bytes, std::uint32_t mark)
    : mark_(mark), changes_(open(buffer_bytes)), questions_(open(std::size_t{1} << 18)) {
  const int error =
      nl_socket_add_memberships(changes_.get(), RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
                                RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP, RTNLGRP_NONE);
  if (error < 0) throw_libnl(error, "listen to changes of links and routes");
}

RouteSocket::~RouteSocket() = default;

int RouteSocket::fd() const { return nl_socket_get_fd(changes_.get()); }

namespace {

bool from_kernel(nl_msg* message) { return nlmsg_get_src(message)->nl_pid == 0; }

/// Callbacks of one read: what they find goes to `data`. Sequence numbers are not libnl's business here.
CallbacksPtr callbacks(nl_recvmsg_msg_cb_t on_message, nl_recvmsg_err_cb_t on_error, void* data) {
  CallbacksPtr result = made(CallbacksPtr{nl_cb_alloc(NL_CB_DEFAULT)});
  nl_cb_set(
      result.get(), NL_CB_SEQ_CHECK, NL_CB_CUSTOM, [](nl_msg*, void*) -> int { return NL_OK; }, nullptr);
  nl_cb_set(result.get(), NL_CB_VALID, NL_CB_CUSTOM, on_message, data);
  nl_cb_err(result.get(), NL_CB_CUSTOM, on_error, data);
  return result;
}

} // namespace

RouteSocket::Changes RouteSocket::changes(std::size_t at_most) {
  Changes result;
  const auto take = callbacks(
      [](nl_msg* message, void* data) -> int {
        if (auto change = from_kernel(message) ? change_in(*nlmsg_hdr(message)) : std::nullopt)
          static_cast<Changes*>(data)->read.push_back(*std::move(change));
        return NL_OK;
      },
      [](sockaddr_nl*, nlmsgerr*, void*) -> int { return NL_SKIP; }, &result);
  for (std::size_t datagram = 0; datagram < at_most; ++datagram) {
    const int error = nl_recvmsgs(changes_.get(), take.get());
    if (error == -NLE_AGAIN) break;
    if (error < 0) result.lost = true; // NLE_NOMEM is ENOBUFS: the buffer was full
  }
  return result;
}

// ---- questions

void RouteSocket::put_question(std::vector<std::uint8_t>& datagram, const Way& way, std::uint32_t sequence) const {
  constexpr std::size_t longest = 128;
  const MessagePtr message = made(MessagePtr{nlmsg_alloc_size(longest)});
  const auto bytes = way.server.bytes();
  const auto bits = static_cast<std::uint8_t>(bytes.size() * 8);
  const int family = way.server.family() == Family::ipv4 ? AF_INET : AF_INET6;
  rtmsg info{};
  info.rtm_family = static_cast<std::uint8_t>(family);
  info.rtm_dst_len = bits;
  info.rtm_src_len = way.source ? bits : std::uint8_t{0};
  nlmsghdr* const header =
      nlmsg_put(message.get(), nl_socket_get_local_port(questions_.get()), sequence, RTM_GETROUTE, sizeof info, NLM_F_REQUEST);
  std::memcpy(nlmsg_data(header), &info, sizeof info);
  nla_put(message.get(), RTA_DST, static_cast<int>(bytes.size()), bytes.data());
  if (way.source) nla_put(message.get(), RTA_SRC, static_cast<int>(bytes.size()), way.source->bytes().data());
  if (mark_ != 0) nla_put_u32(message.get(), RTA_MARK, mark_);
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(header);
  datagram.insert(datagram.end(), begin, begin + NLMSG_ALIGN(header->nlmsg_len));
}

namespace {

struct RouteAnswers {
  std::span<const Way> ways;
  std::uint32_t first = 0; // sequence
  std::vector<std::optional<Route>> routes;

  std::optional<Route>* at(std::uint32_t sequence) {
    const std::size_t index = sequence - first;
    return index < routes.size() ? &routes[index] : nullptr;
  }
};

/// The errno that a lookup of this type of route gives; IPv6 shows some as routes.
int error_of_type(std::uint8_t type) {
  switch (type) {
  case RTN_UNREACHABLE: return EHOSTUNREACH;
  case RTN_BLACKHOLE: return EINVAL;
  case RTN_PROHIBIT: return EACCES;
  default: return 0;
  }
}

Route route_from(rtnl_route& route, const Way& way) {
  Route result{.error = error_of_type(rtnl_route_get_type(&route)), .hop = {.interface = 0, .next = way.server}, .source = way.source};
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
  auto& answers = *static_cast<RouteAnswers*>(data);
  nlmsghdr* const header = nlmsg_hdr(message);
  auto* const answer = from_kernel(message) && header->nlmsg_type == RTM_NEWROUTE ? answers.at(header->nlmsg_seq) : nullptr;
  rtnl_route* parsed = nullptr;
  if (answer == nullptr || rtnl_route_parse(header, &parsed) < 0) return NL_OK;
  const RoutePtr route{parsed};
  *answer = route_from(*route, answers.ways[header->nlmsg_seq - answers.first]);
  return NL_OK;
}

int take_route_error(sockaddr_nl* from, nlmsgerr* error, void* data) {
  auto& answers = *static_cast<RouteAnswers*>(data);
  auto* const answer = from->nl_pid == 0 ? answers.at(error->msg.nlmsg_seq) : nullptr;
  if (answer != nullptr) *answer = Route{.error = -error->error, .hop = {}, .source = std::nullopt, .local = false};
  return NL_SKIP;
}

} // namespace

std::vector<std::optional<Route>> RouteSocket::routes(std::span<const Way> ways) {
  ways = ways.first(std::min(ways.size(), routes_at_once));
  RouteAnswers answers{.ways = ways, .first = sequence_ + 1, .routes = {}};
  answers.routes.resize(ways.size());
  std::vector<std::uint8_t> datagram;
  for (const Way& way : ways) put_question(datagram, way, ++sequence_);
  if (nl_sendto(questions_.get(), datagram.data(), datagram.size()) < 0) return std::move(answers.routes);
  const auto take = callbacks(take_route, take_route_error, &answers);
  for (std::size_t read = 0; read <= ways.size(); ++read) {
    const int error = nl_recvmsgs(questions_.get(), take.get());
    if (error == -NLE_AGAIN) break;
  }
  return std::move(answers.routes);
}

std::optional<Link> RouteSocket::link(unsigned index) {
  rtnl_link* found = nullptr;
  const int error = rtnl_link_get_kernel(questions_.get(), static_cast<int>(index), nullptr, &found);
  if (error == -NLE_NODEV || error == -NLE_OBJ_NOTFOUND) return Link{.index = index, .name = {}, .gone = true};
  if (error < 0) return std::nullopt;
  const LinkPtr link{found};
  const unsigned flags = rtnl_link_get_flags(link.get());
  const char* const name = rtnl_link_get_name(link.get());
  return Link{.index = index, .name = name == nullptr ? "" : name, .up = (flags & IFF_UP) != 0, .carrier = (flags & lower_up) != 0};
}

} // namespace hanat::probes
