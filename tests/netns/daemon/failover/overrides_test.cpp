// An operator's override: how it ends, how long it lasts over a restart, what a reload does to it. Not here: what it does to health and to
// failover while it lasts (lifecycle), whom it concerns in a group (group).
#include <chrono>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

class Overriding : public testing::Test {
protected:
  void begin(const std::string& text) {
    hanatd.emplace(lab, text);
    hanatd->wait_for(
        [](const Status& now) { return service(now, "web").target == "primary" && server(service(now, "web"), "backup").health == "up"; });
  }
  std::string who_answers() { return connect_once(lab, Host::client, Lab::vip(443)).text; }

  Lab lab{{.backup2 = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  TcpServer backup2{lab, Host::backup2, 8443, "backup2"};
  std::optional<Hanatd> hanatd;
};

TEST_F(Overriding, AutoBringsTheTrafficBackWhereFailbackIsManual) {
  begin(fast_service({.extra = "failback = \"manual\""}));
  ASSERT_EQ(hanatd->ctl({"force-backup", "web"}).exit, 0);
  EXPECT_EQ(who_answers(), "backup");
  ASSERT_EQ(hanatd->ctl({"auto", "web"}).exit, 0);
  hanatd->wait_target("web", "primary");
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_FALSE(service(hanatd->status(), "web").forced);
}

TEST_F(Overriding, LastsItsWholeTimeOverARestart) {
  begin(fast_service());
  const auto began = TestClock::now();
  ASSERT_EQ(hanatd->ctl({"force-backup", "web", "--for", "3s"}).exit, 0);
  hanatd->kill9();
  hanatd->start();
  hanatd->wait_target("web", "primary", milliseconds{10'000});
  const auto took = TestClock::now() - began;
  EXPECT_GE(took, milliseconds{2990}) << "the file has whole milliseconds of another clock";
  EXPECT_FALSE(service(hanatd->status(), "web").forced);
}

TEST_F(Overriding, AReloadThatAddsAServerLeavesThePinWhereItIs) {
  const auto with_backups = [](const std::string& list) {
    std::string text = fast_service();
    const std::string one = fmt::format("backup = \"{}\"", to_text(Lab::endpoint(Host::backup, 8443)));
    return text.replace(text.find(one), one.size(), fmt::format("backup = [{}]", list));
  };
  const std::string two =
      fmt::format("\"{}\", \"{}\"", to_text(Lab::endpoint(Host::backup, 8443)), to_text(Lab::endpoint(Host::backup2, 8443)));
  begin(with_backups(two));
  ASSERT_EQ(hanatd->ctl({"force-backup", "--server", "backup2", "web"}).exit, 0);
  EXPECT_EQ(who_answers(), "backup2");
  ASSERT_EQ(hanatd->reload(with_backups(two + fmt::format(", \"{}\"", to_text(Lab::endpoint(Host::backup2, 9443))))).exit, 0);
  const Status status = hanatd->status();
  ASSERT_TRUE(service(status, "web").forced);
  EXPECT_EQ(service(status, "web").forced->target, "backup2");
  EXPECT_EQ(service(status, "web").target_address, to_text(Lab::endpoint(Host::backup2, 8443)));
  EXPECT_EQ(service(status, "web").flips, 1U);
  EXPECT_EQ(who_answers(), "backup2");
}

} // namespace
} // namespace hanat::test
