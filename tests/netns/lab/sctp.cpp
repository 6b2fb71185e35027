// Both sides use one verification tag, always the same: conntrack compares it, and nobody here needs a secret.
#include "tests/netns/lab/sctp.hpp"

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

namespace hanat::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t sctp_tag = 0x68616e61;
constexpr std::uint8_t init = 1, init_ack = 2, heartbeat = 4, heartbeat_ack = 5, abort_chunk = 6, cookie_echo = 10,
                       cookie_ack = 11;   // RFC 9260, 3.2
constexpr std::size_t common_header = 12; // ports, tag, checksum
constexpr std::size_t chunk_header = 4;
constexpr std::size_t init_fields = 16; // tag, window, streams out and in, first TSN
constexpr std::size_t parameter_header = 4;

/// CRC-32C, bit by bit.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes) {
  constexpr std::uint32_t polynomial = 0x82f63b78; // Castagnoli's, reflected
  std::uint32_t crc = 0xffffffff;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
  }
  return ~crc;
}

void put16(Bytes& bytes, std::size_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value & 0xff));
}
void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, value >> 16);
  put16(bytes, value & 0xffff);
}
std::uint16_t get16(std::span<const std::uint8_t> bytes) { return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]); }

/// One packet with one chunk that carries a text.
Bytes sctp_packet(std::uint16_t from, std::uint16_t to, std::uint8_t chunk, const std::string& text) {
  const bool opens = chunk == init || chunk == init_ack;
  Bytes bytes;
  put16(bytes, from);
  put16(bytes, to);
  put32(bytes, chunk == init ? 0 : sctp_tag);
  put32(bytes, 0); // the checksum's place
  const std::size_t length = chunk_header + (opens ? init_fields : 0) + (text.empty() ? 0 : parameter_header + text.size());
  bytes.push_back(chunk);
  bytes.push_back(0);
  put16(bytes, length);
  if (opens) {
    put32(bytes, sctp_tag);
    put32(bytes, 65'536);
    put16(bytes, 1);
    put16(bytes, 1);
    put32(bytes, 1);
  }
  if (!text.empty()) {
    put16(bytes, opens ? 7 : 1); // a state cookie, or what a heartbeat is about
    put16(bytes, parameter_header + text.size());
    bytes.insert(bytes.end(), text.begin(), text.end());
  }
  while (bytes.size() % 4 != 0) bytes.push_back(0);
  const std::uint32_t crc = crc32c(bytes);
  for (std::size_t i = 0; i < 4; ++i) bytes[8 + i] = static_cast<std::uint8_t>(crc >> (8 * i)); // its lowest byte first
  return bytes;
}

struct SctpPacket {
  std::uint16_t from = 0, to = 0;
  std::uint8_t chunk = 0;
  std::string text;
};
std::optional<SctpPacket> parse_sctp(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < common_header + chunk_header) return std::nullopt;
  SctpPacket packet{.from = get16(bytes), .to = get16(bytes.subspan(2)), .chunk = bytes[common_header], .text = {}};
  const bool opens = packet.chunk == init || packet.chunk == init_ack;
  const std::size_t begin = common_header + chunk_header + (opens ? init_fields : 0);
  if (bytes.size() < begin + parameter_header) return packet;
  const std::size_t length = get16(bytes.subspan(begin + 2));
  if (length < parameter_header || bytes.size() < begin + length) return packet;
  packet.text.assign(reinterpret_cast<const char*>(bytes.data()) + begin + parameter_header, length - parameter_header);
  return packet;
}

/// A raw IPv4 socket gives the IP header too.
std::span<const std::uint8_t> behind_header(std::span<const std::uint8_t> bytes, bool v4) {
  if (!v4) return bytes;
  const std::size_t header = bytes.empty() ? 0U : (bytes[0] & 0xfU) * 4U;
  return bytes.subspan(std::min(header, bytes.size()));
}

Fd raw_socket(Lab& lab, Host host, Family family) {
  // Lab::socket has no protocol to say.
  return lab.in(host, [family] {
    return Fd{checked(::socket(family == Family::ipv4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_SCTP),
                      "raw SCTP socket")};
  });
}

} // namespace

SctpServer::SctpServer(Lab& lab, Host host, std::string name)
    : name_(std::move(name)), ipv4_(raw_socket(lab, host, Family::ipv4)), ipv6_(raw_socket(lab, host, Family::ipv6)),
      stop_(checked(eventfd(0, EFD_CLOEXEC), "eventfd")), thread_([this] {
        std::array<pollfd, 3> polled{pollfd{.fd = ipv4_.get(), .events = POLLIN, .revents = 0},
                                     pollfd{.fd = ipv6_.get(), .events = POLLIN, .revents = 0},
                                     pollfd{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
        while (poll(polled.data(), polled.size(), -1) >= 0 || errno == EINTR) {
          if (polled[2].revents != 0) return;
          for (const pollfd& one : std::span{polled}.first(2))
            if (one.revents != 0) serve(one.fd);
        }
      }) {}

SctpServer::~SctpServer() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void SctpServer::serve(int socket) {
  std::array<std::uint8_t, 2048> buffer;
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const ssize_t got = recvfrom(socket, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
  if (got <= 0) return;
  const auto packet = parse_sctp(behind_header(std::span{buffer}.first(static_cast<std::size_t>(got)), socket == ipv4_.get()));
  if (!packet) return;
  std::uint8_t answer = 0;
  if (packet->chunk == init) answer = init_ack;
  if (packet->chunk == heartbeat) answer = heartbeat_ack;
  if (packet->chunk == cookie_echo) answer = cookie_ack;
  if (refusing_) answer = packet->chunk == init ? abort_chunk : std::uint8_t{0};
  if (answer == 0) return;
  const Bytes bytes = sctp_packet(packet->to, packet->from, answer, answer == cookie_ack || answer == abort_chunk ? "" : name_);
  if (from.ss_family == AF_INET6) reinterpret_cast<sockaddr_in6&>(from).sin6_port = 0;
  sendto(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&from), length);
}

SctpClient::SctpClient(Lab& lab, Host host, const Endpoint& to, std::uint16_t source_port)
    : socket_(raw_socket(lab, host, to.address.family())), to_(to), port_(source_port) {
  const bool v4 = to.address.family() == Family::ipv4;
  const int on = 1;
  setsockopt(socket_.get(), v4 ? static_cast<int>(IPPROTO_IP) : static_cast<int>(IPPROTO_IPV6), v4 ? IP_RECVERR : IPV6_RECVERR, &on,
             sizeof on);
  const SocketAddress address = to_sockaddr({.address = to.address, .port = 0});
  checked(::connect(socket_.get(), address.get(), address.length), "connect a raw socket");
}

Attempt SctpClient::connect(milliseconds deadline) {
  const auto end = TestClock::now() + deadline;
  Attempt opened = exchange(init, init_ack, end);
  if (opened.result == Result::answered) {
    const Attempt stands = exchange(cookie_echo, cookie_ack, end);
    if (stands.result != Result::answered) return stands;
  }
  return opened;
}

Attempt SctpClient::ask(milliseconds deadline) { return exchange(heartbeat, heartbeat_ack, TestClock::now() + deadline); }

Attempt SctpClient::exchange(std::uint8_t chunk, std::uint8_t answer, TestClock::time_point end) {
  const auto start = TestClock::now();
  const auto done = [start](Result result, std::string text) {
    return Attempt{.result = result, .latency = TestClock::now() - start, .text = std::move(text)};
  };
  const Bytes bytes = sctp_packet(port_, to_.port, chunk, chunk == init ? "" : "who");
  while (send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) // another client's refusal comes first
    if (refused()) break;
  std::array<std::uint8_t, 2048> buffer;
  while (true) {
    const auto left = std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(end - TestClock::now()));
    pollfd polled{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (poll(&polled, 1, static_cast<int>(left.count())) == 0) return done(Result::timeout, {});
    if (refused()) return done(Result::refused, {});
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) continue;
    const bool v4 = to_.address.family() == Family::ipv4;
    const auto packet = parse_sctp(behind_header(std::span{buffer}.first(static_cast<std::size_t>(got)), v4));
    if (!packet || packet->from != to_.port || packet->to != port_) continue;
    if (packet->chunk == abort_chunk) return done(Result::refused, {});
    if (packet->chunk == answer) return done(Result::answered, packet->text);
  }
}

/// Reads the errors that came in; a raw socket gets those of every client of its address.
bool SctpClient::refused() {
  bool mine = false;
  std::array<std::uint8_t, 512> packet;
  std::array<std::uint8_t, 512> control;
  while (true) {
    iovec data{.iov_base = packet.data(), .iov_len = packet.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = recvmsg(socket_.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (got < 0) return mine;
    for (const cmsghdr* one = CMSG_FIRSTHDR(&message); one != nullptr; one = CMSG_NXTHDR(&message, const_cast<cmsghdr*>(one))) {
      sock_extended_err error{};
      std::memcpy(&error, CMSG_DATA(one), sizeof error);
      mine |= error.ee_errno == ECONNREFUSED && got >= 4 && get16(packet) == port_ && get16(std::span{packet}.subspan(2)) == to_.port;
    }
  }
}

} // namespace hanat::test
