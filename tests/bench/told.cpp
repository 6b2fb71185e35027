// What a flip does to a thousand clients that are there: idle TCP connections learn it, UDP senders get to the new target. And to clients
// that connect again from the same port as soon as they are reset.
// hanat-bench-told [short]. Needs root; works in Labs of its own. Not here: new clients (daemon, detect).
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/bench/table.hpp"
#include "tests/netns/lab/crowd.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/routers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::bench {
namespace {

using test::Host;
using test::Lab;
using test::milliseconds;
using test::TestClock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::size_t number_of_clients = 1'000;

/// Both servers are up, the primary has the traffic.
void wait_until_fit(const test::Hanatd& hanatd) {
  hanatd.wait_for([](const Status& now) {
    const ServiceStatus& web = test::service(now, "web");
    return web.target == "primary" && test::server(web, "backup").health == "up";
  });
}

TestClock::time_point flip_of(const test::Hanatd& hanatd) {
  const Status status = hanatd.wait_target("web", "backup");
  return test::moment_of(test::service(status, "web").last_flip.value().at);
}

/// What becomes of idle connections to a server that hangs.
struct Told {
  double last_ms = 0;      // from the flip until the last of them is reset
  double in_time_part = 0; // reset within 300 ms, in percent
};
Told idle_clients(Family family, std::size_t routers) {
  constexpr Milliseconds in_time{300};
  Lab lab;
  const test::Routers between{lab, routers};
  const test::TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  const test::Hanatd hanatd{lab, test::fast_service({.listen = to_text(vip) + "/tcp", .family = family})};
  wait_until_fit(hanatd);
  std::vector<test::TcpClient> clients;
  for (std::size_t count = 0; count < number_of_clients; ++count) clients.emplace_back(lab, Host::client, vip);
  lab.silent(Host::primary, true);
  const auto resets = test::resets_of(clients, milliseconds{routers == 0 ? 5'000 : 2'000});
  if (resets.empty() || (routers == 0 && resets.size() != number_of_clients))
    throw std::runtime_error(fmt::format("{} of the idle clients were told", resets.size()));
  const auto flip = flip_of(hanatd);
  const auto soon = std::ranges::count_if(resets, [&](const auto& reset) { return reset - flip <= in_time; });
  return {.last_ms = Milliseconds{resets.back() - flip}.count(),
          .in_time_part = 100.0 * static_cast<double>(soon) / static_cast<double>(number_of_clients)};
}

void measure_routers(Family family, const char* name, int rounds) {
  for (const std::size_t routers : {std::size_t{1}, std::size_t{2}}) {
    std::vector<double> last, part;
    for (int round = 0; round < rounds; ++round) {
      const Told told = idle_clients(family, routers);
      last.push_back(told.last_ms);
      part.push_back(told.in_time_part);
    }
    const char* way = routers == 1 ? "one router" : "two routers";
    const Figure reset = figure_of(part);
    print({.what = fmt::format("idle clients reset within 300 ms, behind {}, {}", way, name),
           .unit = "%",
           .figure = {.median = reset.median},
           .target = at_least("median", reset.median, 95)});
    print({.what = fmt::format("flip to the last of those reset, behind {}, {}", way, name), .unit = "ms", .figure = figure_of(last)});
  }
}

/// From the flip until the last of the senders, who send every 20 ms, has an answer of the new target.
double senders(Family family) {
  Lab lab;
  const test::TcpServer primary_probe{lab, Host::primary, 53, "primary"}, backup_probe{lab, Host::backup, 53, "backup"};
  const test::UdpServer primary{lab, Host::primary, 53, "primary"}, backup{lab, Host::backup, 53, "backup"};
  const Endpoint vip = Lab::vip(53, family);
  const test::Hanatd hanatd{
      lab, test::fast_service({.listen = to_text(vip) + "/udp", .port = 53, .family = family, .probe = "type = \"tcp\", port = 53"})};
  wait_until_fit(hanatd);
  test::UdpCrowd crowd{lab, Host::client, vip, number_of_clients, milliseconds{20}};
  const auto all_on = [&](const char* server) {
    for (const auto end = TestClock::now() + milliseconds{5'000}; crowd.answered_by(server) < number_of_clients;) {
      if (TestClock::now() > end) throw std::runtime_error(fmt::format("{} senders on {}", crowd.answered_by(server), server));
      std::this_thread::sleep_for(milliseconds{5});
    }
  };
  all_on("primary");
  lab.silent(Host::primary, true);
  const auto flip = flip_of(hanatd);
  all_on("backup");
  TestClock::time_point last;
  for (const auto& first : crowd.first_answers_of("backup")) last = std::max(last, first.value());
  return Milliseconds{last - flip}.count();
}

/// Clients with a source port of their own: from connecting again, right after the reset, to the answer of the new target.
std::vector<double> reconnecting_clients(Family family) {
  constexpr std::uint16_t first_port = 40'000, number = 20;
  Lab lab;
  const test::TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  const Endpoint vip = Lab::vip(443, family);
  const test::Hanatd hanatd{lab, test::fast_service({.listen = to_text(vip) + "/tcp", .family = family})};
  wait_until_fit(hanatd);
  std::deque<test::TcpClient> clients;
  for (std::uint16_t port = first_port; port < first_port + number; ++port)
    clients.emplace_back(lab, Host::client, vip, milliseconds{3'000}, port);
  lab.silent(Host::primary, true);
  std::vector<double> took;
  for (std::uint16_t port = first_port; port < first_port + number; ++port) {
    const test::Attempt end = clients.front().wait_for_end(milliseconds{5'000});
    clients.pop_front(); // the port is free
    const test::Attempt again = test::connect_once(lab, Host::client, vip, milliseconds{5'000}, port);
    if (end.result != test::Result::reset || again.text != "backup")
      throw std::runtime_error(fmt::format("a client was {}, then {} ({})", to_text(end.result), to_text(again.result), again.text));
    took.push_back(Milliseconds{again.latency}.count());
  }
  return took;
}

void measure(bool small) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const char* name = family == Family::ipv4 ? "IPv4" : "IPv6";
    std::vector<double> idle, sending, reconnecting;
    const int rounds = small ? 1 : 11;
    for (int round = 0; round < rounds; ++round) {
      idle.push_back(idle_clients(family, 0).last_ms);
      sending.push_back(senders(family));
      for (const double took : reconnecting_clients(family)) reconnecting.push_back(took);
    }
    const Figure told = figure_of(idle), moved = figure_of(sending), back = figure_of(reconnecting);
    print({.what = fmt::format("flip to the last of {} idle clients reset, {}", number_of_clients, name),
           .unit = "ms",
           .figure = told,
           .target = at_most("median", told.median, 100)});
    print({.what = fmt::format("flip to the last of {} UDP senders moved, {}", number_of_clients, name),
           .unit = "ms",
           .figure = moved,
           .target = at_most("median", moved.median, 50)});
    print({.what = fmt::format("reset to the backup's answer, client with a fixed source port, {}", name),
           .unit = "ms",
           .figure = back,
           .target = at_most("median", back.median, 50)});
    measure_routers(family, name, rounds);
  }
}

} // namespace
} // namespace hanat::bench

int main(int argc, char** argv) { return hanat::bench::run(argc, argv, hanat::bench::measure); }
