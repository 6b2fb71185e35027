// AF_PACKET, and a classic BPF program.
#include "daemon/doctor/packet_watch.hpp"

#include <array>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

namespace hanat {
namespace {

void bind_to(const Fd& fd, unsigned interface) {
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(interface);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    throw std::system_error(errno, std::generic_category(), "bind a packet socket");
}

/// Protocol 0: it receives nothing before it is bound.
Fd make_socket() {
  Fd fd{socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) throw std::system_error(errno, std::generic_category(), "open a packet socket");
  const int bytes = 4 << 20; // the replies of a thousand flows; less without CAP_NET_ADMIN
  static_cast<void>(setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes));
  return fd;
}

} // namespace

Fd open_packet_socket(unsigned interface) {
  Fd fd = make_socket();
  bind_to(fd, interface);
  return fd;
}

Fd watch_segments(std::uint16_t upper_sequence) {
  constexpr std::uint16_t load8 = BPF_LD | BPF_B | BPF_ABS, load16 = BPF_LD | BPF_H | BPF_ABS, load16_x = BPF_LD | BPF_H | BPF_IND;
  constexpr std::uint16_t equal = BPF_JMP | BPF_JEQ | BPF_K, any_bit = BPF_JMP | BPF_JSET | BPF_K;
  const std::uint32_t upper = upper_sequence;
  std::array<sock_filter, 21> program{{
      {load8, 0, 0, 0}, // the version
      {BPF_ALU | BPF_RSH | BPF_K, 0, 0, 4},
      {equal, 10, 0, 6},
      {equal, 0, 16, 4}, // IPv4
      {load8, 0, 0, 9},
      {equal, 0, 14, IPPROTO_TCP},
      {load16, 0, 0, 6},
      {any_bit, 12, 0, 0x1fff}, // a later fragment
      {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0},
      {load16_x, 0, 0, 4},
      {equal, 8, 0, upper},
      {load16_x, 0, 0, 8},
      {equal, 6, 7, upper},
      {load8, 0, 0, 6}, // IPv6
      {equal, 0, 5, IPPROTO_TCP},
      {load16, 0, 0, 44},
      {equal, 2, 0, upper},
      {load16, 0, 0, 48},
      {equal, 0, 1, upper},
      {BPF_RET | BPF_K, 0, 0, 0xffff}, // take it
      {BPF_RET | BPF_K, 0, 0, 0},
  }};
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  Fd fd = make_socket();
  if (setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
    throw std::system_error(errno, std::generic_category(), "filter a packet socket");
  bind_to(fd, 0);
  return fd;
}

} // namespace hanat
