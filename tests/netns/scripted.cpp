// The scripted server's threads and sockets.
#include "tests/netns/scripted.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace hanat::test {
namespace {

constexpr int tick_ms = 20; // how soon a waiting thread sees that the test is over

void check(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
}

Address address_of(const SocketAddress& socket_address) {
  if (socket_address.storage.ss_family == AF_INET) {
    const auto& in4 = reinterpret_cast<const sockaddr_in&>(socket_address.storage);
    return Address::from_bytes({reinterpret_cast<const std::uint8_t*>(&in4.sin_addr), 4});
  }
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(socket_address.storage);
  return Address::from_bytes({in6.sin6_addr.s6_addr, 16});
}

} // namespace

bool Client::send(std::string_view bytes) {
  while (!bytes.empty() && !over_) {
    pollfd watched{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) return false;
    if (sent > 0) bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return !over_;
}

bool Client::read_request(std::string* text) {
  std::string request;
  while (!over_ && request.find("\r\n\r\n") == std::string::npos) {
    pollfd watched{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) return false;
    request.append(buffer.data(), static_cast<std::size_t>(got));
  }
  if (text != nullptr) *text = request;
  return !over_;
}

bool Client::read_to_reset() {
  while (!over_) {
    pollfd watched{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    std::array<char, 4096> buffer{};
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) return got < 0 && errno == ECONNRESET;
  }
  return false;
}

void Client::leave_by_reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  check(setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort), "SO_LINGER");
}

void Client::hold(std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!over_ && std::chrono::steady_clock::now() < end) {
    pollfd watched{.fd = fd_, .events = POLLRDHUP, .revents = 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
    if (poll(&watched, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, tick_ms))) > 0) return;
  }
}

ScriptedServer::ScriptedServer(Serve serve, std::string_view address) : serve_(std::move(serve)) {
  endpoint_.address = Address::parse(address).value_or(Address{});
  SocketAddress local = to_sockaddr(endpoint_);
  listener_ = socket(local.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  check(listener_, "socket");
  check(bind(listener_, local.get(), local.length), "bind");
  check(listen(listener_, 4096), "listen");
  check(getsockname(listener_, reinterpret_cast<sockaddr*>(&local.storage), &local.length), "getsockname");
  endpoint_.port = ntohs(reinterpret_cast<const sockaddr_in&>(local.storage).sin_port); // at the same place in sockaddr_in6
  acceptor_ = std::thread([this] { accept_all(); });
}

ScriptedServer::~ScriptedServer() {
  over_ = true;
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  close(listener_);
}

void ScriptedServer::accept_all() {
  while (!over_) {
    pollfd watched{.fd = listener_, .events = POLLIN, .revents = 0};
    if (poll(&watched, 1, tick_ms) <= 0) continue;
    SocketAddress peer;
    peer.length = sizeof peer.storage;
    const int fd = accept4(listener_, reinterpret_cast<sockaddr*>(&peer.storage), &peer.length, SOCK_CLOEXEC);
    if (fd < 0) continue;
    ++connections_;
    if (!serve_) {
      close(fd);
      continue;
    }
    const unsigned open = ++open_;
    peak_ = std::max<unsigned>(peak_, open);
    threads_.emplace_back([this, fd, address = address_of(peer)] { serve_one(fd, address); });
  }
}

void ScriptedServer::serve_one(int fd, const Address& peer) {
  Client client{fd, peer, over_};
  serve_(client);
  close(fd);
  --open_;
}

void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

} // namespace hanat::test
