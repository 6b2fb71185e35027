// Many new connections while the target changes: back and forth without a pause, and at the death of the primary with the default paces.
// Not here: what becomes of standing connections (sessions).
#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/api/client.hpp"
#include "daemon/util/wall_time.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

class Flipping : public testing::Test {
protected:
  /// One flip, as fast as the control socket takes it; made between the two moments, unless a cut of the same server's flows must end
  /// first.
  struct Flip {
    TestClock::time_point asked, answered;
  };
  Flip force(Hanatd& hanatd, const char* role) {
    Flip flip{.asked = TestClock::now(), .answered = {}};
    call(hanatd.socket(), "Force", {{"service", "web"}, {"server", role}});
    flip.answered = TestClock::now();
    return flip;
  }
  /// Back and forth 20 times, in bursts without any pause between the two.
  std::vector<Flip> flip_about(Hanatd& hanatd, milliseconds pause_between_pairs) {
    std::vector<Flip> flips;
    for (int pair = 0; pair < 20; ++pair) {
      flips.push_back(force(hanatd, "backup"));
      flips.push_back(force(hanatd, "primary"));
      sleep_for(pause_between_pairs);
    }
    return flips;
  }
  /// Entries of flows to the service on one server.
  std::size_t flows_on(Host host) {
    return lab.in(Host::gateway, [&] {
      return count_entries([&](const Flow& flow) {
        return flow.mapping.vip.address == Lab::vip(0).address && flow.mapping.server.address == Lab::address(host);
      });
    });
  }
  bool flows_go(Host host, milliseconds deadline) {
    for (const auto end = TestClock::now() + deadline; TestClock::now() < end; sleep_for(milliseconds{50}))
      if (flows_on(host) == 0) return true;
    return flows_on(host) == 0;
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Flipping, BackAndForthWithoutAPauseFailsNoNewConnection) {
  // Flows stay where they are: whatever fails here was a new connection's first packets.
  Hanatd hanatd{lab, fast_service({.extra = "on_forced = \"keep\""})};
  hanatd.wait_target("web", "primary");
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = milliseconds{20000}}};
  sleep_for(milliseconds{200});
  for (const milliseconds pause : {milliseconds{0}, milliseconds{1}, milliseconds{20}}) flip_about(hanatd, pause);
  sleep_for(milliseconds{1500});
  const LoadResult result = load.stop();
  fmt::print("{}\n", result);
  EXPECT_EQ(result.failed(), 0U) << result;
  EXPECT_LT(result.slowest_connect(), milliseconds{500}) << "no SYN was lost";
  EXPECT_TRUE(result.answered().contains("primary")) << result;
}

TEST_F(Flipping, BackAndForthWithoutAPauseResetsNobodyButWhoWasThereBefore) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = milliseconds{20000}}};
  sleep_for(milliseconds{200});
  std::vector<Flip> flips;
  for (const milliseconds pause : {milliseconds{0}, milliseconds{1}, milliseconds{20}})
    for (const Flip& flip : flip_about(hanatd, pause)) flips.push_back(flip);
  sleep_for(milliseconds{1500});
  // A flip that had to wait for a cut, and was taken back meanwhile, was none.
  EXPECT_GT(service(hanatd.status(), "web").flips, flips.size() / 2);
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
  constexpr milliseconds longest_wait{10};
  const LoadResult result = load.stop();
  fmt::print("{}\n", result);
  for (const Connect& connect : result.connects) {
    if (connect.result == Result::answered) continue;
    EXPECT_EQ(connect.result, Result::reset) << to_text(connect.result) << " after " << connect.ended.count() << " ns";
    const auto ended = connect.started + connect.ended;
    const bool over_a_flip = std::ranges::any_of(
        flips, [&](const Flip& flip) { return connect.started <= flip.answered + longest_wait && flip.asked <= ended; });
    EXPECT_TRUE(over_a_flip) << "a connection that met one target only was reset";
  }
  EXPECT_LE(result.failed(), result.connects.size() / 20) << result;
  EXPECT_LT(result.slowest_connect(), milliseconds{500}) << "no SYN was lost";
  EXPECT_TRUE(flows_go(Host::backup, milliseconds{8000})) << flows_on(Host::backup) << " flows of the old target are left";
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
}

TEST_F(Flipping, AStandingConnectionOfTheServerThatIsTargetAgainLivesOrIsResetButNeverHangs) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  for (int round = 0; round < 10; ++round) {
    TcpClient client{lab, Host::client, Lab::vip(443)};
    ASSERT_EQ(client.ask().text, "primary");
    force(hanatd, "backup");
    force(hanatd, "primary");
    const Attempt attempt = client.ask();
    EXPECT_TRUE(attempt.result == Result::answered || attempt.result == Result::reset) << attempt;
    EXPECT_LT(attempt.latency, milliseconds{300});
    hanatd.wait_target("web", "primary"); // a flip back waits for the cut that it cancels
  }
}

TEST_F(Flipping, AtTheDeathOfThePrimaryUnderLoadTheTimeWithoutServiceIsWhatThePacesSay) {
  Hanatd hanatd{lab, "[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"198.18.11.2:8443\"\nbackup = \"198.18.12.2:8443\"\n"};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 1000, .duration = milliseconds{3000}}};
  sleep_for(milliseconds{600});
  const auto death = TestClock::now();
  primary.kill();
  const Status status = hanatd.wait_target("web", "backup");
  const auto offset = std::chrono::system_clock::now().time_since_epoch() - TestClock::now().time_since_epoch();
  const auto flip = TestClock::time_point{parse_wall_time(service(status, "web").last_flip->at).value().time_since_epoch() - offset};
  const LoadResult result = load.finish();
  const auto without = std::chrono::duration_cast<milliseconds>(flip - death);
  fmt::print("{}\nfrom the death to the flip: {} ms\n", result, without.count());

  // The next probe comes within the interval of 1 s and is refused; the second and third follow 50 ms apart.
  EXPECT_GE(without, milliseconds{99});
  EXPECT_LT(without, milliseconds{1100 + 250});
  constexpr milliseconds blur{3}; // the flip's moment is told in whole ms
  std::size_t before = 0, after = 0;
  for (const Connect& connect : result.connects) {
    if (connect.started < death - blur) {
      EXPECT_TRUE(connect.by == "primary" || connect.result == Result::reset || connect.result == Result::closed);
      ++before;
    } else if (connect.started > flip + blur) {
      ASSERT_EQ(connect.result, Result::answered) << to_text(connect.result) << " after the verdict";
      ASSERT_EQ(connect.by, "backup");
      ++after;
    }
  }
  EXPECT_GT(before, 400U);
  EXPECT_GT(after, 500U);
  EXPECT_LE(result.failed(), static_cast<std::size_t>(without.count()) * 11 / 10 + 20) << "nobody fails but in that time";
  EXPECT_EQ(result.count(Result::timeout), 0U) << "refused at once, by the dead server's machine";
}

} // namespace
} // namespace hanat::test
