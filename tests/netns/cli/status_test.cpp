// What an operator and monitoring see of a real daemon: the screen, one line, the exit status. Not here: every text (unit).
#include <algorithm>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class StatusScreen : public testing::Test {
protected:
  /// hanatctl in a shell: "COLUMNS=80 CTL status".
  std::string shell(const Hanatd& hanatd, std::string command) {
    const std::string ctl = fmt::format("{} --socket {}", hanatctl_program(), hanatd.socket());
    for (auto at = command.find("CTL"); at != std::string::npos; at = command.find("CTL", at + ctl.size())) command.replace(at, 3, ctl);
    return lab.must(Host::gateway, command);
  }
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(StatusScreen, ThreeSickServicesOfThreeHundredStandFirstAndAllFitsOnAScreen) {
  std::string config;
  for (int number = 0; number < 300; ++number) {
    const bool sick = number == 17 || number == 200 || number == 299;
    FastService service{.name = fmt::format("service-{}", number), .listen = fmt::format("203.0.113.10:{}/tcp", 1000 + number)};
    if (sick) service.port = static_cast<std::uint16_t>(9000 + number); // nobody listens there
    config += fast_service(service);
  }
  config += "[defaults]\nmode = \"auto\"\n";
  Hanatd hanatd{lab, config};
  hanatd.wait_for(
      [](const Status& now) {
        return std::ranges::all_of(now.services, [](const ServiceStatus& one) {
          return one.why == "no-server-up" || (one.target == "primary" && server(one, "backup").health == "up");
        });
      },
      std::chrono::seconds{30});
  const std::string text = shell(hanatd, "COLUMNS=80 CTL");
  std::istringstream lines(text);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_LE(count, 24) << text;
  EXPECT_THAT(text, HasSubstr("297 of 300 services at their primary\n"));
  for (const char* name : {"service-17", "service-200", "service-299"}) EXPECT_LT(text.find(name), text.find("297 fine: "));
  const std::string two = shell(hanatd, "CTL status 'service-29[89]'");
  EXPECT_THAT(two, AllOf(HasSubstr("service-298 -> primary"), HasSubstr("service-299 -> none"), HasSubstr("listens on")));
  EXPECT_THAT(shell(hanatd, "CTL status --all"), AllOf(HasSubstr("service-0 -> primary"), HasSubstr("service-150 -> primary")));
  EXPECT_EQ(hanatd.ctl({"status", "nothing*"}).exit, 1);
}

TEST_F(StatusScreen, MonitoringGetsOneLineAndAnExitStatus) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  const auto check = [&] { return hanatd.ctl({"status", "--check"}); };
  EXPECT_EQ(check().exit, 0);
  EXPECT_THAT(check().out, StartsWith("OK: 1 of 1 service at its primary | services=1 primary=1 "));
  backup.kill();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  EXPECT_EQ(check().exit, 1);
  EXPECT_THAT(check().out, StartsWith("WARNING: trouble: web (redundancy lost: backup is down ("));
  primary.kill();
  hanatd.wait_target("web", "none");
  EXPECT_EQ(check().exit, 2);
  EXPECT_THAT(check().out, StartsWith("CRITICAL: clients not served: web (primary is down ("));
  hanatd.stop();
  EXPECT_EQ(check().exit, 3);
  EXPECT_THAT(check().out, StartsWith("UNKNOWN: no hanatd at "));
}

TEST_F(StatusScreen, ColourIsAsAskedForAndWatchingShowsItAgain) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  EXPECT_THAT(hanatd.ctl({"status"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(hanatd.ctl({"status", "--color", "always"}).out, HasSubstr("\x1b["));
  EXPECT_THAT(hanatd.ctl({"status", "--color=never"}).out, Not(HasSubstr("\x1b")));
  const std::string watched = shell(hanatd, "timeout 2.5 CTL --watch; true");
  const auto first = watched.find("web -> primary");
  ASSERT_NE(first, std::string::npos) << watched;
  EXPECT_NE(watched.find("web -> primary", first + 1), std::string::npos) << watched;
}

} // namespace
} // namespace hanat::test
