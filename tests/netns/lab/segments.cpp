// TCP_REPAIR for the numbers, raw sockets for the segments.
#include "tests/netns/lab/segments.hpp"

#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/netns/lab/fd.hpp"

namespace hanat::test {
namespace {

constexpr std::size_t checksum_offset = 16;

void set_repair(int socket, int option, int value) { checked(setsockopt(socket, IPPROTO_TCP, option, &value, sizeof value), "TCP_REPAIR"); }

std::uint32_t number_of_queue(int socket, int queue) {
  set_repair(socket, TCP_REPAIR_QUEUE, queue);
  std::uint32_t number = 0;
  socklen_t length = sizeof number;
  checked(getsockopt(socket, IPPROTO_TCP, TCP_QUEUE_SEQ, &number, &length), "TCP_QUEUE_SEQ");
  return number;
}

void put(std::vector<std::uint8_t>& bytes, std::uint32_t value, std::size_t size) {
  for (std::size_t left = size; left-- > 0;) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * left)));
}

/// Of both addresses, protocol and length, and the segment: what IPv4 wants, and the kernel fills in for IPv6.
std::uint16_t checksum(const Segment& segment, const std::vector<std::uint8_t>& header) {
  std::vector<std::uint8_t> bytes;
  for (const Endpoint& end : {segment.from, segment.to})
    for (const std::uint8_t byte : end.address.bytes()) bytes.push_back(byte);
  put(bytes, IPPROTO_TCP, 2);
  put(bytes, static_cast<std::uint32_t>(header.size()), 2);
  bytes.insert(bytes.end(), header.begin(), header.end());
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 2) sum += static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

} // namespace

TcpNumbers tcp_numbers(int socket) {
  constexpr int on = 1, off_without_probe = -1;
  set_repair(socket, TCP_REPAIR, on);
  const TcpNumbers numbers{.to_send = number_of_queue(socket, TCP_SEND_QUEUE), .to_receive = number_of_queue(socket, TCP_RECV_QUEUE)};
  set_repair(socket, TCP_REPAIR, off_without_probe);
  return numbers;
}

void send_segment(Lab& lab, Host host, const Segment& segment) {
  constexpr std::uint32_t header_words = 5, window = 1'000;
  std::vector<std::uint8_t> header;
  put(header, segment.from.port, 2);
  put(header, segment.to.port, 2);
  put(header, segment.sequence, 4);
  put(header, segment.acknowledged, 4);
  put(header, header_words << 4, 1);
  put(header, segment.flags, 1);
  put(header, window, 2);
  put(header, 0, 4); // checksum, urgent pointer
  const bool v4 = segment.from.address.family() == Family::ipv4;
  lab.in(host, [&] {
    const int raw = checked(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP), "raw socket");
    const Fd socket{raw};
    if (v4) {
      const std::uint16_t sum = checksum(segment, header);
      header[checksum_offset] = static_cast<std::uint8_t>(sum >> 8);
      header[checksum_offset + 1] = static_cast<std::uint8_t>(sum);
    } else {
      const int offset = checksum_offset;
      checked(setsockopt(raw, IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof offset), "IPV6_CHECKSUM");
    }
    const SocketAddress from = to_sockaddr({.address = segment.from.address, .port = 0});
    const SocketAddress to = to_sockaddr({.address = segment.to.address, .port = 0});
    checked(bind(raw, from.get(), from.length), "bind the raw socket");
    checked(static_cast<int>(sendto(raw, header.data(), header.size(), 0, to.get(), to.length)), "send a segment");
  });
}

} // namespace hanat::test
