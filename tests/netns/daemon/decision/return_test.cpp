// When a service comes back: how long a recovered server is watched, what failback waits for, and what becomes of clients when no server
// is up. Not here: how a server is judged (judgement), that the traffic moves at all (failover).
#include <chrono>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;

class Return : public testing::Test {
protected:
  Attempt ask(milliseconds deadline = milliseconds{3000}) { return connect_once(lab, Host::client, Lab::vip(443), deadline); }
  std::string who_answers() { return ask().text; }
  static auto health_is(const std::string& role, const std::string& health) {
    return [=](const Status& now) { return server(service(now, "web"), role).health == health; };
  }
  static auto why_is(const std::string& why) {
    return [=](const Status& now) { return service(now, "web").why == why; };
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Return, ARecoveredPrimaryIsWatchedForStableForWhileTheBackupWorks) {
  Hanatd hanatd{lab, fast_service({.up = "passes = 2, stable_for = \"1s\""})};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup");
  const auto began = TestClock::now();
  primary.start();
  while (TestClock::now() - began < milliseconds{950}) EXPECT_EQ(who_answers(), "backup");
  hanatd.wait_target("web", "primary");
  const auto took = TestClock::now() - began;
  EXPECT_GE(took, milliseconds{1000});
  EXPECT_LT(took, milliseconds{1400});
  EXPECT_EQ(service(hanatd.status(), "web").last_flip->why, "failback");
  EXPECT_EQ(who_answers(), "primary");
}

TEST_F(Return, ARecoveringPrimaryIsShownWithItsCountdownAndTakesOverAtOnceWhenTheBackupFails) {
  Hanatd hanatd{lab, fast_service({.up = "passes = 2, stable_for = \"30s\""})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(health_is("backup", "up"));
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_FALSE(server(service(hanatd.status(), "web"), "primary").recovering);
  EXPECT_NE(hanatd.ctl({"status"}).out.find("redundancy lost"), std::string::npos);
  primary.start();
  const Status seen = hanatd.wait_for([](const Status& now) {
    const ServerStatus& down = server(service(now, "web"), "primary");
    return down.recovering && down.recovering->passes >= 2 && service(now, "web").failback_in_s;
  });
  const ServiceStatus& web = service(seen, "web");
  EXPECT_EQ(server(web, "primary").health, "down") << "it is not up before stable_for";
  EXPECT_EQ(server(web, "primary").recovering->of, 2U);
  EXPECT_EQ(server(web, "primary").recovering->stable_for_s, 30);
  EXPECT_NEAR(*web.failback_in_s, 30 - server(web, "primary").recovering->for_s, 0.1);
  EXPECT_EQ(web.failback.to, "primary");
  EXPECT_EQ(web.failback.waits_for, "stable-for");
  const std::string text = hanatd.ctl({"status"}).out;
  for (const char* part : {"primary is recovering (passes ", " of 30 s); it takes over at once if backup fails", "failback in "})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in\n" << text;
  EXPECT_EQ(text.find("redundancy"), std::string::npos) << text;

  backup.kill();
  const Status moved = hanatd.wait_target("web", "primary");
  EXPECT_EQ(service(moved, "web").last_flip->from, "backup") << "without a moment of none";
  EXPECT_EQ(service(moved, "web").flips, 2U);
  EXPECT_EQ(who_answers(), "primary");
}

TEST_F(Return, OneFailBeginsTheWatchAnew) {
  Hanatd hanatd{lab, fast_service({.up = "passes = 2, stable_for = \"1s\""})};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup");
  primary.start();
  sleep_for(milliseconds{700});
  primary.kill();
  sleep_for(milliseconds{120}); // two probes
  const auto again = TestClock::now();
  primary.start();
  hanatd.wait_target("web", "primary");
  EXPECT_GE(TestClock::now() - again, milliseconds{1000});
}

TEST_F(Return, WithNoServerLeftEnoughPassesBringTheServiceBackAtOnce) {
  Hanatd hanatd{lab, fast_service({.up = "passes = 2, stable_for = \"30s\""})};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for(health_is("backup", "up"));
  backup.kill();
  hanatd.wait_for(health_is("backup", "down"));
  primary.kill();
  hanatd.wait_target("web", "none");
  EXPECT_EQ(service(hanatd.status(), "web").why, "no-server-up");
  EXPECT_EQ(ask().result, Result::refused);
  const auto expect_back_at_once = [&](TcpServer& recovered, const std::string& role) {
    const auto began = TestClock::now();
    recovered.start();
    hanatd.wait_target("web", role);
    EXPECT_LT(TestClock::now() - began, milliseconds{400}) << role << ": two intervals of 50 ms";
    EXPECT_EQ(who_answers(), role);
  };
  expect_back_at_once(backup, "backup");
  backup.kill();
  hanatd.wait_target("web", "none");
  expect_back_at_once(primary, "primary");
}

TEST_F(Return, AManualFailbackWaitsForTheOperator) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = \"manual\""})};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup");
  primary.start();
  hanatd.wait_for(health_is("primary", "up"));
  TcpClient client{lab, Host::client, Lab::vip(443)};
  sleep_for(milliseconds{500});
  EXPECT_EQ(client.ask().text, "backup");
  EXPECT_EQ(service(hanatd.status(), "web").target, "backup");
  EXPECT_FALSE(service(hanatd.status(), "web").failback_in_s);

  ASSERT_EQ(hanatd.ctl({"force-primary", "web"}).exit, 0);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_EQ(client.ask().result, Result::reset);
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  EXPECT_EQ(who_answers(), "primary") << "a target that is up is kept";
  EXPECT_EQ(service(hanatd.status(), "web").flips, 2U);
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(who_answers(), "backup") << "failover is never manual";
}

TEST_F(Return, AManualFailbackNamesTheCommandThatEndsTheWait) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = \"manual\""})};
  wait_both_up(hanatd);
  primary.kill();
  hanatd.wait_target("web", "backup");
  primary.start();
  const Status waits = hanatd.wait_for(health_is("primary", "up"));
  EXPECT_EQ(service(waits, "web").failback.mode, "manual");
  EXPECT_EQ(service(waits, "web").failback.waits_for, "operator");
  const std::string text = hanatd.ctl({"status"}).out;
  EXPECT_NE(text.find("failback is manual. To move the traffic back:\n     -> hanatctl force-primary web\n     -> hanatctl auto web\n"),
            std::string::npos)
      << text;
}

TEST_F(Return, TheFirstMoveAfterAnOutageIsNoFailoverAndThatAfterAnOverrideIsAFailback) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  const auto why = [&] { return service(hanatd.status(), "web").last_flip.value().why; };
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(why(), "failback");
  backup.kill();
  hanatd.wait_for(health_is("backup", "down"));
  primary.kill();
  hanatd.wait_target("web", "none");
  backup.start();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(why(), "recovered");
  EXPECT_EQ(service(hanatd.status(), "web").why, "failover") << "the primary is down";
}

TEST_F(Return, OfTwoProbesTheOneThatFailsIsNamedWithWhatItWanted) {
  HttpServer http{lab, Host::primary, 8080, "primary"}, other{lab, Host::backup, 8080, "backup"};
  const std::string pace = "interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\"";
  std::string config = fast_service();
  const auto begin = config.find("probe ="), end = config.find('\n', begin);
  config.replace(begin, end - begin,
                 fmt::format("probe = [{{ type = \"tcp\", {0} }}, {{ type = \"http\", port = 8080, path = \"/health\", {0} }}]", pace));
  Hanatd hanatd{lab, config};
  wait_both_up(hanatd);
  http.status(503);
  const Status down = hanatd.wait_for(health_is("primary", "down"));
  const ServerStatus& sick = server(service(down, "web"), "primary");
  ASSERT_EQ(sick.probes.size(), 2U);
  EXPECT_EQ(sick.probes[0].health, "up");
  EXPECT_EQ(sick.probes[1].health, "down");
  const std::string name = fmt::format("http {} GET /health", to_text(Lab::endpoint(Host::primary, 8080)));
  EXPECT_EQ(sick.probes[1].name, name);
  EXPECT_EQ(sick.last.value().wanted, "status 200-299");
  EXPECT_NE(hanatd.log().find(fmt::format("3 failed probes ({}) within 2 s, the last: wrong-status (503", name)), std::string::npos)
      << hanatd.log();
  EXPECT_NE(hanatd.ctl({"status"}).out.find(name + ": down"), std::string::npos);
}

TEST_F(Return, AFailbackAfterATimeWaitsAndStatusCountsDown) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = { after = \"1s\" }"})};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_FALSE(service(hanatd.status(), "web").failback_in_s) << "nobody to go back to";
  primary.start();
  const Status waiting = hanatd.wait_for(health_is("primary", "up"));
  const auto up = TestClock::now();
  ASSERT_TRUE(service(waiting, "web").failback_in_s);
  EXPECT_GT(*service(waiting, "web").failback_in_s, 0.5);
  EXPECT_LE(*service(waiting, "web").failback_in_s, 1.0);
  EXPECT_EQ(who_answers(), "backup");
  sleep_for(milliseconds{300});
  const auto left = service(hanatd.status(), "web").failback_in_s;
  ASSERT_TRUE(left);
  EXPECT_LE(*left, 0.7);
  EXPECT_EQ(who_answers(), "backup");
  hanatd.wait_target("web", "primary");
  const auto took = TestClock::now() - up;
  EXPECT_GE(took, milliseconds{850}); // `up` was seen a little late
  EXPECT_LT(took, milliseconds{1300});
  EXPECT_FALSE(service(hanatd.status(), "web").failback_in_s);
  EXPECT_EQ(who_answers(), "primary");
}

TEST_F(Return, AFailbackThatWaitsIsVoidWhenThePrimaryFailsAgain) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = { after = \"1s\" }"})};
  hanatd.wait_target("web", "primary");
  primary.kill();
  hanatd.wait_target("web", "backup");
  primary.start();
  hanatd.wait_for(health_is("primary", "up"));
  primary.kill();
  const Status status = hanatd.wait_for(health_is("primary", "down"));
  EXPECT_FALSE(service(status, "web").failback_in_s);
  sleep_for(milliseconds{1200});
  EXPECT_EQ(who_answers(), "backup");
  EXPECT_EQ(service(hanatd.status(), "web").flips, 1U);
}

TEST_F(Return, WithOnNoneDropClientsHearNothing) {
  Hanatd hanatd{lab, fast_service({.listen = "203.0.113.10:443/tcp\", \"203.0.113.10:53/udp", .extra = "on_none = \"drop\""})};
  UdpServer udp{lab, Host::primary, 8443, "primary"};
  hanatd.wait_target("web", "primary");
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  backup.kill();
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "none");
  EXPECT_EQ(service(hanatd.status(), "web").why, "no-server-up");
  EXPECT_EQ(ask(milliseconds{500}).result, Result::timeout);
  EXPECT_EQ(client.ask(milliseconds{300}).result, Result::timeout) << "old flows hear nothing either";
  EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(53)).ask(milliseconds{300}).result, Result::timeout);
  lab.silent(Host::primary, false);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(53)).ask().text, "primary");
}

class Kept : public Return {
protected:
  /// Both servers down: the backup first, so that the primary is the last target.
  void lose_all(Hanatd& hanatd) {
    hanatd.wait_target("web", "primary");
    hanatd.wait_for(health_is("backup", "up"));
    backup.kill();
    hanatd.wait_for(health_is("backup", "down"));
  }
  std::string config = fast_service({.listen = "203.0.113.10:443/tcp\", \"203.0.113.10:53/udp", .extra = "on_none = \"keep\""});
  UdpServer primary_udp{lab, Host::primary, 8443, "primary"};
  UdpServer backup_udp{lab, Host::backup, 8443, "backup"};
};

TEST_F(Kept, TheLastTargetKeepsItsFlowsAndNothingHappensWhenItReturns) {
  Hanatd hanatd{lab, config};
  lose_all(hanatd);
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  UdpClient sender{lab, Host::client, Lab::vip(53), 40000};
  ASSERT_EQ(sender.ask().text, "primary");
  lab.silent(Host::primary, true);
  const Status kept = hanatd.wait_for(why_is("no-server-up-kept"));
  EXPECT_EQ(service(kept, "web").target, "primary");
  EXPECT_EQ(service(kept, "web").target_address, "198.18.11.2:8443");
  EXPECT_EQ(server(service(kept, "web"), "primary").health, "down");
  EXPECT_EQ(ask(milliseconds{300}).result, Result::timeout) << "the server's own silence, not a refusal of ours";
  sleep_for(milliseconds{1500}); // longer than a cut would wait
  EXPECT_EQ(client.wait_for_end(milliseconds{50}).result, Result::timeout) << "not reset";

  lab.silent(Host::primary, false);
  hanatd.wait_for(why_is("primary-up"));
  EXPECT_EQ(client.ask().text, "primary") << "the same connection";
  EXPECT_EQ(sender.ask().text, "primary");
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
  EXPECT_FALSE(service(hanatd.status(), "web").last_flip);
}

TEST_F(Kept, ClientsHearTheLastTargetItself) {
  Hanatd hanatd{lab, config};
  lose_all(hanatd);
  primary.kill();
  hanatd.wait_for(why_is("no-server-up-kept"));
  EXPECT_EQ(ask().result, Result::refused) << "by the server's machine";
  UdpClient sender{lab, Host::client, Lab::vip(53)};
  EXPECT_EQ(sender.ask().text, "primary") << "what it still does, it still does";
}

TEST_F(Kept, AnotherServerThatIsFitFirstTakesOver) {
  Hanatd hanatd{lab, config};
  lose_all(hanatd);
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  lab.silent(Host::primary, true);
  hanatd.wait_for(why_is("no-server-up-kept"));
  backup.start();
  const Status status = hanatd.wait_target("web", "backup");
  EXPECT_EQ(service(status, "web").last_flip->from, "primary");
  EXPECT_EQ(service(status, "web").last_flip->why, "failover");
  EXPECT_EQ(who_answers(), "backup");
  EXPECT_EQ(client.ask().result, Result::reset);
  EXPECT_EQ(UdpClient(lab, Host::client, Lab::vip(53)).ask().text, "backup");
}

} // namespace
} // namespace hanat::test
