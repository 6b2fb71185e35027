// One datagram, one look at a set of one element.
#include "nat/nftables/heartbeat_socket.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <sys/socket.h>

#include <linux/netfilter/nf_tables.h>

#include "nat/marks.hpp"
#include "nat/nftables/handles.hpp"
#include "nat/nftables/layout.hpp"
#include "nat/nftables/request.hpp"
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {
namespace {

constexpr std::size_t reply_bytes = std::size_t{64} << 10; // room for one element and an acknowledgement
constexpr std::uint16_t discard_port = 9;                  // RFC 863; no packet gets that far

Fd marked_socket(Family family) {
  Fd fd{socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return fd;
  const std::uint32_t mark = heartbeat_mark;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) throw_netlink(errno, "mark the heartbeat's socket");
  return fd;
}

} // namespace

HeartbeatSocket::HeartbeatSocket(std::string table) : table_(std::move(table)), netlink_(reply_bytes) {}

/// The error, or 0: no rule has dropped it.
int HeartbeatSocket::send_packet(Family family) {
  const bool v4 = family == Family::ipv4;
  Fd& fd = sockets_.at(v4 ? 0 : 1);
  if (!fd) fd = marked_socket(family);
  if (!fd) return errno;
  const Address loopback_address = v4 ? Address::from_bytes(std::array<std::uint8_t, 4>{127, 0, 0, 1})
                                      : Address::from_bytes(std::array<std::uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  const auto loopback = to_sockaddr({.address = loopback_address, .port = discard_port});
  const char beat = 0;
  // Not by a route to somewhere else while loopback has no address.
  const ssize_t sent = sendto(fd.get(), &beat, sizeof beat, MSG_DONTROUTE | MSG_NOSIGNAL, loopback.get(), loopback.length);
  return sent < 0 ? errno : 0;
}

/// Whether the element was renewed after the heartbeat before this one.
bool HeartbeatSocket::is_renewed() {
  std::array<std::uint8_t, 512> request{};
  nlmsghdr* header = put_nft_header(request, nft_type(NFT_MSG_GETSETELEM), NLM_F_ACK, netlink_.next_sequence());
  const SetPtr wanted = to_heartbeat_message_set(table_);
  nftnl_set_elems_nlmsg_build_payload(header, wanted.get());
  bool renewed = false;
  const auto read = [&renewed](const nlmsghdr& reply) {
    const auto set = made(SetPtr{nftnl_set_alloc()});
    if (nftnl_set_elems_nlmsg_parse(&reply, set.get()) != 0) return;
    nftnl_set_elem_foreach(
        set.get(),
        [](nftnl_set_elem* element, void* result) {
          const std::chrono::milliseconds left{nftnl_set_elem_get_u64(element, NFTNL_SET_ELEM_EXPIRATION)};
          *static_cast<bool*>(result) = left > heartbeat_for - heartbeat_period;
          return 0;
        },
        &renewed);
  };
  const auto absent = [](std::uint32_t, int error) { return error == ENOENT; };
  netlink_.exchange({request.data(), header->nlmsg_len}, header->nlmsg_seq, header->nlmsg_seq, "read the heartbeat", read,
                    Netlink::silence_ms, absent);
  return renewed;
}

void HeartbeatSocket::send() {
  int failure = 0;
  for (const Family family : both_families) {
    const int error = send_packet(family);
    if (is_renewed()) return;
    if (failure == 0) failure = error;
  }
  if (failure != 0 && failure != EPERM) throw std::system_error(failure, std::generic_category(), "send a packet to loopback");
  throw std::runtime_error("the packet did not reach its rule");
}

} // namespace hanat::nat
