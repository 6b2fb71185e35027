// Sockets that are used again: a connect() makes a connection, another one ends it, and an epoll tells when it stands.
#include "tests/bench/bare_probes.hpp"

#include <array>
#include <cerrno>
#include <vector>

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

class Handshakes {
public:
  Handshakes(std::uint16_t first, std::uint16_t count) : first_port_(first), ports_(count) {}

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
    epoll_event event{.events = EPOLLOUT | EPOLLONESHOT, .data = {.fd = fd}};
    checked(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event), "epoll_ctl");
  }
  void take(std::chrono::milliseconds wait) {
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(wait.count()));
    for (int index = 0; index < count; ++index) {
      const int fd = events[static_cast<std::size_t>(index)].data.fd;
      const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
      checked(connect(fd, &nobody, sizeof nobody), "end a connection");
      idle_.push_back(fd);
    }
  }

private:
  void open() {
    Fd fd{checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    epoll_event event{.events = 0, .data = {.fd = fd.get()}};
    checked(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event), "epoll_ctl");
    idle_.push_back(fd.get());
    all_.push_back(std::move(fd));
  }

  std::uint16_t first_port_, ports_;
  std::size_t started_ = 0;
  Fd epoll_{checked(epoll_create1(EPOLL_CLOEXEC), "epoll")};
  std::vector<Fd> all_;
  std::vector<int> idle_;
};

} // namespace

std::chrono::microseconds cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return std::chrono::seconds{usage.ru_utime.tv_sec + usage.ru_stime.tv_sec} +
         std::chrono::microseconds{usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
}

double bare_handshakes(unsigned per_second, std::uint16_t first_port, std::uint16_t ports, std::chrono::seconds time) {
  Handshakes handshakes{first_port, ports};
  const auto began = BenchClock::now(), end = began + time;
  const auto before = cpu_time();
  const auto step = std::chrono::nanoseconds{1s} / per_second;
  for (auto next = began, now = began; (now = BenchClock::now()) < end;) {
    for (; next <= now; next += step) handshakes.start();
    handshakes.take(1ms);
  }
  return std::chrono::duration<double>(cpu_time() - before) / std::chrono::duration<double>(time);
}

} // namespace hanat::bench
