// Old flows that may stay a while ("drain") or as long as they like ("keep"), from the sockets of their clients: until when they carry
// data, what ends them early, and what a second move, a reload or a restart does to them. Not here: flows that are reset at once
// (sessions).
#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
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

/// The probes ask a port of their own: a server can be judged down while its flows live.
class Draining : public testing::Test {
protected:
  static constexpr std::uint16_t probe_port = 9999;
  static std::string policies(const std::string& failover, const std::string& planned, const std::string& more = {}) {
    return fmt::format("on_failover = \"{}\"\non_failback = \"{}\"\non_forced = \"{}\"\n{}", failover, planned, planned, more);
  }
  static std::string config(const std::string& extra, const std::string& name = "web") {
    return fast_service({.name = name,
                         .listen = "203.0.113.10:443/tcp\", \"203.0.113.10:443/udp",
                         .probe = fmt::format("type = \"tcp\", port = {}", probe_port),
                         .extra = extra});
  }
  void begin(const std::string& extra, const std::string& before = {}) { begin_with(before + config(extra)); }
  void begin_with(const std::string& text) {
    hanatd.emplace(lab, text);
    hanatd->wait_target("web", "primary");
    hanatd->wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
    old_client.emplace(lab, Host::client, Lab::vip(443));
    ASSERT_EQ(old_client->ask().text, "primary");
  }
  void force(const std::string& role) {
    ASSERT_EQ(hanatd->ctl({role == "primary" ? "force-primary" : "force-backup", "web"}).exit, 0);
    moved = moment_of(web().last_flip->at);
  }
  std::string who_answers() { return connect_once(lab, Host::client, Lab::vip(443)).text; }
  ServiceStatus web() const { return service(hanatd->status(), "web"); }
  /// So long after the move the old connection ends, and not before.
  void expect_end_after(milliseconds time) {
    while (TestClock::now() < moved + time - milliseconds{100}) {
      ASSERT_EQ(old_client->ask().text, "primary") << "an old flow carries data until the end";
      sleep_for(milliseconds{20});
    }
    EXPECT_EQ(old_client->wait_for_end(milliseconds{2000}).result, Result::reset);
    EXPECT_GE(TestClock::now() - moved, time - milliseconds{50});
    EXPECT_LT(TestClock::now() - moved, time + milliseconds{1000});
  }
  Status wait_clean() {
    return hanatd->wait_for([](const Status& now) {
      const auto& web = service(now, "web");
      return web.draining.empty() && web.last_flip && web.last_flip->cut_ms;
    });
  }

  Lab lab{{.backup2 = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  TcpServer primary_probe{lab, Host::primary, probe_port, "primary"};
  TcpServer backup_probe{lab, Host::backup, probe_port, "backup"};
  UdpServer primary_udp{lab, Host::primary, 8443, "primary"};
  UdpServer backup_udp{lab, Host::backup, 8443, "backup"};
  std::optional<Hanatd> hanatd;
  std::optional<TcpClient> old_client;
  TestClock::time_point moved;
};

TEST_F(Draining, OldFlowsCarryDataUntilTheEndAndNewOnesGoToTheNewTarget) {
  begin(policies("reset", "drain 2s"));
  UdpClient sender{lab, Host::client, Lab::vip(443), 40000};
  ASSERT_EQ(sender.ask().text, "primary");
  force("backup");
  EXPECT_EQ(who_answers(), "backup");
  EXPECT_EQ(sender.ask().text, "primary") << "pinned by its socket";
  const Status draining = hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->left == 2U; });
  ASSERT_EQ(service(draining, "web").draining.size(), 1U);
  EXPECT_EQ(service(draining, "web").draining[0].server, "primary");
  EXPECT_EQ(service(draining, "web").draining[0].address, "198.18.11.2:8443");
  EXPECT_LE(service(draining, "web").draining[0].ends_in_s.value_or(9), 2.0);
  EXPECT_TRUE(service(draining, "web").last_flip->cut_ms) << "nothing is being cut";
  EXPECT_NE(hanatd->ctl({"status"}).out.find("draining: 2 old flows on primary (198.18.11.2:8443); the rest is cut in"), std::string::npos)
      << hanatd->ctl({"status"}).out;
  expect_end_after(milliseconds{2000});
  const Status over = hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->cut.udp == 1U; });
  EXPECT_EQ(sender.ask().text, "backup");
  const auto flip = *service(over, "web").last_flip;
  EXPECT_EQ(flip.left, 0U);
  EXPECT_EQ(flip.cut.udp, 1U);
  EXPECT_FALSE(flip.drain_ends_in_s);
  EXPECT_FALSE(flip.cut_ms) << "TCP is still being cut";
}

TEST_F(Draining, EndsEarlyWhenTheLastOldFlowEnds) {
  begin(policies("reset", "drain 30s"));
  force("backup");
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->left == 1U; });
  old_client.reset();
  const auto flip = *service(wait_clean(), "web").last_flip;
  EXPECT_EQ(flip.drained, 1U);
  EXPECT_EQ(flip.left, 0U);
  EXPECT_EQ(flip.cut.tcp, 0U);
  EXPECT_NE(hanatd->log().find("web: primary has drained: no old TCP flow is left"), std::string::npos) << hanatd->log();
}

TEST_F(Draining, WithoutAFlowLastsTheSecondInWhichOneMayStillArrive) {
  begin(policies("reset", "drain 30s"));
  old_client.reset();
  const auto began = TestClock::now();
  force("backup");
  wait_clean();
  EXPECT_GE(TestClock::now() - began, milliseconds{1000}) << "a first packet was on its way during the flip";
  EXPECT_NE(hanatd->log().find("web: primary has drained: no old TCP flow is left"), std::string::npos) << hanatd->log();
}

TEST_F(Draining, AtAFailoverStreamsDrainAndDatagramsMoveAtOnce) {
  begin(policies("drain 2s", "reset"));
  UdpClient sender{lab, Host::client, Lab::vip(443), 40000};
  ASSERT_EQ(sender.ask().text, "primary");
  primary_probe.kill();
  hanatd->wait_target("web", "backup");
  moved = moment_of(web().last_flip->at);
  EXPECT_EQ(old_client->ask().text, "primary");
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->cut.udp == 1; });
  EXPECT_EQ(sender.ask().text, "backup");
  EXPECT_EQ(who_answers(), "backup");
  expect_end_after(milliseconds{2000});
}

TEST_F(Draining, AServerThatAnswersNothingIsNotWaitedFor) {
  begin(policies("drain 30s", "reset"));
  lab.silent(Host::primary, true);
  hanatd->wait_target("web", "backup");
  EXPECT_EQ(old_client->wait_for_end(milliseconds{2000}).result, Result::reset);
  EXPECT_TRUE(web().draining.empty());
}

TEST_F(Draining, EndsWhenTheOldServerFallsSilentMeanwhile) {
  begin(policies("reset", "drain 30s"));
  UdpClient sender{lab, Host::client, Lab::vip(443), 40000};
  ASSERT_EQ(sender.ask().text, "primary");
  force("backup");
  EXPECT_EQ(old_client->ask().text, "primary");
  lab.silent(Host::primary, true);
  EXPECT_EQ(old_client->wait_for_end(milliseconds{3000}).result, Result::reset);
  EXPECT_EQ(sender.ask().text, "backup");
  EXPECT_NE(hanatd->log().find("the server does not answer in time"), std::string::npos) << hanatd->log();
}

TEST_F(Draining, IsVoidWhenTheServerIsTargetAgain) {
  begin(policies("reset", "drain 2s"));
  force("backup");
  TcpClient on_backup{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(on_backup.ask().text, "backup");
  force("primary");
  ASSERT_EQ(web().draining.size(), 1U);
  EXPECT_EQ(web().draining[0].server, "backup") << "it drains in its turn";
  EXPECT_EQ(on_backup.ask().text, "backup");
  EXPECT_EQ(on_backup.wait_for_end(milliseconds{4000}).result, Result::reset);
  EXPECT_EQ(old_client->ask().text, "primary") << "the same connection, after the end";
}

TEST_F(Draining, ASecondMoveLetsBothServersDrainEachUntilItsOwnEnd) {
  TcpServer backup2{lab, Host::backup2, 8443, "backup2"};
  TcpServer backup2_probe{lab, Host::backup2, probe_port, "backup2"};
  std::string text = config(policies("reset", "drain 4s"));
  const std::string one = fmt::format("backup = \"{}\"", to_text(Lab::endpoint(Host::backup, 8443)));
  text.replace(
      text.find(one), one.size(),
      fmt::format("backup = [\"{}\", \"{}\"]", to_text(Lab::endpoint(Host::backup, 8443)), to_text(Lab::endpoint(Host::backup2, 8443))));
  begin_with(text);
  force("backup");
  TcpClient second{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(second.ask().text, "backup");
  sleep_for(milliseconds{1000});
  const auto moved_again = TestClock::now();
  ASSERT_EQ(hanatd->ctl({"force-backup", "--server", "backup2", "web"}).exit, 0);
  EXPECT_EQ(who_answers(), "backup2");
  EXPECT_EQ(web().draining.size(), 2U);
  EXPECT_EQ(second.ask().text, "backup");
  expect_end_after(milliseconds{4000});
  EXPECT_EQ(second.ask().text, "backup") << "its own end comes later";
  EXPECT_EQ(second.wait_for_end(milliseconds{4000}).result, Result::reset);
  EXPECT_GE(TestClock::now() - moved_again, milliseconds{3950});
}

TEST_F(Draining, WithNoServerLeftNothingDrains) {
  begin(policies("drain 30s", "drain 30s"));
  primary_probe.kill();
  hanatd->wait_target("web", "backup");
  ASSERT_EQ(old_client->ask().text, "primary");
  backup_probe.kill();
  hanatd->wait_target("web", "none");
  EXPECT_EQ(old_client->wait_for_end(milliseconds{2000}).result, Result::reset);
  EXPECT_TRUE(web().draining.empty());
}

TEST_F(Draining, OfARemovedServiceNothingDrains) {
  begin(policies("reset", "drain 30s"));
  force("backup");
  ASSERT_EQ(old_client->ask().text, "primary");
  ASSERT_EQ(hanatd->reload("").exit, 0);
  EXPECT_EQ(old_client->wait_for_end(milliseconds{2000}).result, Result::reset);
}

TEST_F(Draining, GoesOnUntilItsEndThroughAReloadThatChangesThePolicyAndGivesTheListenerAway) {
  begin(policies("reset", "drain 4s"));
  force("backup");
  ASSERT_EQ(hanatd->reload(config(policies("reset", "reset"))).exit, 0);
  ASSERT_EQ(old_client->ask().text, "primary");
  ASSERT_EQ(hanatd->reload(config(policies("reset", "reset", "failback = \"manual\""), "site")).exit, 0);
  ASSERT_EQ(service(hanatd->status(), "site").draining.size(), 1U);
  EXPECT_EQ(who_answers(), "backup");
  expect_end_after(milliseconds{4000});
}

TEST_F(Draining, GoesOnOverARestartAndAKill) {
  begin(policies("reset", "drain 5s"));
  force("backup");
  hanatd->restart();
  EXPECT_EQ(old_client->ask().text, "primary");
  EXPECT_EQ(web().draining.size(), 1U);
  EXPECT_EQ(who_answers(), "backup");
  hanatd->kill9();
  hanatd->start();
  EXPECT_EQ(web().draining.size(), 1U);
  expect_end_after(milliseconds{5000});
  EXPECT_TRUE(web().draining.empty());
}

TEST_F(Draining, WhatWasStaleAlreadyIsNoDrainAfterARestart) {
  begin_with(fast_service({.probe = fmt::format("type = \"tcp\", port = {}", probe_port), .extra = policies("reset", "drain 60s")}));
  force("backup");
  const auto is_in_the_file = [&] {
    std::ifstream file{hanatd->state() / "drains.json"};
    return std::string{std::istreambuf_iterator<char>{file}, {}}.find(Lab::address(Host::primary).text()) != std::string::npos;
  };
  for (int wait = 0; wait < 500 && !is_in_the_file(); ++wait) sleep_for(milliseconds{10});
  ASSERT_TRUE(is_in_the_file()) << "the drain";
  hanatd->kill9();
  // As if hanatd had been killed after the end of the drain and before the file was written.
  lab.must(Host::gateway,
           fmt::format("nft add element inet hanat stale4 '{{ 203.0.113.10 . tcp . 443 . {} . 8443 comment \"web primary\" }}'",
                       Lab::address(Host::primary).text()));
  lab.must(Host::gateway, "nft add element inet hanat guarded4 '{ 203.0.113.10 }' && nft add element inet hanat guarding '{ ipv4 }'");
  const std::string before = hanatd->log();
  hanatd->start();
  EXPECT_TRUE(web().draining.empty());
  EXPECT_EQ(old_client->wait_for_end(milliseconds{3000}).result, Result::reset);
  const std::string log = hanatd->log().substr(before.size());
  EXPECT_EQ(log.find("drain"), std::string::npos) << log;
  EXPECT_EQ(log.find("replaced"), std::string::npos) << "the table is as a hanatd would have left it: " << log;
}

TEST_F(Draining, KeptStreamsStayOverARestartAndAComparisonAndDatagramsOfADeadServerDoNot) {
  begin(policies("keep", "reset"), "[hanatd]\nreconcile = \"1s\"\n");
  UdpClient sender{lab, Host::client, Lab::vip(443), 40000};
  ASSERT_EQ(sender.ask().text, "primary");
  primary_probe.kill();
  hanatd->wait_target("web", "backup");
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->cut.udp == 1; });
  EXPECT_EQ(sender.ask().text, "backup");
  hanatd->kill9();
  hanatd->start();
  const Status kept = hanatd->wait_for([](const Status& now) {
    const auto& draining = service(now, "web").draining;
    return draining.size() == 1 && draining[0].left == 1U;
  });
  EXPECT_FALSE(service(kept, "web").draining[0].ends_in_s);
  EXPECT_EQ(old_client->wait_for_end(milliseconds{1300}).result, Result::timeout);
  EXPECT_EQ(old_client->ask().text, "primary");
}

} // namespace
} // namespace hanat::test
