// Ten thousand TCP probes a second on one loop: do they start when they are due, and what does that cost?
// hanat-bench-probes [short]. Needs root; works on loopback of a network namespace of its own.
#include <array>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/bench/table.hpp"
#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/probing.hpp"

namespace hanat::bench {
namespace {

using namespace std::chrono_literals;
using test::checked;

constexpr std::size_t probes = 10'000;
constexpr std::uint16_t ports = 20; // of the server; 500 probes for each

/// Accepts and closes connections: a server that costs as little as possible.
class Listener {
public:
  explicit Listener(std::uint16_t port) : fd_(checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")) {
    const SocketAddress at = to_sockaddr(test::at("127.0.0.1", port));
    checked(bind(fd_.get(), at.get(), at.length), "bind");
    checked(listen(fd_.get(), 4096), "listen");
    thread_ = std::thread{[this] {
      for (int client = 0; (client = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) close(client);
    }};
  }
  ~Listener() {
    shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

private:
  Fd fd_;
  std::thread thread_;
};

std::chrono::microseconds cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return std::chrono::seconds{usage.ru_utime.tv_sec + usage.ru_stime.tv_sec} +
         std::chrono::microseconds{usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
}

void probing(std::chrono::seconds time) {
  std::array<std::unique_ptr<Listener>, ports> listeners;
  for (std::uint16_t port = 0; port < ports; ++port)
    listeners.at(port) = std::make_unique<Listener>(static_cast<std::uint16_t>(9'000 + port));
  test::Probing probing;
  for (std::size_t number = 0; number < probes; ++number)
    probing.scheduler->add(
        test::variant(test::tcp_probe(test::at("127.0.0.1", static_cast<std::uint16_t>(9'000 + number % ports)), 500ms), number),
        {.interval = 1s}, 1s);
  probing.run_for(1s);
  const auto before = probing.scheduler->lateness();
  const auto cpu_before = cpu_time();
  probing.results.clear();
  probing.run_for(time);
  const auto cpu = std::chrono::duration<double>(cpu_time() - cpu_before).count();
  auto lateness = probing.scheduler->lateness();
  for (std::size_t i = 0; i < lateness.counts.size(); ++i) lateness.counts[i] -= before.counts[i];
  lateness.started -= before.started;
  const auto seconds = std::chrono::duration<double>(time).count();
  const auto ms = [&](double part) { return std::chrono::duration<double, std::milli>(lateness.quantile(part)).count(); };
  std::size_t passed = 0;
  for (const auto& received : probing.results) passed += received.result.outcome == probes::Outcome::pass ? 1U : 0U;
  const double rate = static_cast<double>(lateness.started) / seconds;
  print({.what = "10000 TCP probes a second: started",
         .unit = "1/s",
         .figure = {.median = rate},
         .target = at_least("started", rate, 9'900)});
  print({.what = "  passed", .unit = "1/s", .figure = {.median = static_cast<double>(passed) / seconds}});
  print({.what = "  lateness", .unit = "ms", .figure = {.median = ms(0.5), .p99 = ms(0.99)}, .target = at_most("p99", ms(0.99), 5)});
  print({.what = "  of one core", .unit = "", .figure = {.median = cpu / seconds}, .target = at_most("part", cpu / seconds, 0.8)});
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) {
  return hanat::bench::run(argc, argv, [](bool small) {
    hanat::test::isolated([small] { hanat::bench::probing(small ? std::chrono::seconds{3} : std::chrono::seconds{20}); });
  });
}
