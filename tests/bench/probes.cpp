// Ten thousand TCP probes a second on one loop: do they start when they are due, beside another program, too, and what does that cost?
// The floor is a bare program that makes as many connections, in the same run and on the same thread. hanat-bench-probes [short]. Needs
// root; works on loopback of a network namespace of its own.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/util/loop_priority.hpp"
#include "tests/bench/bare_probes.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/probing.hpp"

namespace hanat::bench {
namespace {

using namespace std::chrono_literals;
using test::checked;

constexpr std::size_t probes = 10'000;
constexpr std::uint16_t first_port = 9'000, ports = 20; // of the server; 500 probes for each

/// Accepts and closes connections, some milliseconds of them at a time. Who probes servers does not wake their processes: they are on other
/// machines. Here a thread that waited in accept() would be woken on the prober's time, which took a sixth of it.
class Listeners {
public:
  Listeners() {
    for (std::uint16_t port = 0; port < ports; ++port) {
      Fd& fd = fds_.at(port) = Fd{checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
      const SocketAddress at = to_sockaddr(test::at("127.0.0.1", static_cast<std::uint16_t>(first_port + port)));
      checked(bind(fd.get(), at.get(), at.length), "bind");
      checked(listen(fd.get(), 4096), "listen");
    }
    thread_ = std::jthread{[this](const std::stop_token& stop) {
      for (; !stop.stop_requested(); std::this_thread::sleep_for(5ms))
        for (const Fd& fd : fds_)
          for (int client = 0; (client = accept4(fd.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) close(client);
    }};
  }

private:
  std::array<Fd, ports> fds_;
  std::jthread thread_;
};

/// A program that is busy on every processor: in a session of its own, as another service is, and scheduled as by default.
class BusyNeighbour {
public:
  BusyNeighbour() {
    leader_ = checked(fork(), "fork");
    if (leader_ > 0) return;
    setsid();
    for (unsigned more = std::thread::hardware_concurrency(); more > 1 && fork() != 0; --more) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) continue;
  }
  ~BusyNeighbour() {
    kill(-leader_, SIGKILL);
    waitpid(leader_, nullptr, 0);
  }
  BusyNeighbour(const BusyNeighbour&) = delete;
  BusyNeighbour& operator=(const BusyNeighbour&) = delete;

private:
  pid_t leader_ = 0;
};

struct Measured {
  double started = 0, passed = 0; // a second
  probes::LatenessHistogram lateness;
  Share share;
};

Measured measure(test::Probing& probing, std::chrono::seconds time) {
  const auto before = probing.scheduler->lateness();
  probing.results.clear();
  const CpuTime cpu_before = cpu_time();
  probing.run_for(time);
  Measured measured{.lateness = probing.scheduler->lateness(), .share = share_since(cpu_before, time)};
  const auto seconds = std::chrono::duration<double>(time).count();
  for (std::size_t i = 0; i < before.counts.size(); ++i) measured.lateness.counts[i] -= before.counts[i];
  measured.lateness.started -= before.started;
  measured.started = static_cast<double>(measured.lateness.started) / seconds;
  measured.passed = static_cast<double>(std::ranges::count_if(
                        probing.results, [](const auto& received) { return received.result.outcome == probes::Outcome::pass; })) /
                    seconds;
  return measured;
}

void print_lateness(const char* what, const Measured& measured, const Handshakes& bare) {
  const auto ms = [&](double part) { return std::chrono::duration<double, std::milli>(measured.lateness.quantile(part)).count(); };
  print({.what = what,
         .unit = "ms",
         .figure = {.median = ms(0.5), .p99 = ms(0.99)},
         .floor = figure_of(bare.late),
         .target = at_most("p99", ms(0.99), 5)});
}

void print_share(const char* what, double share, double floor, std::optional<Target> target = {}) {
  print(
      {.what = what, .unit = "", .figure = {.median = share}, .floor = Figure{.median = floor}, .ratio = share / floor, .target = target});
}

void probing(std::chrono::seconds time) {
  const Listeners listeners;
  prefer_this_thread(); // as hanatd does
  test::Probing probing;
  for (std::size_t number = 0; number < probes; ++number)
    probing.scheduler->add(
        test::variant(test::tcp_probe(test::at("127.0.0.1", static_cast<std::uint16_t>(first_port + number % ports)), 500ms), number),
        {.interval = 1s}, 1s);
  probing.results.reserve(probes * static_cast<std::size_t>(time.count() + 2));
  probing.run_for(1s);
  const Measured alone = measure(probing, time);
  const Handshakes bare = bare_handshakes(probes, first_port, ports, time);
  print({.what = "10000 TCP probes a second: started",
         .unit = "1/s",
         .figure = {.median = alone.started},
         .target = at_least("started", alone.started, 9'900)});
  print({.what = "  passed", .unit = "1/s", .figure = {.median = alone.passed}});
  print_lateness("  lateness", alone, bare);
  print_share("  of one core", alone.share.all(), bare.share.all(), at_most("part", alone.share.all(), 0.25));
  print_share("  of that outside the kernel", alone.share.user, bare.share.user);
  const BusyNeighbour neighbour;
  probing.run_for(1s);
  const Measured beside = measure(probing, time);
  print({.what = "  beside a program that is busy on every processor: started",
         .unit = "1/s",
         .figure = {.median = beside.started},
         .target = at_least("started", beside.started, 9'900)});
  print_lateness("  lateness beside it", beside, bare_handshakes(probes, first_port, ports, time));
}

/// As a service is started; a shell's other programs are not in its session then.
int in_own_session(const std::function<int()>& body) {
  const pid_t child = checked(fork(), "fork");
  if (child == 0) {
    setsid();
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  return hanat::bench::in_own_session([argc, argv] {
    return hanat::bench::run(argc, argv, [](bool small) {
      hanat::test::isolated([small] { hanat::bench::probing(small ? std::chrono::seconds{3} : std::chrono::seconds{20}); });
    });
  });
}
