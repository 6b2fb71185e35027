// The core under fire: thousands of flips under load, judged from the client's socket alone.
// HANAT_FLIPS=100000: so many flips in the long storm, however long they take (three minutes; for nightly runs). Without it the storm
// is 10,000 flips, or what a slow machine makes of them in 25 s.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "daemon/client.hpp"
#include "tests/netns/hanatd.hpp"
#include "tests/netns/lab.hpp"
#include "tests/netns/load.hpp"
#include "tests/netns/peers.hpp"
#include "tests/netns/scenario.hpp"
#include "tests/netns/synth.hpp"

namespace hanat::test {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::this_thread::sleep_for;
using std::this_thread::sleep_until;

// A client tries its SYN again after 1 s: a connect that took longer than this lost one.
constexpr milliseconds lost_a_syn{900};

/// A state directory in memory: an override is on the disk before it is answered, and these tests are about flips, not about disks.
class MemoryFolder {
public:
  MemoryFolder() {
    std::string pattern = "/dev/shm/hanat-fire-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp " + pattern);
    path = pattern;
  }
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  std::filesystem::path path;
};

/// The service moved to `to` between the two moments. Ordered by time.
struct Flip {
  TestClock::time_point asked, committed;
  std::string to;
};

class Fire : public testing::Test {
protected:
  /// As fast as the control socket takes it. A flip that had to wait for a cut of the same server's flows is waited for.
  Flip flip(Hanatd& hanatd, const std::string& role, const std::string& name = "web") {
    Flip made{.asked = TestClock::now(), .committed = {}, .to = role};
    const auto answer = call(hanatd.socket(), "Force", {{"service", name}, {"server", role}});
    if (answer.at("services").at(0).at("pending").get<bool>()) {
      ++held_back;
      hanatd.wait_target(name, role, seconds{10});
    }
    made.committed = TestClock::now();
    return made;
  }
  void both_up(Hanatd& hanatd) {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  }
  /// Conntrack entries, whosoever's they are: the kernel's own counter, free to read.
  static std::size_t entries_here() {
    std::size_t count = 0;
    std::ifstream{"/proc/sys/net/netfilter/nf_conntrack_count"} >> count;
    return count;
  }
  std::size_t entries() { return lab.in(Host::gateway, entries_here); }
  std::size_t entries_of(const Mapping& mapping) {
    return lab.in(Host::gateway, [&] { return count_entries([&](const Flow& flow) { return flow.mapping == mapping; }); });
  }
  void make(const Mapping& mapping, std::size_t count) {
    lab.in(Host::gateway, [&] { synthesise(flows_of(mapping, count, made_)); });
    made_ += count; // never the same client twice
  }

  Lab lab{{.bystander = true, .vip_local = true}};
  MemoryFolder folder;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  std::size_t held_back = 0;

private:
  std::size_t made_ = 0;
};

bool met_a_flip(const Connect& connect, const std::vector<Flip>& flips) {
  const auto first = std::ranges::lower_bound(flips, connect.started, {}, &Flip::committed);
  return first != flips.end() && first->asked <= connect.started + connect.ended;
}

/// Where a connection had to go that began after a flip was committed and stood before the next was asked; nullopt: it met a flip.
std::optional<std::string> only_target(const Connect& connect, const std::vector<Flip>& flips) {
  const auto next = std::ranges::upper_bound(flips, connect.started, {}, &Flip::committed);
  if (next == flips.begin() || connect.connected < nanoseconds{0}) return std::nullopt;
  if (next != flips.end() && next->asked <= connect.started + connect.connected) return std::nullopt;
  return std::prev(next)->to;
}

// ---- flips under a load of new connections

struct Storm {
  std::size_t flips;
  microseconds pace;              // a flip
  std::optional<seconds> at_most; // of it all
};

class FireStorm : public Fire {
protected:
  static constexpr microseconds rest{1'500};   // on a machine that is too slow for the pace
  static constexpr unsigned per_second = 1100; // a promise of 1,000, and something for the generator's own delays

  /// Three flips without a pause, then a rest on the new target: a client can meet a flip in the making, two at once, or none.
  std::vector<Flip> rage(Hanatd& hanatd, const Storm& storm) {
    const auto began = TestClock::now();
    std::vector<Flip> flips{{.asked = began, .committed = began, .to = "primary"}}; // where it stands
    while (flips.size() <= storm.flips && (!storm.at_most || TestClock::now() < began + *storm.at_most)) {
      flips.push_back(flip(hanatd, flips.back().to == "primary" ? "backup" : "primary"));
      if (flips.size() % 3 == 0)
        sleep_until(std::max<TestClock::time_point>(began + storm.pace * static_cast<long>(flips.size()), TestClock::now() + rest));
    }
    return flips;
  }

  /// Flips the service under load. Whatever `may_fail` does not excuse had to be answered.
  void endure(const std::string& extra, const Storm& storm, const std::function<bool(const Connect&, const std::vector<Flip>&)>& may_fail) {
    // On the very address and port of the service: whoever comes through untranslated is answered by it.
    TcpServer gateway{lab, Host::gateway, 443, "gateway"};
    ASSERT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "gateway") << "the trap must work";
    Hanatd hanatd{lab, fast_service({.extra = extra}), {.state = folder.path}};
    both_up(hanatd);

    Load load{lab, Host::client, Lab::vip(443), {.per_second = per_second, .duration = std::chrono::hours{24}}};
    const auto began = TestClock::now();
    sleep_for(milliseconds{100});
    const std::vector<Flip> flips = rage(hanatd, storm);
    const std::chrono::duration<double> took = TestClock::now() - began;
    const LoadResult result = load.stop();
    fmt::print("{} flips in {:.1f} s, {} of them behind a cut\n{}\n", flips.size() - 1, took.count(), held_back, result);
    EXPECT_EQ(service(hanatd.status(), "web").flips, flips.size() - 1);
    EXPECT_GE(static_cast<double>(result.connects.size()) / took.count(), 1000);
    EXPECT_LT(result.slowest_connect(), lost_a_syn);

    std::size_t excused = 0, judged = 0, astray = 0;
    for (const Connect& connect : result.connects) {
      if (connect.result != Result::answered) {
        ASSERT_TRUE(may_fail(connect, flips)) << to_text(connect.result) << " after " << connect.ended.count() << " ns";
        ++excused;
      } else if (const auto target = only_target(connect, flips)) {
        ++judged;
        astray += connect.by != *target ? 1U : 0U;
      }
    }
    fmt::print("{} met no flip, {} of them on the old target; {} were reset by a flip\n", judged, astray, excused);
    EXPECT_EQ(astray, 0U) << "of " << judged << " that began after the commit";
    EXPECT_GT(judged, std::min<std::size_t>(flips.size() / 10, 1000)) << "too few to prove anything";
    EXPECT_EQ(gateway.accepted(), 1U) << "the gateway itself answered for the service";
    const Vip vip{.address = Lab::vip(0).address, .protocol = Protocol::tcp, .port = 443};
    EXPECT_EQ(entries_of(untranslated(vip)), 0U) << "passed without translation";
  }
};

TEST_F(FireStorm, TenThousandFlipsFailNoNewConnectionAndLeaveNoneOnTheOldTarget) {
  // Standing flows stay where they are: whatever fails here was a new connection.
  const char* const wish = std::getenv("HANAT_FLIPS");
  const Storm storm{.flips = wish != nullptr ? std::stoul(wish) : 10'000,
                    .pace = microseconds{1600},
                    .at_most = wish != nullptr ? std::nullopt : std::optional{seconds{25}}};
  endure("on_forced = \"keep\"", storm, [](const Connect&, const std::vector<Flip>&) { return false; });
}

TEST_F(FireStorm, AThousandFlipsThatResetOldConnectionsHurtNobodyElse) {
  endure("", {.flips = 1'000, .pace = milliseconds{4}, .at_most = seconds{25}}, [](const Connect& connect, const std::vector<Flip>& flips) {
    return connect.result == Result::reset && met_a_flip(connect, flips);
  });
}

// ---- there and back again, while the old flows are still being cut

class FireThereAndBack : public Fire {
protected:
  static constexpr std::size_t streams = 90'000, datagrams = 10'000; // at the primary; together the 100,000 of the promise
  const Vip tcp_vip{.address = Lab::vip(0).address, .protocol = Protocol::tcp, .port = 443};
  const Vip udp_vip{.address = Lab::vip(0).address, .protocol = Protocol::udp, .port = 443};
  const Mapping tcp{.vip = tcp_vip, .server = Lab::endpoint(Host::primary, 8443)};
  const Mapping udp{.vip = udp_vip, .server = Lab::endpoint(Host::primary, 8443)};

  /// What the cuts took is made again. Entries of the load count too, so there is room for all that it can have made.
  void refill(const Mapping& mapping) {
    const auto load_made = static_cast<std::size_t>(std::chrono::ceil<seconds>(TestClock::now() - began).count()) * per_second;
    const std::size_t wanted = streams + datagrams + load_made, present = entries();
    if (present < wanted) make(mapping, wanted - present);
  }
  /// Back to the primary; connections that are opened then stand until the next flip.
  void return_to_primary(Hanatd& hanatd) {
    held_back = 0;
    flips.push_back(flip(hanatd, "primary"));
    met_cuts += held_back;
    fresh.clear();
    for (int count = 0; count < 5; ++count) fresh.emplace_back(lab, Host::bystander, Lab::vip(443));
  }
  void fresh_ones_stand(const std::string& round) {
    for (TcpClient& client : fresh) {
      const Attempt attempt = client.ask();
      EXPECT_EQ(attempt.text, "primary") << "cut together with old flows, " << round << ": " << attempt;
    }
  }

  static constexpr unsigned per_second = 500;
  std::size_t met_cuts = 0; // returns that had to wait for the end of a cut
  TestClock::time_point began;
  std::vector<Flip> flips;
  std::vector<TcpClient> fresh;
};

TEST_F(FireThereAndBack, AHundredTimesAmongAHundredThousandOldFlowsCutsNoFreshConnection) {
  Hanatd hanatd{lab, fast_service({.listen = "203.0.113.10:443/tcp\", \"203.0.113.10:443/udp"}), {.state = folder.path}};
  both_up(hanatd);
  make(tcp, streams);
  make(udp, datagrams);
  Load load{lab, Host::client, Lab::vip(443), {.per_second = per_second, .duration = std::chrono::hours{1}}};
  began = TestClock::now();

  // Datagrams are cut at once: the return meets that cut at its start, in its middle, or just after it.
  constexpr std::array stays{milliseconds{0}, milliseconds{2}, milliseconds{5}, milliseconds{10}, milliseconds{20}, milliseconds{50}};
  std::vector<nanoseconds> times;
  for (std::size_t round = 0; round < 100; ++round) {
    flips.push_back(flip(hanatd, "backup"));
    sleep_until(flips.back().asked + stays[round % stays.size()]);
    return_to_primary(hanatd);
    times.push_back(flips.back().committed - std::prev(flips.end(), 2)->asked);
    refill(udp);
    fresh_ones_stand(fmt::format("round {}", round));
  }
  EXPECT_GT(met_cuts, 10U) << "the returns met no cut: this proves nothing";
  const std::size_t met_cuts_of_datagrams = std::exchange(met_cuts, 0);
  std::ranges::nth_element(times, times.begin() + 50);
  const double in_the_middle_ms = std::chrono::duration<double, std::milli>(times[50]).count();

  // Streams are cut a second later: back at the moment when the first are gone.
  for (int round = 0; round < 3; ++round) {
    flips.push_back(flip(hanatd, "backup"));
    sleep_until(flips.back().asked + milliseconds{800}); // the datagrams are gone
    const std::size_t before = entries();
    for (const auto end = TestClock::now() + seconds{5}; entries() + 500 > before && TestClock::now() < end;) sleep_for(microseconds{200});
    return_to_primary(hanatd);
    refill(tcp);
    fresh_ones_stand(fmt::format("late round {}", round));
  }
  fmt::print("there and back within {:.1f} ms in the middle; returns that met a cut: {} of 100 of datagrams, {} of 3 of streams\n",
             in_the_middle_ms, met_cuts_of_datagrams, met_cuts);

  flips.push_back(flip(hanatd, "backup"));
  const auto last = flips.back().committed;
  // One second of grace for streams, the cut, a sweep.
  while (entries_of(tcp) + entries_of(udp) > 0 && TestClock::now() < last + seconds{10}) sleep_for(milliseconds{100});
  const std::chrono::duration<double> gone = TestClock::now() - last;
  EXPECT_EQ(entries_of(tcp) + entries_of(udp), 0U) << "flows of the old target are left";
  const LoadResult result = load.stop();
  fmt::print("the old target's flows were gone {:.1f} s after the last flip\n{}\n", gone.count(), result);
  for (const Connect& connect : result.connects) {
    if (connect.result == Result::answered) {
      const auto target = only_target(connect, flips);
      ASSERT_TRUE(!target || connect.by == *target);
    } else {
      ASSERT_EQ(connect.result, Result::reset) << to_text(connect.result) << " after " << connect.ended.count() << " ns";
      ASSERT_TRUE(met_a_flip(connect, flips)) << "a connection that met one target only was reset";
    }
  }
  EXPECT_LT(result.slowest_connect(), lost_a_syn);
}

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
  fmt::print("{} flips in {:.1f} s, {} behind a cut; beside them {}\n", service(status, "web").flips, took.count(), held_back, result);
  EXPECT_EQ(service(status, "web").flips, 1000U);
  EXPECT_EQ(service(status, "dns").flips, 40U);
  EXPECT_EQ(service(status, "other").flips, 0U);
  EXPECT_EQ(broken(), 0U) << "of " << all.size();
  EXPECT_EQ(lab.must(Host::gateway, "nft list table ip operators"), translated) << "its table, or a connection translated anew";
}

// ---- the event loop while a long cut runs

struct Lateness {
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
    Lateness peace, cut;
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
