// Sockets that a test holds by itself, to see who asks a server, and to answer when the test says so.
// Not here: servers and clients that go on by themselves (peers).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::test {

inline Fd socket_at(Lab& lab, Host host, int type, std::uint16_t port, Family family) {
  Fd fd = lab.socket(host, family == Family::ipv4 ? AF_INET : AF_INET6, type);
  const auto here = to_sockaddr({.address = Address::parse(family == Family::ipv4 ? "0.0.0.0" : "::").value(), .port = port});
  checked(bind(fd.get(), here.get(), here.length), fmt::format("bind {}", port));
  return fd;
}
inline bool readable_within(const Fd& fd, milliseconds time) {
  pollfd polled{.fd = fd.get(), .events = POLLIN, .revents = 0};
  return poll(&polled, 1, static_cast<int>(time.count())) > 0;
}

/// A server's socket.
class Observer {
public:
  Observer(Lab& lab, Host host, int type, std::uint16_t port, Family family = Family::ipv4)
      : socket_(socket_at(lab, host, type, port, family)) {
    if (type == SOCK_STREAM) checked(listen(socket_.get(), 100), "listen");
  }
  /// Who sent the next datagram.
  std::optional<Endpoint> hear() {
    if (!readable_within(socket_, milliseconds{1000})) return std::nullopt;
    std::array<char, 256> buffer;
    SocketAddress from{.storage = {}, .length = sizeof(sockaddr_storage)};
    if (recvfrom(socket_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from.storage), &from.length) < 0)
      return std::nullopt;
    return endpoint_of(from);
  }
  /// Throws away the datagrams that have come.
  void forget() {
    while (readable_within(socket_, milliseconds{0})) hear();
  }
  void say(const Endpoint& to, const std::string& text) {
    const auto address = to_sockaddr(to);
    checked(static_cast<int>(sendto(socket_.get(), text.data(), text.size(), 0, address.get(), address.length)), "sendto");
  }
  /// Who made the next connection; it is closed.
  std::optional<Endpoint> meet() {
    if (!readable_within(socket_, milliseconds{1000})) return std::nullopt;
    SocketAddress from{.storage = {}, .length = sizeof(sockaddr_storage)};
    const Fd connection{accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from.storage), &from.length, SOCK_CLOEXEC)};
    if (!connection) return std::nullopt;
    return endpoint_of(from);
  }

private:
  static Endpoint endpoint_of(const SocketAddress& from) {
    if (from.storage.ss_family == AF_INET) {
      const auto& in4 = reinterpret_cast<const sockaddr_in&>(from.storage);
      return {.address = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&in4.sin_addr), 4}), .port = ntohs(in4.sin_port)};
    }
    const auto& in6 = reinterpret_cast<const sockaddr_in6&>(from.storage);
    return {.address = Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&in6.sin6_addr), 16}), .port = ntohs(in6.sin6_port)};
  }
  Fd socket_;
};

/// A client's UDP socket with a fixed port, that sends without waiting and says what came.
class Sender {
public:
  Sender(Lab& lab, Host host, const Endpoint& to, std::uint16_t port)
      : socket_(socket_at(lab, host, SOCK_DGRAM, port, to.address.family())) {
    const auto there = to_sockaddr(to);
    checked(connect(socket_.get(), there.get(), there.length), "connect");
  }
  void send() { checked(static_cast<int>(::send(socket_.get(), "x", 1, MSG_NOSIGNAL)), "send"); }
  /// What comes within the time; empty: nothing.
  std::string hear(milliseconds time) {
    std::array<char, 256> buffer;
    if (!readable_within(socket_, time)) return {};
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    return got < 0 ? std::string{} : std::string(buffer.data(), static_cast<std::size_t>(got));
  }

private:
  Fd socket_;
};

} // namespace hanat::test
