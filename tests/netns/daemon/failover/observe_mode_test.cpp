// Mode observe: hanatd looks on, says what it would do, and touches nothing. Not here: the words of hanatctl (show_test), what stays loaded
// case by case (wanted_test).
#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;
using testing::Not;

const std::string observing = "mode = \"observe\"";

class Observe : public testing::Test {
protected:
  static std::string observed_web(const std::string& more = {}) { return fast_service({.extra = observing + "\n" + more}); }
  static auto would(const std::string& target) {
    return [=](const Status& now) { return service(now, "web").would_target == target; };
  }
  /// Both servers are known to be up.
  static bool both_up(const Status& now) {
    const ServiceStatus& web = service(now, "web");
    return server(web, "primary").health == "up" && server(web, "backup").health == "up";
  }
  std::string table() { return lab.must(Host::gateway, "nft -s list table inet hanat"); }
  /// Without the sets that only live while hanatd holds refusals.
  std::string targets() {
    std::string lists;
    for (const char* name : {"map inet hanat dnat4", "set inet hanat vips4", "map inet hanat reject4", "set inet hanat stale4"})
      lists += lab.must(Host::gateway, std::string{"nft -s list "} + name);
    return lists;
  }
  Attempt ask(milliseconds deadline = milliseconds{3000}) { return connect_once(lab, Host::client, Lab::vip(443), deadline); }
  static std::size_t count(const std::string& text, const std::string& what) {
    std::size_t found = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
    return found;
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Observe, NothingIsLoadedForAServiceThatWasNeverAuto) {
  Hanatd hanatd{lab, observed_web()};
  const Status seen = hanatd.wait_for(would("primary"));
  const ServiceStatus& web = service(seen, "web");
  EXPECT_EQ(web.mode, "observe");
  EXPECT_EQ(web.target, "none");
  EXPECT_FALSE(web.target_address);
  EXPECT_EQ(web.why, "observe");
  EXPECT_EQ(web.would_why, "primary-up");
  hanatd.wait_for(both_up);
  primary.kill();
  hanatd.wait_for(would("backup"));
  backup.kill();
  hanatd.wait_for([](const Status& now) { return service(now, "web").would_why == "no-server-up"; });
  EXPECT_THAT(table(), Not(HasSubstr("203.0.113.10"))) << "no element of it, anywhere";
  EXPECT_NE(ask(milliseconds{100}).result, Result::answered);
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
  EXPECT_FALSE(service(hanatd.status(), "web").last_flip);
  const std::string log = hanatd.log();
  EXPECT_EQ(count(log, "web: observe: would send connections to primary (198.18.11.2:8443): primary-up; nothing is loaded for it"), 1U);
  EXPECT_EQ(count(log, "web: observe: would fail over from primary (198.18.11.2:8443) to backup (198.18.12.2:8443): failover (primary is "
                       "down: refused"),
            1U)
      << log;
  EXPECT_EQ(count(log, "web: observe: no server is up: would turn clients away"), 1U);
  EXPECT_EQ(count(log, "observe: "), 3U) << log;
  EXPECT_THAT(log, Not(HasSubstr("new connections go")));
}

TEST_F(Observe, AnOverrideIsRefusedWithWordsThatHelp) {
  Hanatd hanatd{lab, observed_web()};
  hanatd.wait_for(would("primary"));
  for (const char* word : {"force-backup", "force-primary"}) {
    const Output refused = hanatd.ctl({word, "web", "--even-if-down"});
    EXPECT_EQ(refused.exit, 1);
    EXPECT_THAT(refused.err, HasSubstr("web is in mode observe: hanat does not touch its traffic, so nothing can be forced. Set mode = "
                                       "\"auto\" for web in the configuration, run hanatctl reload, then force it"));
  }
  EXPECT_EQ(hanatd.ctl({"force-backup", "--all"}).exit, 1);
  EXPECT_FALSE(service(hanatd.status(), "web").forced);
  EXPECT_EQ(hanatd.ctl({"auto", "web"}).exit, 0) << "nothing to end";
  const std::string shown = hanatd.ctl({}).out;
  EXPECT_THAT(shown, HasSubstr("(mode observe)"));
  EXPECT_THAT(shown,
              HasSubstr("observe: hanat sends no traffic anywhere, other rules of this machine decide; no failover by hanat until mode "
                        "= \"auto\". hanat would send new connections to primary 198.18.11.2:8443 (primary-up)"));
  EXPECT_THAT(hanatd.ctl({"doctor"}).out, HasSubstr("nothing found: "));
}

TEST_F(Observe, WhatWasAutoIsFrozenAndBackInAutoItIsAdopted) {
  Hanatd hanatd{lab, fast_service(), {.arguments = {"--shared-table"}}};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(both_up);
  const std::string before = targets();
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  ASSERT_EQ(hanatd.reload(observed_web()).exit, 0);
  EXPECT_EQ(targets(), before);
  EXPECT_THAT(lab.must(Host::gateway, "nft list set inet hanat hold4"), Not(HasSubstr("8443"))) << "nothing is held back any more";
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary");

  primary.kill();
  const Status dead = hanatd.wait_for(would("backup"));
  EXPECT_EQ(service(dead, "web").target, "primary") << "what the kernel does";
  EXPECT_EQ(service(dead, "web").target_address, "198.18.11.2:8443");
  EXPECT_EQ(ask().result, Result::refused) << "by the server's own machine";
  EXPECT_THAT(hanatd.ctl({"status"}).out,
              HasSubstr("observe: traffic stays frozen at primary 198.18.11.2:8443; no failover until mode = \"auto\". "
                        "hanat would send new connections to backup"));
  EXPECT_EQ(targets(), before);
  lab.must(Host::gateway, "nft flush ruleset");
  hanatd.wait_for([&](const Status& now) { return now.daemon.kernel == "in-step" && hanatd.log().find("restored") != std::string::npos; });
  EXPECT_EQ(targets(), before) << "restored as it was frozen";

  primary.start();
  hanatd.wait_for(would("primary"));
  EXPECT_THAT(hanatd.log(), HasSubstr("observe: would fail back from backup (198.18.12.2:8443) to primary (198.18.11.2:8443): failback; "
                                      "connections stay on primary (198.18.11.2:8443)"));
  TcpClient later{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(later.ask().text, "primary");
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  const Status back = hanatd.wait_target("web", "primary");
  EXPECT_EQ(service(back, "web").flips, 0U);
  EXPECT_FALSE(service(back, "web").would_target);
  EXPECT_EQ(later.ask().text, "primary") << "nothing was cut";
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(ask().text, "backup") << "it acts again";
}

TEST_F(Observe, ARestartAdoptsWhatIsFrozenAndAutoActsOnWhatItMissed) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  hanatd.stop();
  const std::string before = targets();
  hanatd.write_config(observed_web());
  hanatd.start();
  hanatd.wait_for(both_up);
  EXPECT_THAT(hanatd.log(), HasSubstr("web: found loaded rules: connections stay on primary (198.18.11.2:8443), and that is not touched"));
  primary.kill();
  hanatd.wait_for(would("backup"));
  EXPECT_EQ(targets(), before);
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  const Status acted = hanatd.wait_target("web", "backup");
  EXPECT_EQ(service(acted, "web").last_flip->from, "primary");
  EXPECT_EQ(ask().text, "backup");
}

TEST_F(Observe, AnOverrideOfBeforeWaitsUntilModeIsAutoAgain) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(both_up);
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--reason", "disk swap"}).exit, 0);
  ASSERT_EQ(hanatd.reload(observed_web()).exit, 0);
  const std::string words = "web: mode is observe now: the override to backup by root is kept, and moves nothing until mode is auto again";
  EXPECT_THAT(hanatd.log(), HasSubstr(words));
  const Status kept = hanatd.wait_for(would("backup"));
  EXPECT_EQ(service(kept, "web").forced->target, "backup");
  EXPECT_EQ(service(kept, "web").would_why, "forced");
  EXPECT_THAT(hanatd.ctl({}).out, HasSubstr("it has no effect until mode is auto again"));
  hanatd.restart();
  hanatd.wait_for(would("backup"));
  EXPECT_EQ(count(hanatd.log(), words), 2U);
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  const Status back = hanatd.wait_target("web", "backup");
  EXPECT_EQ(service(back, "web").why, "forced");
  EXPECT_EQ(service(back, "web").flips, 0U) << "since the restart";

  ASSERT_EQ(hanatd.reload(observed_web()).exit, 0);
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  hanatd.wait_for(would("primary"));
  EXPECT_EQ(service(hanatd.status(), "web").target, "backup");
  EXPECT_EQ(ask().text, "backup");
}

TEST_F(Observe, FlowsThatAnEarlierFlipWasEndingAreEnded) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  TcpClient idle{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(idle.ask().text, "primary");
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup"); // TCP entries are cut a second later
  ASSERT_EQ(hanatd.reload(observed_web()).exit, 0);
  const Status ended = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); });
  EXPECT_EQ(service(ended, "web").last_flip->cut.tcp, 1U);
  for (int wait = 0; wait < 100 && targets().find("8443 comment \"web primary\"") != std::string::npos; ++wait) sleep_for(milliseconds{10});
  EXPECT_THAT(lab.must(Host::gateway, "nft list set inet hanat stale4"), Not(HasSubstr("8443")));
  EXPECT_EQ(ask().text, "backup");
}

/// One service is moved, its twin on the same servers is observed.
TEST_F(Observe, WouldTellsTheStoryThatAutoLives) {
  const std::string policy = "failback = { after = \"300ms\" }\n";
  Hanatd hanatd{lab, observed_web(policy) + fast_service({.name = "twin", .listen = "203.0.113.11:443/tcp", .extra = policy})};
  const auto both = [&](const std::string& target) {
    TestClock::time_point lived{}, told{};
    hanatd.wait_for([&](const Status& now) {
      const auto at = TestClock::now();
      if (lived == TestClock::time_point{} && service(now, "twin").target == target) lived = at;
      if (told == TestClock::time_point{} && service(now, "web").would_target == target) told = at;
      return lived != TestClock::time_point{} && told != TestClock::time_point{};
    });
    const Status now = hanatd.status();
    EXPECT_EQ(service(now, "web").would_target, target);
    EXPECT_EQ(service(now, "twin").target, target);
    EXPECT_EQ(service(now, "web").would_why, service(now, "twin").why) << target;
    EXPECT_LT(std::chrono::abs(lived - told), milliseconds{100}) << target;
  };
  both("primary");
  hanatd.wait_for(both_up);
  primary.kill();
  both("backup");
  primary.start(); // 100 ms until it is up, 300 ms until it is the target
  both("primary");
  primary.kill();
  both("backup");
  backup.kill();
  both("none");
  backup.start();
  both("backup");
  EXPECT_EQ(service(hanatd.status(), "twin").flips, 5U);
  EXPECT_EQ(count(hanatd.log(), "web: observe: "), 7U) << "six moves, and that the primary is flapping\n" << hanatd.log();
}

TEST_F(Observe, AnEndpointAndAServiceThatAreConfiguredNoMoreAreGivenUp) {
  Hanatd hanatd{lab, fast_service({.listen = "203.0.113.10:443/tcp\", \"203.0.113.10:444/tcp"})};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.reload(observed_web()).exit, 0);
  const auto is_gone = [&](const char* text) { // once the flows that stand are known
    const auto listed = [&] {
      return lab.must(Host::gateway, "nft list map inet hanat dnat4") + lab.must(Host::gateway, "nft list set inet hanat vips4");
    };
    for (const auto end = TestClock::now() + milliseconds{5000}; TestClock::now() < end;)
      if (listed().find(text) == std::string::npos) return true;
    return false;
  };
  EXPECT_TRUE(is_gone("444"));
  EXPECT_EQ(ask().text, "primary");
  ASSERT_EQ(hanatd.reload(fast_service({.name = "other", .listen = "203.0.113.11:443/tcp"})).exit, 0);
  EXPECT_TRUE(is_gone("203.0.113.10"));
}

} // namespace
} // namespace hanat::test
