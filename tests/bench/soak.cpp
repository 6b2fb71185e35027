// Does the daemon grow? Years of flips and days of probes in eleven minutes, while its memory is watched: hanat-bench-soak [short].
// Probes without a pause, and in rounds what operators and failures do: servers that die and come back, overrides, reloads with other
// services, good and bad ones, status and history, clients whose flows are cut. Needs root; works in a Lab of its own.
// Not here: what these do to traffic (netns/), memory of many services (daemon).
#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "tests/bench/table.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"

namespace hanat::bench {
namespace {

using test::Host;
using test::Lab;
using test::milliseconds;
using test::TestClock;

constexpr unsigned number_of_services = 50;
// What is kept of the past has an end (history: 2 MiB, endpoints that were given up: ten minutes), and the allocator's pieces settle after
// some 400 rounds. From then on one lost block of 32 bytes a flip would be 1,900 KiB in 600 rounds, and one a probe 30 MiB; the allocator
// itself goes up and down by 140 KiB.
constexpr unsigned warm_rounds = 400, rounds = 600;
constexpr double limit_kib = 256, short_limit_kib = 4096;             // the short form has neither the time to fill nor to settle
constexpr double probes_per_second = 2.0 * number_of_services / 0.04; // two servers each, every 40 ms

/// Each service asks with a timeout of its own, so that none shares its probes with another.
std::string services(unsigned number) {
  std::string text =
      "[defaults]\nprimary = \"198.18.11.2:8443\"\nbackup = \"198.18.12.2:8443\"\nup = { passes = 2, stable_for = \"100ms\" }\n"
      "failback = { penalty = \"0s\" }\non_forced = \"reset\"\n\n";
  for (unsigned i = 1; i <= number; ++i)
    text += fmt::format("[service.s{0}]\nlisten = [\"203.0.113.10:{0}/tcp\", \"203.0.113.10:{0}/udp\"]\n"
                        "probe = {{ type = \"tcp\", interval = \"40ms\", fast_interval = \"10ms\", timeout = \"{1}ms\" }}\n\n",
                        i, 500 + i);
  return text;
}

/// What a process has allocated and touched (RssAnon), in KiB.
double memory_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/status", process));
  for (std::string word; file >> word;)
    if (double kilobytes = 0; word == "RssAnon:" && file >> kilobytes) return kilobytes;
  throw std::runtime_error("no RssAnon of the daemon");
}

class Soak {
public:
  Soak() : hanatd_{lab_, services(number_of_services)} { wait_until_up(); }

  void round(unsigned number) {
    if (number % 10 == 0) {
      primary_.kill();
      wait_for_all("backup");
      primary_.start();
    } else {
      ask({{"all", true}, {"server", "backup"}}, "Force");
      wait_for_all("backup");
      for (std::uint16_t port = 1; port <= 10; ++port) connect_once(lab_, Host::client, Lab::vip(port));
      ask({{"all", true}}, "Auto");
    }
    hanatd_.reload(services(number_of_services + 1 + number % 3)); // one to three more, and gone again
    hanatd_.reload(services(number_of_services) + "[service.s1]\nlisten = 5\n");
    hanatd_.reload(services(number_of_services));
    ask(nlohmann::json::object(), "History");
    wait_until_up();
  }
  double memory() const { return memory_of(hanatd_.pid()); }

private:
  void ask(const nlohmann::json& parameters, const std::string& method) const { call(hanatd_.socket(), method, parameters); }
  void wait_for_all(const std::string& role) const {
    hanatd_.wait_for(
        [&](const Status& now) { return std::ranges::all_of(now.services, [&](const auto& service) { return service.target == role; }); },
        milliseconds{20'000});
  }
  void wait_until_up() const {
    wait_for_all("primary");
    hanatd_.wait_for(
        [](const Status& now) {
          return std::ranges::all_of(now.services, [](const auto& service) { return test::server(service, "backup").health == "up"; });
        },
        milliseconds{20'000});
  }

  Lab lab_;
  test::TcpServer primary_{lab_, Host::primary, 8443, "primary"}, backup_{lab_, Host::backup, 8443, "backup"};
  test::Hanatd hanatd_;
};

void soaking(bool small) {
  Soak soak;
  unsigned number = 0;
  const auto play = [&](unsigned count) {
    for (const unsigned end = number + count; number < end;) soak.round(++number);
    std::this_thread::sleep_for(std::chrono::seconds{12}); // ten seconds after a reload it gives memory back
    return soak.memory();
  };
  const double before = play(small ? 5 : warm_rounds);
  const auto began = TestClock::now();
  const double after = play(small ? 15 : rounds);
  const double probes = std::chrono::duration<double>(TestClock::now() - began).count() * probes_per_second;
  print({.what = fmt::format("memory of {} services, RssAnon", number_of_services), .unit = "KiB", .figure = {.median = before}});
  print({.what = fmt::format("  more after {} rounds and {:.0f} probes", small ? 15 : rounds, probes),
         .unit = "KiB",
         .figure = {.median = after - before},
         .target = at_most("more", after - before, small ? short_limit_kib : limit_kib)});
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::soaking); }
