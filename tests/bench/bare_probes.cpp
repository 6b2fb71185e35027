// Sockets that are used again: a connect() makes a connection, another one ends it, and an epoll that has them all tells when it stands.
#include "tests/bench/bare_probes.hpp"

#include <array>
#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "nat/fd.hpp"
#include "tests/netns/lab/fd.hpp"

namespace hanat::bench {
namespace {

using namespace std::chrono_literals;
using test::checked;
using BenchClock = std::chrono::steady_clock;

constexpr std::size_t sockets_at_most = 512; // a process may have 1,024

class Connections {
public:
  Connections(std::uint16_t first, std::uint16_t count) : first_port_(first), ports_(count) {}

  void start() {
    if (idle_.empty() && all_.size() >= sockets_at_most) return; // a machine that stood still does not make up for it
    if (idle_.empty()) open();
    const int fd = idle_.back();
    idle_.pop_back();
    sockaddr_in to{.sin_family = AF_INET,
                   .sin_port = htons(static_cast<std::uint16_t>(first_port_ + started_++ % ports_)),
                   .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
                   .sin_zero = {}};
    if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) checked(-1, "connect");
    is_under_way_.at(static_cast<std::size_t>(fd)) = true;
  }
  void take(std::chrono::milliseconds wait) {
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(wait.count()));
    for (int index = 0; index < count; ++index) {
      const int fd = events[static_cast<std::size_t>(index)].data.fd;
      if (!is_under_way_.at(static_cast<std::size_t>(fd))) continue; // its end is told of, too
      is_under_way_.at(static_cast<std::size_t>(fd)) = false;
      const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
      checked(connect(fd, &nobody, sizeof nobody), "end a connection");
      idle_.push_back(fd);
    }
  }

private:
  void open() {
    Fd fd{checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    epoll_event event{.events = EPOLLOUT | EPOLLET, .data = {.fd = fd.get()}};
    checked(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event), "epoll_ctl");
    idle_.push_back(fd.get());
    all_.push_back(std::move(fd));
  }

  std::uint16_t first_port_, ports_;
  std::size_t started_ = 0;
  Fd epoll_{checked(epoll_create1(EPOLL_CLOEXEC), "epoll")};
  std::vector<Fd> all_;
  std::vector<int> idle_;
  std::vector<bool> is_under_way_ = std::vector<bool>(65'536); // by descriptor
};

} // namespace

CpuTime cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto time = [](const timeval& value) { return std::chrono::seconds{value.tv_sec} + std::chrono::microseconds{value.tv_usec}; };
  return {.user = time(usage.ru_utime), .kernel = time(usage.ru_stime)};
}

Share share_since(const CpuTime& before, std::chrono::seconds time) {
  using Seconds = std::chrono::duration<double>;
  const CpuTime now = cpu_time();
  return {.user = Seconds{now.user - before.user} / Seconds{time}, .kernel = Seconds{now.kernel - before.kernel} / Seconds{time}};
}

Handshakes bare_handshakes(unsigned per_second, std::uint16_t first_port, std::uint16_t ports, std::chrono::seconds time) {
  Connections connections{first_port, ports};
  Handshakes result;
  result.late.reserve(per_second * static_cast<std::size_t>(time.count()) + 1);
  const auto began = BenchClock::now(), end = began + time;
  const auto before = cpu_time();
  const auto step = std::chrono::nanoseconds{1s} / per_second;
  for (auto next = began, now = began; (now = BenchClock::now()) < end;) {
    for (; next <= now; next += step) {
      result.late.push_back(std::chrono::duration<double, std::milli>(now - next).count());
      connections.start();
    }
    connections.take(1ms);
  }
  result.share = share_since(before, time);
  return result;
}

} // namespace hanat::bench
