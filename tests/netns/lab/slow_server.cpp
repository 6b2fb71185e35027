// One thread: connections are answered in the order in which they were made.
#include "tests/netns/lab/slow_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/netns/lab/bound_socket.hpp"

namespace hanat::test {
namespace {

Fd listening_socket(Lab& lab, Host host, std::uint16_t port) {
  Fd fd = bound_socket(lab, host, SOCK_STREAM, port);
  checked(listen(fd.get(), 4096), "listen");
  return fd;
}

struct Accepted {
  Fd fd;
  TestClock::time_point due;
};

/// False: its request is not here yet.
bool answer(const Accepted& client, const std::string& name) {
  std::array<char, 4096> buffer;
  const ssize_t got = recv(client.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && errno == EAGAIN) return false;
  const std::string_view request{buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  const std::string text = request.starts_with("GET ")
                               ? fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", name.size(), name)
                               : name + "\n";
  send(client.fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return true;
}

} // namespace

SlowServer::SlowServer(Lab& lab, Host host, std::uint16_t port, std::string name)
    : name_(std::move(name)), listener_(listening_socket(lab, host, port)), thread_([this] { serve(); }) {}

SlowServer::~SlowServer() {
  ending_ = true;
  thread_.join();
}

void SlowServer::pause(milliseconds time, milliseconds every) {
  pause_ms_ = time.count();
  every_ms_ = every.count();
}

void SlowServer::serve() {
  std::vector<Accepted> waiting;
  auto next_pause = TestClock::now();
  while (!ending_) {
    if (const milliseconds every{every_ms_}; every > milliseconds::zero() && TestClock::now() >= next_pause) {
      next_pause = TestClock::now() + every;
      std::this_thread::sleep_for(milliseconds{pause_ms_});
    }
    const auto now = TestClock::now();
    std::erase_if(waiting, [&](const Accepted& client) { return client.due <= now && answer(client, name_); });
    pollfd polled{.fd = listener_.get(), .events = POLLIN, .revents = 0};
    if (poll(&polled, 1, waiting.empty() ? 20 : 1) <= 0) continue;
    for (int fd = 0; (fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
      waiting.push_back({.fd = Fd{fd}, .due = TestClock::now() + milliseconds{delay_ms_}});
  }
}

} // namespace hanat::test
