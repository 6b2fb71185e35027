// What a reload changes while hanatd runs: rules of judgement for questions that stay, and what the daemon does for itself. Not here: which
// services are touched (lifecycle), listeners that change hands (lifecycle, ranges), the audit's period (reconcile).
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

class Reloading : public testing::Test {
protected:
  static constexpr const char* removing = "[hanatd]\non_stop = \"remove\"\n";
  bool table_is_there() { return lab.run(Host::gateway, "nft list table inet hanat").exit == 0; }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Reloading, NewRulesOfJudgementHoldForTheQuestionsThatStay) {
  const std::string late = "fails = 1000, within = \"300s\""; // a question each 10 ms
  const std::string never_back = "passes = 2, stable_for = \"300s\"";
  Hanatd hanatd{lab, fast_service({.down = late, .up = never_back})};
  hanatd.wait_for(
      [](const Status& now) { return service(now, "web").target == "primary" && server(service(now, "web"), "backup").health == "up"; });
  primary.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").fails.count > 3; });
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary") << "a thousand are asked for, which takes ten seconds";
  ASSERT_EQ(hanatd.reload(fast_service({.up = never_back})).exit, 0);
  hanatd.wait_target("web", "backup");

  primary.start();
  hanatd.wait_for([](const Status& now) {
    const auto& last = server(service(now, "web"), "primary").last;
    return last && last->outcome == "pass";
  });
  EXPECT_EQ(service(hanatd.status(), "web").target, "backup") << "it is watched for five minutes";
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
}

TEST_F(Reloading, WhatAStopDoesToTheTableIsAsTheFileSaysNow) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.reload(removing + fast_service()).exit, 0);
  ASSERT_EQ(hanatd.stop(), 0);
  EXPECT_FALSE(table_is_there());
  hanatd.start();
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0);
  ASSERT_EQ(hanatd.stop(), 0);
  EXPECT_TRUE(table_is_there());
}

} // namespace
} // namespace hanat::test
