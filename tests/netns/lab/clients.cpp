// The clients: non-blocking sockets made in the host's namespace, waited for with poll against one absolute deadline.
#include "tests/netns/lab/peers.hpp"

#include <array>
#include <cstring>
#include <ostream>
#include <stdexcept>

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace hanat::test {
namespace {

using TimePoint = TestClock::time_point;

/// Waits for events on fd; false: the deadline came.
bool wait_for(int fd, short events, TimePoint end) {
  pollfd polled{.fd = fd, .events = events, .revents = 0};
  while (true) {
    const auto left = std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(end - TestClock::now()));
    const int count = poll(&polled, 1, static_cast<int>(left.count()));
    if (count > 0) return true;
    if (count == 0) return false;
  }
}

int pending_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

Attempt attempt(Result result, TimePoint start, std::string text = {}) {
  return {.result = result, .latency = TestClock::now() - start, .text = std::move(text)};
}
Attempt attempt_from(int error, TimePoint start) { return attempt(result_of(error), start, std::strerror(error)); }

Fd client_socket(Lab& lab, Host host, const Endpoint& to, int type, std::uint16_t source_port) {
  const bool v4 = to.address.family() == Family::ipv4;
  Fd fd = lab.socket(host, v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK);
  if (source_port == 0) return fd;
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const Endpoint any{.address = Address::parse(v4 ? "0.0.0.0" : "::").value(), .port = source_port};
  const SocketAddress address = to_sockaddr(any);
  checked(bind(fd.get(), address.get(), address.length), fmt::format("bind source port {}", source_port));
  return fd;
}

/// nullopt: connected.
std::optional<Attempt> connect_until(int fd, const Endpoint& to, TimePoint start, TimePoint end) {
  const SocketAddress address = to_sockaddr(to);
  if (connect(fd, address.get(), address.length) == 0) return std::nullopt;
  if (errno != EINPROGRESS) return attempt_from(errno, start);
  if (!wait_for(fd, POLLOUT, end)) return attempt(Result::timeout, start);
  const int error = pending_error(fd);
  if (error != 0) return attempt_from(error, start);
  return std::nullopt;
}

/// Sends a request and reads until `complete` says so.
template <typename Complete> Attempt exchange(int fd, const std::string& request, TimePoint start, TimePoint end, Complete complete) {
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) return attempt_from(errno, start);
  std::string answer;
  while (!complete(answer)) {
    if (!wait_for(fd, POLLIN, end)) return attempt(Result::timeout, start);
    std::array<char, 4096> buffer;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got == 0) return attempt(Result::closed, start, answer);
    if (got < 0 && errno != EAGAIN) return attempt_from(errno, start);
    if (got > 0) answer.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return attempt(Result::answered, start, answer);
}

Attempt ask_line(int fd, TimePoint start, TimePoint end) {
  Attempt result = exchange(fd, "who\n", start, end, [](const std::string& text) { return text.ends_with('\n'); });
  if (result.result == Result::answered) result.text.pop_back();
  return result;
}

} // namespace

std::string_view to_text(Result result) {
  switch (result) {
  case Result::answered: return "answered";
  case Result::refused: return "refused";
  case Result::reset: return "reset";
  case Result::closed: return "closed";
  case Result::timeout: return "timeout";
  case Result::unreachable: return "unreachable";
  case Result::prohibited: return "prohibited";
  case Result::failed: return "failed";
  }
  return "?";
}

Result result_of(int error) {
  switch (error) {
  case ECONNREFUSED: return Result::refused;
  case ECONNRESET:
  case EPIPE: return Result::reset;
  case ETIMEDOUT: return Result::timeout;
  case EHOSTUNREACH:
  case ENETUNREACH: return Result::unreachable;
  case EPERM:
  case EACCES: return Result::prohibited;
  default: return Result::failed;
  }
}

std::ostream& operator<<(std::ostream& stream, const Attempt& attempt) {
  const double ms = std::chrono::duration<double, std::milli>(attempt.latency).count();
  return stream << fmt::format("{} after {:.2f} ms ({})", to_text(attempt.result), ms, attempt.text);
}

Attempt connect_once(Lab& lab, Host host, const Endpoint& to, milliseconds deadline, std::uint16_t source_port) {
  const Fd fd = client_socket(lab, host, to, SOCK_STREAM, source_port);
  const auto start = TestClock::now();
  if (const auto failure = connect_until(fd.get(), to, start, start + deadline)) return *failure;
  return ask_line(fd.get(), start, start + deadline);
}

Attempt http_once(Lab& lab, Host host, const Endpoint& to, milliseconds deadline) {
  const Fd fd = client_socket(lab, host, to, SOCK_STREAM, 0);
  const auto start = TestClock::now();
  if (const auto failure = connect_until(fd.get(), to, start, start + deadline)) return *failure;
  Attempt result = exchange(fd.get(), fmt::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", to_text(to)), start, start + deadline,
                            [](const std::string& text) {
                              const auto body = text.find("\r\n\r\n");
                              return body != std::string::npos && text.find('\n', body + 4) != std::string::npos;
                            });
  if (result.result != Result::answered) return result;
  if (!result.text.starts_with("HTTP/1.1 200")) return attempt(Result::failed, start, result.text.substr(0, result.text.find('\r')));
  result.text = result.text.substr(result.text.find("\r\n\r\n") + 4);
  result.text.pop_back();
  return result;
}

// ---- TcpClient

TcpClient::TcpClient(Lab& lab, Host host, const Endpoint& to, milliseconds deadline, std::uint16_t source_port)
    : socket_(client_socket(lab, host, to, SOCK_STREAM, source_port)) {
  const auto start = TestClock::now();
  if (const auto failure = connect_until(socket_.get(), to, start, start + deadline))
    throw std::runtime_error(fmt::format("connect to {}: {} ({})", to_text(to), to_text(failure->result), failure->text));
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Attempt TcpClient::ask(milliseconds deadline) {
  const auto start = TestClock::now();
  return ask_line(socket_.get(), start, start + deadline);
}

Attempt TcpClient::wait_for_end(milliseconds deadline) {
  const auto start = TestClock::now();
  std::array<char, 4096> buffer;
  while (wait_for(socket_.get(), POLLIN, start + deadline)) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got == 0) return attempt(Result::closed, start);
    if (got < 0 && errno != EAGAIN) return attempt_from(errno, start);
  }
  return attempt(Result::timeout, start);
}

std::uint16_t TcpClient::local_port() const {
  sockaddr_in6 address{};
  socklen_t length = sizeof address;
  checked(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
  return ntohs(address.sin6_port); // at the same place for both families
}

// ---- UDP

UdpClient::UdpClient(Lab& lab, Host host, const Endpoint& to, std::uint16_t source_port)
    : socket_(client_socket(lab, host, to, SOCK_DGRAM, source_port)) {
  const SocketAddress address = to_sockaddr(to);
  checked(connect(socket_.get(), address.get(), address.length), "connect UDP to " + to_text(to));
}

Attempt UdpClient::ask(milliseconds deadline) {
  const auto start = TestClock::now();
  pending_error(socket_.get()); // an ICMP error of an earlier question is not this one's
  const std::string probe = std::to_string(++asked_);
  if (send(socket_.get(), probe.data(), probe.size(), MSG_NOSIGNAL) < 0) return attempt_from(errno, start);
  std::array<char, 2048> buffer;
  while (wait_for(socket_.get(), POLLIN, start + deadline)) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno != EAGAIN) return attempt_from(errno, start);
    if (got < 0) continue;
    const std::string answer(buffer.data(), static_cast<std::size_t>(got));
    if (answer.ends_with(" " + probe)) return attempt(Result::answered, start, answer.substr(0, answer.size() - probe.size() - 1));
  }
  return attempt(Result::timeout, start);
}

UdpStream::UdpStream(Lab& lab, Host host, const Endpoint& to, milliseconds interval, std::uint16_t source_port)
    : socket_(client_socket(lab, host, to, SOCK_DGRAM, source_port)) {
  const SocketAddress address = to_sockaddr(to);
  checked(connect(socket_.get(), address.get(), address.length), "connect UDP to " + to_text(to));
  thread_ = std::thread([this, interval] { run(interval); });
}

UdpStream::~UdpStream() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
}

std::vector<UdpStream::MessageBatch> UdpStream::finish() {
  ending_ = true;
  if (thread_.joinable()) thread_.join();
  return sent_;
}

void UdpStream::read_answers() {
  std::array<char, 2048> buffer;
  while (true) {
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) { // ICMP says which port is closed, not which datagram it was for: the newest
      if (!sent_.empty()) sent_.back().refused = true;
      continue;
    }
    const std::string answer(buffer.data(), static_cast<std::size_t>(got));
    const auto space = answer.rfind(' ');
    const std::size_t number = std::stoul(answer.substr(space + 1));
    if (number < sent_.size()) {
      sent_[number].answered_at = TestClock::now();
      sent_[number].by = answer.substr(0, space);
    }
  }
}

void UdpStream::run(milliseconds interval) {
  auto next = TestClock::now();
  while (!ending_) {
    const std::string probe = std::to_string(sent_.size());
    sent_.push_back({.sent_at = TestClock::now(), .answered_at = {}, .by = {}, .refused = false});
    if (send(socket_.get(), probe.data(), probe.size(), MSG_NOSIGNAL) < 0) sent_.back().refused = true;
    next += interval;
    while (wait_for(socket_.get(), POLLIN, next)) read_answers();
  }
  const auto end = TestClock::now() + milliseconds{100};
  while (wait_for(socket_.get(), POLLIN, end)) read_answers();
}

} // namespace hanat::test
