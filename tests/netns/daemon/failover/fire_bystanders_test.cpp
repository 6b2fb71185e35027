// Under fire, who has nothing to do with it: connections of other services and of none, and the event loop while a long cut runs.
// Not here: the connections of the service that flips (fire_test).
#include "tests/netns/daemon/failover/fire.hpp"

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>

namespace hanat::test {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::this_thread::sleep_for;
using std::this_thread::sleep_until;

// ---- who has nothing to do with it

class FireBystanders : public Fire {
protected:
  void add(std::size_t count, Host from, const Endpoint& to, const std::string& answer) {
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back({.client = TcpClient{lab, from, to}, .answer = answer});
      ASSERT_EQ(all.back().client.ask().text, answer);
    }
  }
  std::size_t broken() {
    return static_cast<std::size_t>(std::ranges::count_if(all, [](One& one) { return one.client.ask().text != one.answer; }));
  }
  struct One {
    TcpClient client;
    std::string answer;
  };
  std::vector<One> all;
};

TEST_F(FireBystanders, AThousandConnectionsOutliveAThousandFlipsOfAnotherService) {
  TcpServer other{lab, Host::primary, 9000, "other"};
  TcpServer forwarded{lab, Host::primary, 7000, "forwarded"};
  TcpServer outside{lab, Host::backup, 7100, "outside"};
  TcpServer gateway{lab, Host::gateway, 2222, "gateway"};
  UdpServer udp_primary{lab, Host::primary, 8443, "primary"};
  UdpServer udp_backup{lab, Host::backup, 8443, "backup"};
  // The operator's own NAT; without it the server has no way back.
  lab.must(Host::backup, "ip route add unreachable 198.18.2.0/24");
  lab.must(Host::gateway,
           "nft -f - <<'END'\ntable ip operators {\n  chain post {\n    type nat hook postrouting priority 100; policy accept;\n"
           "    ip saddr 198.18.2.0/24 ip daddr 198.18.12.2 tcp dport 7100 counter masquerade\n  }\n}\nEND");
  Hanatd hanatd{lab,
                fast_service() + fast_service({.name = "dns", .listen = "203.0.113.10:53/udp", .probe = "type = \"tcp\", port = 8443"}) +
                    fast_service({.name = "other", .listen = "203.0.113.11:900/tcp", .port = 9000}),
                {.state = folder.path}};
  both_up(hanatd);
  hanatd.wait_target("other", "primary");

  // Something to cut. (Load also raises the limit of descriptors, which the bystanders need.)
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = std::chrono::hours{1}}};
  UdpStream stream{lab, Host::client, Lab::vip(53), milliseconds{1}};

  add(250, Host::client, endpoint("203.0.113.11", 900), "other");
  add(125, Host::client, Lab::endpoint(Host::primary, 7000), "forwarded");
  add(125, Host::client, Lab::endpoint(Host::primary, 8443), "primary"); // the service's own server, asked directly
  add(250, Host::client, {Lab::vip(0).address, 2222}, "gateway");        // on the service's own address
  add(250, Host::bystander, Lab::endpoint(Host::backup, 7100), "outside");
  ASSERT_EQ(all.size(), 1000U);
  const std::string translated = lab.must(Host::gateway, "nft list table ip operators");
  ASSERT_NE(translated.find("counter packets 250 "), std::string::npos) << translated;

  const auto began = TestClock::now();
  for (int flips = 1; flips <= 1000; ++flips) {
    flip(hanatd, flips % 2 == 1 ? "backup" : "primary");
    if (flips % 25 == 0) flip(hanatd, flips % 2 == 1 ? "backup" : "primary", "dns"); // each cuts its datagrams at once
    if (flips % 250 != 125) continue;
    sleep_for(milliseconds{1300}); // the TCP flows of the primary are cut now
    ASSERT_EQ(broken(), 0U) << "after " << flips << " flips";
  }
  const std::chrono::duration<double> took = TestClock::now() - began;
  const Status status = hanatd.wait_for(
      [](const Status& now) {
        const auto& last = service(now, "web").last_flip;
        return last && last->cut_ms;
      },
      seconds{10});
  const LoadResult result = load.stop();
  fmt::print("{} flips in {:.1f} s, {} behind a cut; beside them {}\n", service(status, "web").flips, took.count(), waits_for_cut, result);
  EXPECT_EQ(service(status, "web").flips, 1000U);
  EXPECT_EQ(service(status, "dns").flips, 40U);
  EXPECT_EQ(service(status, "other").flips, 0U);
  EXPECT_EQ(broken(), 0U) << "of " << all.size();
  EXPECT_EQ(lab.must(Host::gateway, "nft list table ip operators"), translated) << "its table, or a connection translated anew";
}

// ---- the event loop while a long cut runs

struct Latencies {
  std::vector<nanoseconds> times;
  double ms(double percent) {
    if (times.empty()) return 0;
    std::ranges::sort(times);
    const auto rank = static_cast<std::size_t>(static_cast<double>(times.size() - 1) * percent / 100);
    return std::chrono::duration<double, std::milli>(times[rank]).count();
  }
  std::string text() { return fmt::format("p50 {:.2f} p99 {:.2f} slowest {:.2f} ms of {}", ms(50), ms(99), ms(100), times.size()); }
};

class FireEventLoop : public Fire, public testing::WithParamInterface<Family> {
protected:
  struct Measure {
    Latencies peace, cut;
  };
  /// Asks every millisecond, until the entries are gone. An answer counts from the moment at which it should have been asked for: while
  /// one is late, those after it are too. Who asks may itself be late where nobody waits; that is not the daemon's.
  Measure ask_until_gone(const Hanatd& hanatd) {
    Measure measure;
    const auto began = TestClock::now();
    auto due = began, last = began;
    const std::size_t full = entries_here();
    for (std::size_t left = full, before = full; left > full / 100 && last < began + seconds{30}; before = left) {
      sleep_until(due);
      const auto asked = last > due ? due : TestClock::now();
      call(hanatd.socket(), "Version");
      last = TestClock::now();
      due += milliseconds{1};
      left = entries_here();
      // Probes make entries too, a few dozen a second.
      const bool cutting = left + 200 < full && before > full / 100;
      (cutting ? measure.cut : measure.peace).times.push_back(last - asked);
    }
    return measure;
  }
};
/// Puts a thread before all others on this machine: what is measured then is no neighbour's doing. 0: the calling thread.
void first_of_all(pid_t thread) {
  const sched_param priority{.sched_priority = 1};
  checked(sched_setscheduler(thread, SCHED_FIFO | SCHED_RESET_ON_FORK, &priority), "a real-time priority");
}

INSTANTIATE_TEST_SUITE_P(, FireEventLoop, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& of) { return of.param == Family::ipv4 ? "IPv4" : "IPv6"; });

TEST_P(FireEventLoop, AnswersWithin5MillisecondsWhileAHundredThousandFlowsAreCut) {
  constexpr std::size_t all = 100'000;
  const Family family = GetParam();
  const Endpoint vip = Lab::vip(443, family);
  const Mapping dead{.vip = {.address = vip.address, .protocol = Protocol::tcp, .port = 443},
                     .server = Lab::endpoint(Host::primary, 8443, family)};
  Hanatd hanatd{lab, fast_service({.listen = to_text(vip) + "/tcp", .family = family}), {.state = folder.path}};
  both_up(hanatd);
  // The machine may have other things to do: up to three rounds, in the later ones with asker and event loop (not the thread that cuts)
  // before all others; and where even peace was late in all of them, the cut may be later by as much.
  double best = 1e9, best_beside_peace = 1e9;
  for (int round = 0; round < 3 && best > 5; ++round) {
    make(dead, all);
    flip(hanatd, "backup");
    if (round == 1) first_of_all(hanatd.pid());
    Measure measure = lab.in(Host::gateway, [&] {
      if (round > 0) first_of_all(0);
      return ask_until_gone(hanatd);
    });
    fmt::print("asked every ms: in peace {}; during the cut {}\n", measure.peace.text(), measure.cut.text());
    ASSERT_GT(measure.cut.times.size(), 20U) << "no cut was met";
    ASSERT_LT(entries_of(dead), all / 50) << "not cut within 30 s";
    const double late = measure.cut.ms(99), noise = measure.peace.ms(99);
    best = std::min(best, late);
    best_beside_peace = std::min(best_beside_peace, late - (noise > 1 ? noise : 0));
    flip(hanatd, "primary");
  }
  EXPECT_LE(best_beside_peace, 5);
}

} // namespace
} // namespace hanat::test
