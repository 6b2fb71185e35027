// Reports of servers' health by a program: they move clients at once, count instead of probes, and end by themselves.
// Not here: the description of the method (methods_test).
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

class Report : public testing::Test {
protected:
  Output report(const std::string& server, const std::string& health, const std::string& lasts = "60s") {
    return hanatd.ctl({"report", server, "--health", health, "--for", lasts, "--reason", "demoted"});
  }
  std::string who_answers() { return connect_once(lab, Host::client, Lab::vip(443)).text; }

  Lab lab;
  std::optional<TcpServer> primary{std::in_place, lab, Host::primary, std::uint16_t{8443}, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service()};
};

TEST_F(Report, OfAServerThatIsDownMovesClientsWithinATenthOfASecond) {
  wait_both_up(hanatd);
  TcpClient old{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(old.ask().text, "primary");
  const auto begun = TestClock::now();
  const Output reply = report("primary", "down");
  EXPECT_EQ(reply.exit, 0) << reply.err;
  EXPECT_EQ(who_answers(), "backup");
  EXPECT_LT(TestClock::now() - begun, milliseconds{100});
  EXPECT_EQ(old.wait_for_end(milliseconds{2000}).result, Result::reset) << "as at a failover";
  EXPECT_THAT(reply.out, HasSubstr("web: primary (" + to_text(Lab::endpoint(Host::primary, 8443)) + ") is down: that counts until "));
  const Status status = hanatd.status();
  EXPECT_EQ(server(service(status, "web"), "primary").health, "down");
  ASSERT_TRUE(server(service(status, "web"), "primary").report);
  EXPECT_EQ(server(service(status, "web"), "primary").report->reason, "demoted");
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("primary is reported down by root until "));
  EXPECT_THAT(hanatd.log(), HasSubstr("primary (" + to_text(Lab::endpoint(Host::primary, 8443)) + ") is down: reported by root"));

  EXPECT_EQ(hanatd.ctl({"report", "primary", "--health", "none"}).exit, 0);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_FALSE(server(service(hanatd.status(), "web"), "primary").report);
}

TEST_F(Report, EndsByItselfAndRenewedItGoesOn) {
  wait_both_up(hanatd);
  ASSERT_EQ(report("primary", "down", "1s").exit, 0);
  std::this_thread::sleep_for(milliseconds{700});
  ASSERT_EQ(report("primary", "down", "1s").exit, 0);
  std::this_thread::sleep_for(milliseconds{600});
  EXPECT_EQ(who_answers(), "backup") << "1.3 s after the first one";
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_THAT(report("backup", "drain", "1s").out, AllOf(HasSubstr("web: backup"), Not(HasSubstr("traffic")), Not(HasSubstr("reset"))))
      << "it moves nothing, and the moves before are not its doing";
  EXPECT_THAT(hanatd.log(), HasSubstr("is judged by its probes again: the report was not renewed in time"));
}

TEST_F(Report, CountsInsteadOfProbesBothWaysAndSurvivesAReload) {
  wait_both_up(hanatd);
  ASSERT_EQ(report("primary", "up").exit, 0);
  primary.reset();
  std::this_thread::sleep_for(milliseconds{500});
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary") << "whoever reports knows better";
  primary.emplace(lab, Host::primary, std::uint16_t{8443}, "primary");
  ASSERT_EQ(report("primary", "drain").exit, 0);
  EXPECT_EQ(who_answers(), "backup");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "full"; });
  EXPECT_EQ(server(service(hanatd.status(), "web"), "primary").health, "full");
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("\n ! web -> backup")) << "planned work is no problem";
  EXPECT_THAT(hanatd.ctl({"status", "--check"}).out, testing::StartsWith("OK: "));
  ASSERT_EQ(hanatd.reload(fast_service({.down = "fails = 4, within = \"1s\""})).exit, 0);
  ASSERT_TRUE(server(service(hanatd.status(), "web"), "primary").report);
  hanatd.restart();
  EXPECT_FALSE(server(service(hanatd.status(), "web"), "primary").report) << "it is good for seconds, and not kept";
}

TEST_F(Report, OfADrainThatEndsGivesTheTrafficBackAsAfterMaintenance) {
  ASSERT_EQ(hanatd.reload(fast_service({.extra = "on_forced = \"drain 60s\""})).exit, 0);
  wait_both_up(hanatd);
  ASSERT_EQ(report("primary", "drain").exit, 0);
  TcpClient held{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(held.ask().text, "backup");
  ASSERT_EQ(hanatd.ctl({"report", "primary", "--health", "none"}).exit, 0);
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_EQ(held.ask().text, "backup") << "it drains";
}

TEST_F(Report, OfADrainDoesNotHideThatTheServerIsDown) {
  wait_both_up(hanatd);
  ASSERT_EQ(report("primary", "drain").exit, 0);
  primary.reset();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "down"; });
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 1) << "nothing is left to fail over to";
  EXPECT_THAT(hanatd.log(), testing::Not(HasSubstr("is down: reported by"))) << "nobody has";
  backup.kill();
  hanatd.wait_target("web", "none");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).result, Result::refused);
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 2);
}

TEST_F(Report, WithoutATimeOrAHealthIsAnErrorThatShowsHow) {
  const Output none = hanatd.ctl({"report", "primary", "--for", "5s"});
  EXPECT_EQ(none.exit, 2);
  EXPECT_THAT(none.err, HasSubstr("hanatctl report primary --health down --for 30s"));
  EXPECT_EQ(hanatd.ctl({"report", "primary", "--health", "down"}).exit, 2);
  EXPECT_THAT(hanatd.ctl({"report", "primary", "--health", "bad", "--for", "5s"}).err, HasSubstr("write up, down, drain or none"));
  EXPECT_THAT(hanatd.ctl({"report", "primary", "--health", "down", "--for", "48h"}).err, HasSubstr("1 s to 24 h"));
  EXPECT_THAT(hanatd.ctl({"report", "other", "--health", "down", "--for", "5s"}).err, HasSubstr("has no server \"other\""));
}

} // namespace
} // namespace hanat::test
