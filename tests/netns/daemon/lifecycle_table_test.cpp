// The daemon and its table: kept or removed by a stop, never shared with a second daemon, restored when somebody else changes it, replaced
// when it is of another layout. Not here: NftTable itself (nat/nftables).
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/netns/daemon/lifecycle.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;
using testing::Not;

TEST_F(Lifecycle, StoppingLeavesTheRulesUnlessToldToRemoveThem) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(hanatd.stop(), 0);
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  hanatd.write_config("[hanatd]\non_stop = \"remove\"\n" + fast_service());
  hanatd.start();
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(hanatd.stop(), 0);
  EXPECT_NE(lab.run(Host::gateway, "nft list table inet hanat").exit, 0);
}

TEST_F(Lifecycle, WhatAStoppedOneLeftIsRemovedOnRequestButNeverARunningOnesOrAForeignTable) {
  const std::string remove = hanatd_program() + " --remove 2>&1";
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  const Output refused = lab.run(Host::gateway, remove);
  EXPECT_EQ(refused.exit, 1) << refused.out;
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  EXPECT_EQ(hanatd.stop(), 0);
  EXPECT_EQ(lab.run(Host::gateway, remove).exit, 0);
  EXPECT_NE(lab.run(Host::gateway, "nft list table inet hanat").exit, 0);
  EXPECT_EQ(lab.run(Host::gateway, remove).exit, 0) << "nothing is there";
  lab.must(Host::gateway, "nft add table inet hanat");
  EXPECT_EQ(lab.run(Host::gateway, remove).exit, 1);
  EXPECT_EQ(lab.run(Host::gateway, "nft list table inet hanat").exit, 0);
}

TEST_F(Lifecycle, ASecondDaemonIsRefusedWithTheReason) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  Hanatd second{lab, fast_service(), {.start = false, .state = hanatd.state()}};
  second.launch();
  EXPECT_EQ(second.wait_exit(milliseconds{5000}), 1);
  EXPECT_THAT(second.log(), HasSubstr(std::to_string(hanatd.pid())));
  Hanatd third{lab, fast_service(), {.start = false}}; // another state directory, the same table
  third.launch();
  EXPECT_EQ(third.wait_exit(milliseconds{5000}), 1);
  EXPECT_THAT(third.log(), HasSubstr("another running hanatd"));
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
}

TEST_F(Lifecycle, AForeignTableOfItsNameIsNeverTouched) {
  lab.must(Host::gateway, "nft add table inet hanat && nft add chain inet hanat mine");
  Hanatd hanatd{lab, fast_service(), {.start = false}};
  hanatd.launch();
  EXPECT_EQ(hanatd.wait_exit(milliseconds{5000}), 1);
  EXPECT_THAT(hanatd.log(), HasSubstr("was not made by hanat"));
  EXPECT_THAT(table(), HasSubstr("chain mine"));
}

TEST_F(Lifecycle, WhatSomebodyElseDoesToTheTableIsPutRight) {
  Hanatd hanatd{lab, fast_service(), {.arguments = {"--shared-table"}}}; // as on kernels that know no owner
  hanatd.wait_target("web", "primary");
  for (const char* damage :
       {"nft flush ruleset", "nft delete element inet hanat dnat4 { 203.0.113.10 . tcp . 443 }", "nft insert rule inet hanat guard drop",
        "nft add table inet hanat '{ flags dormant; }'", "nft delete table inet hanat", "nft flush chain inet hanat dnat_prerouting",
        "nft add element inet hanat stale4 { 203.0.113.10 . tcp . 443 . 198.18.11.2 . 8443 }", "nft add chain inet hanat mine"}) {
    lab.must(Host::gateway, damage);
    Attempt attempt;
    for (int wait = 0; wait < 20 && attempt.text != "primary"; ++wait) attempt = connect_once(lab, Host::client, vip(), milliseconds{100});
    EXPECT_EQ(attempt.text, "primary") << damage;
    sleep_for(milliseconds{250});
    EXPECT_THAT(table(), Not(testing::AnyOf(HasSubstr("mine"), HasSubstr("dormant"), HasSubstr("198.18.11.2 . 8443,")))) << damage;
  }
  EXPECT_THAT(hanatd.log(), HasSubstr("restored"));
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
}

TEST_F(Lifecycle, ATableOfAnotherLayoutIsReplacedAndItsTargetsKept) {
  Hanatd hanatd{lab, fast_service(), {.arguments = {"--shared-table"}}};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  TcpClient client{lab, Host::client, vip()};
  ASSERT_EQ(client.ask().text, "backup");
  hanatd.kill9();
  lab.must(
      Host::gateway,
      "nft add chain inet hanat of_another_version && nft delete set inet hanat recent6 2>/dev/null || nft flush chain inet hanat guard6");
  hanatd.start();
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "backup");
  EXPECT_EQ(client.ask().text, "backup");
  EXPECT_EQ(service(hanatd.status(), "web").flips, 0U);
  EXPECT_THAT(table(), Not(HasSubstr("of_another_version")));
}

TEST_F(Lifecycle, AForeignFlushDoesNotTouchTheOwnedTable) {
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  ASSERT_THAT(table(), HasSubstr("flags owner"));
  lab.run(Host::gateway, "nft flush ruleset");
  EXPECT_EQ(connect_once(lab, Host::client, vip()).text, "primary");
  EXPECT_NE(lab.run(Host::gateway, "nft delete element inet hanat dnat4 { 203.0.113.10 . tcp . 443 }").exit, 0);
}

} // namespace
} // namespace hanat::test
