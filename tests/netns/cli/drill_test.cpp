// hanatctl drill with a real daemon and real clients: the traffic moves and returns by itself, and the report's figures are those of the
// clients; every way in which a drill ends. Not here: the texts of the report (unit: cli/drill_report_test).
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/util/wall_time.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

/// hanatctl drill, running.
class RunningDrill {
public:
  RunningDrill(Lab& lab, const Hanatd& hanatd, const std::vector<std::string>& arguments)
      : text_(memfd_create("drill", MFD_CLOEXEC)),
        process_(lab.spawn(Host::gateway, command(hanatd, arguments), text_.get(), text_.get())) {}

  /// Its exit status; throws when it does not end.
  int end(milliseconds deadline = milliseconds{10'000}) {
    const auto status = process_.wait(deadline);
    if (!status) throw std::runtime_error("the drill goes on: " + text());
    return *status;
  }
  std::string text() const {
    std::string text(std::size_t{1} << 16, '\0');
    const ssize_t size = pread(text_.get(), text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return text;
  }
  json report() const { return json::parse(text()).at("services").at(0); }
  void signal(int number) const { process_.signal(number); }

private:
  static std::vector<std::string> command(const Hanatd& hanatd, const std::vector<std::string>& arguments) {
    std::vector<std::string> words = {hanatctl_program(), "--socket", hanatd.socket(), "drill"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
  }
  Fd text_;
  Process process_;
};

class Drill : public testing::Test {
protected:
  static const ServiceStatus& web(const Status& status) { return service(status, "web"); }
  std::unique_ptr<Hanatd> started(const std::string& config = fast_service()) {
    auto hanatd = std::make_unique<Hanatd>(lab, config);
    wait_both_up(*hanatd);
    return hanatd;
  }
  static double milliseconds_after(const json& flip, WallTime then) {
    return std::chrono::duration<double, std::milli>(then - parse_wall_time(flip.at("at").get<std::string>()).value()).count();
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(Drill, MovesTheTrafficAndReturnsAndItsFiguresAreThoseOfTheClients) {
  const auto hanatd = started();
  std::vector<TcpClient> old, fresh;
  for (int count = 0; count < 3; ++count) {
    old.emplace_back(lab, Host::client, Lab::vip(443));
    ASSERT_EQ(old.back().ask().text, "primary");
  }
  RunningDrill drill{lab, *hanatd, {"web", "--for", "2s", "--json", "--reason", "monthly"}};
  const Status moved = hanatd->wait_target("web", "backup");
  EXPECT_TRUE(web(moved).forced->drill);
  EXPECT_EQ(web(moved).why, "drill");
  const WallTime before = wall_now();
  for (int count = 0; count < 2; ++count) {
    fresh.emplace_back(lab, Host::client, Lab::vip(443));
    ASSERT_EQ(fresh.back().ask().text, "backup");
  }
  const WallTime after = wall_now();
  for (TcpClient& client : old) EXPECT_EQ(client.wait_for_end(milliseconds{3000}).result, Result::reset);
  EXPECT_EQ(drill.end(), 0) << drill.text();
  const json report = drill.report();
  EXPECT_EQ(web(hanatd->status()).target, "primary") << "when it says so";
  for (TcpClient& client : fresh) EXPECT_EQ(client.wait_for_end(milliseconds{3000}).result, Result::reset);

  EXPECT_EQ(report.at("move").at("cut").at("tcp"), 3);
  EXPECT_EQ(report.at("way_back").at("cut").at("tcp"), 2);
  EXPECT_EQ(report.at("way_back").at("to"), "primary");
  EXPECT_EQ(report.at("ended"), "time");
  EXPECT_EQ(report.at("passed"), true);
  EXPECT_EQ(report.at("clients_unanswered"), 0);
  const auto served = report.at("first_served_ms").get<double>();
  EXPECT_GE(served, milliseconds_after(report.at("move"), before)) << "no client was there before";
  EXPECT_LE(served, milliseconds_after(report.at("move"), after) + 800);
  const WallTime returned = parse_wall_time(report.at("way_back").at("at").get<std::string>()).value();
  EXPECT_NEAR(milliseconds_after(report.at("move"), returned), 2000, 200);
  const Status now = hanatd->status();
  EXPECT_EQ(web(now).last_flip->commit_us, report.at("way_back").at("commit_us").get<std::int64_t>());
  EXPECT_THAT(hanatd->log(), HasSubstr("a drill: forced to backup"));
  EXPECT_THAT(hanatd->ctl({"history", "web"}).out, AllOf(HasSubstr("a drill: forced to backup"), HasSubstr(", drill; committed in ")));
}

TEST_F(Drill, UnderLoadFailsNobodyAndTheWordsSayWhatHappened) {
  const auto hanatd = started(fast_service({.extra = "on_forced = \"drain 60s\""}));
  TcpClient old{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(old.ask().text, "primary");
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = milliseconds{20'000}}};
  const Output drill = hanatd->ctl({"drill", "web", "--for", "1500ms"});
  const LoadResult clients = load.stop();
  EXPECT_EQ(drill.exit, 0) << drill.out << drill.err;
  EXPECT_EQ(clients.failed(), 0U) << fmt::format("{}", clients);
  EXPECT_GT(clients.answered()["backup"], 100U);
  EXPECT_GT(clients.answered()["primary"], 0U);
  EXPECT_EQ(old.ask().text, "primary") << "its drain was longer than the drill";
  EXPECT_THAT(drill.out, AllOf(HasSubstr("a drill of web: traffic goes to backup"), HasSubstr("Ctrl-C here ends it at once"),
                               HasSubstr("web: the drill is over after 1.5 s: primary ("), HasSubstr("first new connection served there: "),
                               HasSubstr("1 went on there\n"), HasSubstr("no client was seen without an answer, and none refused\n")));
}

TEST_F(Drill, IsRefusedWithAReasonAndARemedyWhereItWouldHurtOrShowNothing) {
  const auto hanatd =
      started(fast_service() + fast_service({.name = "seen", .listen = "203.0.113.10:444/tcp", .extra = "mode = \"observe\""}));
  const auto refused = [&](const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"drill", "web", "--for", "60s"};
    words.insert(words.end(), more.begin(), more.end());
    const Output output = hanatd->ctl(words);
    EXPECT_EQ(output.exit, 1) << output.out;
    return output.err;
  };
  EXPECT_THAT(refused({"--server", "backup9"}), HasSubstr("no server \"backup9\""));
  EXPECT_THAT(hanatd->ctl({"drill", "seen"}).err, HasSubstr("mode observe"));
  EXPECT_THAT(hanatd->ctl({"drill"}).err, HasSubstr("name a service"));
  EXPECT_EQ(hanatd->ctl({"drill", "web", "--for", "0s"}).exit, 2);

  hanatd->ctl({"force-primary", "web"});
  EXPECT_THAT(refused(), AllOf(HasSubstr("is forced to primary"), HasSubstr("hanatctl auto web")));
  hanatd->ctl({"auto", "web"});
  hanatd->ctl({"disable", "web", "backup"});
  EXPECT_THAT(refused(), AllOf(HasSubstr("is disabled by"), HasSubstr("hanatctl enable web backup")));
  hanatd->ctl({"enable", "web", "backup"});

  RunningDrill first{lab, *hanatd, {"web", "--for", "60s"}};
  hanatd->wait_target("web", "backup");
  EXPECT_THAT(refused(), AllOf(HasSubstr("a drill by root is running"), HasSubstr("hanatctl auto web")));
  hanatd->ctl({"auto", "web"});
  EXPECT_EQ(first.end(), 1);
  EXPECT_THAT(first.text(), HasSubstr("before its time (the override was ended by root"));

  backup.kill();
  hanatd->wait_for([](const Status& now) { return server(web(now), "backup").health == "down"; });
  EXPECT_THAT(refused(), AllOf(HasSubstr("backup"), HasSubstr("is down")));
  backup.start();
  primary.kill();
  hanatd->wait_target("web", "backup");
  EXPECT_THAT(refused(), AllOf(HasSubstr("the primary does not have the traffic"), HasSubstr("hanatctl why web")));
  EXPECT_EQ(web(hanatd->status()).forced.has_value(), false);
}

TEST_F(Drill, EndsAtOnceOnCtrlC) {
  const auto hanatd = started();
  RunningDrill drill{lab, *hanatd, {"web", "--for", "60s"}};
  hanatd->wait_target("web", "backup");
  const auto began = TestClock::now();
  drill.signal(SIGINT);
  hanatd->wait_target("web", "primary");
  EXPECT_LT(TestClock::now() - began, milliseconds{1500});
  EXPECT_EQ(drill.end(), 1);
  EXPECT_THAT(drill.text(), AllOf(HasSubstr("interrupted: web returns now"), HasSubstr("web: the drill was interrupted after "),
                                  HasSubstr("primary ("), HasSubstr(") has the traffic again\n")));
  EXPECT_FALSE(web(hanatd->status()).forced);
}

TEST_F(Drill, ReturnsWithoutAnybodyAndOverARestartOfTheDaemon) {
  const auto hanatd = started();
  RunningDrill drill{lab, *hanatd, {"web", "--for", "2500ms"}};
  hanatd->wait_target("web", "backup");
  const auto began = TestClock::now();
  drill.signal(SIGKILL);
  hanatd->kill9();
  hanatd->start();
  const Status again = hanatd->wait_target("web", "backup");
  ASSERT_TRUE(web(again).forced);
  EXPECT_TRUE(web(again).forced->drill);
  hanatd->wait_target("web", "primary");
  EXPECT_GT(TestClock::now() - began, milliseconds{1500});
  EXPECT_THAT(hanatd->log(), HasSubstr("the override has expired"));
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
}

TEST_F(Drill, WhoseBackupDiesIsOver) {
  const auto hanatd = started();
  RunningDrill drill{lab, *hanatd, {"web", "--for", "60s", "--json"}};
  hanatd->wait_target("web", "backup");
  backup.kill();
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443), milliseconds{5000}).result, Result::answered) << "held until the move";
  hanatd->wait_target("web", "primary");
  EXPECT_EQ(drill.end(), 1);
  const json report = drill.report();
  EXPECT_EQ(report.at("ended"), "early");
  EXPECT_EQ(report.at("target"), "primary");
  EXPECT_EQ(report.at("passed"), false);
  EXPECT_EQ(report.at("way_back").at("why"), "failover");
}

} // namespace
} // namespace hanat::test
