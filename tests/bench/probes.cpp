// Ten thousand TCP probes a second on one loop: do they start when they are due, and what does that cost?
// hanat-bench-probes [short]. Needs root; works on loopback of a network namespace of its own.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <stop_token>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

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

/// Threads that never rest, one for each processor, from run() on. They are made before anything else, and are scheduled as by default.
class BusyNeighbours {
public:
  BusyNeighbours() {
    for (unsigned count = std::thread::hardware_concurrency(); count > 0; --count)
      threads_.emplace_back([this](const std::stop_token& stop) {
        run_.wait(false);
        while (!stop.stop_requested()) continue;
      });
  }
  ~BusyNeighbours() {
    for (std::jthread& thread : threads_) thread.request_stop();
    run();
  }
  BusyNeighbours(const BusyNeighbours&) = delete;
  BusyNeighbours& operator=(const BusyNeighbours&) = delete;
  void run() {
    run_ = true;
    run_.notify_all();
  }

private:
  std::atomic<bool> run_ = false;
  std::vector<std::jthread> threads_;
};

struct Measured {
  double started = 0, passed = 0; // a second
  probes::LatenessHistogram lateness;
  double core = 0; // of one
};

Measured measure(test::Probing& probing, std::chrono::seconds time) {
  const auto before = probing.scheduler->lateness();
  const auto cpu_before = cpu_time();
  probing.results.clear();
  probing.run_for(time);
  const auto seconds = std::chrono::duration<double>(time).count();
  Measured measured{.lateness = probing.scheduler->lateness(),
                    .core = std::chrono::duration<double>(cpu_time() - cpu_before).count() / seconds};
  for (std::size_t i = 0; i < before.counts.size(); ++i) measured.lateness.counts[i] -= before.counts[i];
  measured.lateness.started -= before.started;
  measured.started = static_cast<double>(measured.lateness.started) / seconds;
  measured.passed = static_cast<double>(std::ranges::count_if(
                        probing.results, [](const auto& received) { return received.result.outcome == probes::Outcome::pass; })) /
                    seconds;
  return measured;
}

void print_lateness(const Measured& measured, const char* what) {
  const auto ms = [&](double part) { return std::chrono::duration<double, std::milli>(measured.lateness.quantile(part)).count(); };
  print({.what = what, .unit = "ms", .figure = {.median = ms(0.5), .p99 = ms(0.99)}, .target = at_most("p99", ms(0.99), 5)});
}

void probing(std::chrono::seconds time) {
  BusyNeighbours neighbours;
  const Listeners listeners;
  test::Probing probing;
  for (std::size_t number = 0; number < probes; ++number)
    probing.scheduler->add(
        test::variant(test::tcp_probe(test::at("127.0.0.1", static_cast<std::uint16_t>(first_port + number % ports)), 500ms), number),
        {.interval = 1s}, 1s);
  probing.run_for(1s);
  const Measured alone = measure(probing, time);
  const double floor = bare_handshakes(probes, first_port, ports, time);
  print({.what = "10000 TCP probes a second: started",
         .unit = "1/s",
         .figure = {.median = alone.started},
         .target = at_least("started", alone.started, 9'900)});
  print({.what = "  passed", .unit = "1/s", .figure = {.median = alone.passed}});
  print_lateness(alone, "  lateness");
  print({.what = "  of one core",
         .unit = "",
         .figure = {.median = alone.core},
         .floor = Figure{.median = floor},
         .ratio = alone.core / floor,
         .target = at_most("part", alone.core, 0.25)});
  neighbours.run();
  probing.run_for(100ms);
  const Measured beside = measure(probing, time);
  print({.what = "  beside a neighbour that is busy on every processor: started",
         .unit = "1/s",
         .figure = {.median = beside.started},
         .target = at_least("started", beside.started, 9'900)});
  print_lateness(beside, "    lateness");
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  return hanat::bench::run(argc, argv, [](bool small) {
    hanat::test::isolated([small] { hanat::bench::probing(small ? std::chrono::seconds{3} : std::chrono::seconds{20}); });
  });
}
