// Builds the packets and sends them in batches through raw sockets with hanatd's mark. The mark lets them bypass conntrack, which would
// give them an entry and another source port.
#include "nat/nudge.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "nat/marks.hpp"

namespace hanat::nat {
namespace {

using namespace std::chrono_literals;

// 128 packets per millisecond: a thousand clients are nudged within 10 ms, and no queue on the way has to drop packets: a router's default
// queues hold 1,000.
constexpr std::size_t burst = 128;
constexpr auto pause = 1ms;
constexpr int max_retries_when_full = 50; // retries of a burst when the queue is full; then its rest is skipped

constexpr std::uint8_t hops = 64;
constexpr std::uint16_t window = 1024; // any value: the client only sees that it does not expect the segment

/// The ones' complement sum of RFC 1071, not yet folded.
std::uint32_t sum(std::span<const std::uint8_t> bytes, std::uint32_t start = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) start += static_cast<std::uint32_t>(bytes[i] << (i % 2 == 0 ? 8 : 0));
  return start;
}
std::uint16_t checksum(std::uint32_t total) {
  while (total > 0xffff) total = (total & 0xffff) + (total >> 16U);
  return htons(static_cast<std::uint16_t>(~total));
}

template <typename Header> std::span<const std::uint8_t> bytes_of(const Header& header) {
  return {reinterpret_cast<const std::uint8_t*>(&header), sizeof header};
}
template <typename Header> void append(std::vector<std::uint8_t>& packet, const Header& header) {
  const auto bytes = bytes_of(header);
  packet.insert(packet.end(), bytes.begin(), bytes.end());
}

tcphdr segment(const Nudge& nudge) {
  tcphdr tcp{};
  tcp.source = htons(nudge.from.port);
  tcp.dest = htons(nudge.to.port);
  tcp.doff = sizeof tcp / 4;
  tcp.ack = 1;
  tcp.syn = nudge.segment == Segment::syn_ack ? 1 : 0;
  tcp.window = htons(window);
  // RFC 9293: the checksum includes addresses, protocol and length, in both families.
  std::uint32_t total = sum(nudge.to.address.bytes(), sum(nudge.from.address.bytes())) + IPPROTO_TCP + sizeof tcp;
  total = sum(bytes_of(tcp), total);
  tcp.check = checksum(total);
  return tcp;
}

ip header4(const Nudge& nudge) {
  ip header{};
  header.ip_v = 4;
  header.ip_hl = sizeof header / 4;
  header.ip_len = htons(sizeof header + sizeof(tcphdr));
  header.ip_off = htons(IP_DF);
  header.ip_ttl = hops;
  header.ip_p = IPPROTO_TCP;
  std::memcpy(&header.ip_src, nudge.from.address.bytes().data(), sizeof header.ip_src);
  std::memcpy(&header.ip_dst, nudge.to.address.bytes().data(), sizeof header.ip_dst);
  header.ip_sum = checksum(sum(bytes_of(header)));
  return header;
}

ip6_hdr header6(const Nudge& nudge) {
  ip6_hdr header{};
  header.ip6_flow = htonl(std::uint32_t{6} << 28U);
  header.ip6_plen = htons(sizeof(tcphdr));
  header.ip6_nxt = IPPROTO_TCP;
  header.ip6_hlim = hops;
  std::memcpy(&header.ip6_src, nudge.from.address.bytes().data(), sizeof header.ip6_src);
  std::memcpy(&header.ip6_dst, nudge.to.address.bytes().data(), sizeof header.ip6_dst);
  return header;
}

Fd raw_socket(int family) {
  Fd fd{socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW)}; // IPPROTO_RAW: the packets include their IP header
  if (!fd && errno == EAFNOSUPPORT) return fd;
  if (!fd) throw std::system_error(errno, std::generic_category(), "open a raw socket");
  const std::uint32_t mark = packet_mark;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0)
    throw std::system_error(errno, std::generic_category(), "mark a raw socket");
  return fd;
}

/// Sends those of the nudges, at most one burst, and marks the accepted ones. Skips packets that the kernel refuses.
void send_burst(int fd, std::span<const Nudge> nudges, std::span<const std::size_t> chosen, std::vector<bool>& accepted) {
  std::array<std::vector<std::uint8_t>, burst> packets;
  std::array<SocketAddress, burst> addresses{};
  std::array<iovec, burst> parts{};
  std::array<mmsghdr, burst> messages{};
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const Nudge& nudge = nudges[chosen[i]];
    packets.at(i) = nudge_packet(nudge);
    addresses.at(i) = to_sockaddr({.address = nudge.to.address, .port = 0}); // a raw IPv6 socket takes no port
    parts.at(i) = {.iov_base = packets.at(i).data(), .iov_len = packets.at(i).size()};
    msghdr& header = messages.at(i).msg_hdr;
    header.msg_name = &addresses.at(i).storage;
    header.msg_namelen = addresses.at(i).length;
    header.msg_iov = &parts.at(i);
    header.msg_iovlen = 1;
  }
  std::size_t at = 0;
  for (int full = 0; at < chosen.size();) {
    const int taken = sendmmsg(fd, messages.data() + at, static_cast<unsigned>(chosen.size() - at), 0);
    if (taken > 0) {
      for (const auto end = at + static_cast<std::size_t>(taken); at < end; ++at) accepted[chosen[at]] = true;
    } else if (errno == EAGAIN) {
      if (++full > max_retries_when_full) break;
      std::this_thread::sleep_for(pause);
    } else if (errno != EINTR) { // also ENOBUFS: too many unresolved neighbours
      ++at;
    }
  }
}

} // namespace

std::vector<std::uint8_t> nudge_packet(const Nudge& nudge) {
  const Family family = nudge.from.address.family();
  if (nudge.to.address.family() != family) throw std::invalid_argument("a nudge with addresses of two families");
  std::vector<std::uint8_t> packet;
  packet.reserve(sizeof(ip6_hdr) + sizeof(tcphdr));
  if (family == Family::ipv4)
    append(packet, header4(nudge));
  else
    append(packet, header6(nudge));
  append(packet, segment(nudge));
  return packet;
}

Nudger::Nudger() : ipv4_(raw_socket(AF_INET)), ipv6_(raw_socket(AF_INET6)) {}

std::vector<bool> Nudger::send(std::span<const Nudge> nudges, const std::atomic<bool>& cancelled) {
  std::vector<bool> accepted(nudges.size());
  for (const Family family : both_families) {
    if (!socket_for(family)) continue;
    std::vector<std::size_t> of_family;
    for (std::size_t index = 0; index < nudges.size(); ++index)
      if (nudges[index].to.address.family() == family) of_family.push_back(index);
    for (std::span<const std::size_t> left{of_family}; !left.empty() && !cancelled;) {
      const auto part = left.first(std::min(left.size(), burst));
      left = left.subspan(part.size());
      send_burst(socket_for(family).get(), nudges, part, accepted);
      if (!left.empty()) std::this_thread::sleep_for(pause);
    }
  }
  return accepted;
}

} // namespace hanat::nat
