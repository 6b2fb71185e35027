// An operator's override: how it ends, how long it lasts over a restart, what a reload does to it. Not here: what it does to health and to
// failover while it lasts (lifecycle), whom it concerns in a group (group).
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
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

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

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

TEST_F(Overriding, OfANamedBackupIsOfThatServerAndOfNoOther) {
  std::string text = fast_service();
  const std::string one = fmt::format("backup = \"{}\"", to_text(Lab::endpoint(Host::backup, 8443)));
  text.replace(text.find(one), one.size(),
               fmt::format("backup = [\"{}\", \"{}\"]", to_text(Lab::endpoint(Host::backup, 9443)),
                           to_text(Lab::endpoint(Host::backup2, 8443)))); // nothing listens on the first one
  hanatd.emplace(lab, text);
  hanatd->wait_for([](const Status& now) {
    return service(now, "web").target == "primary" && server(service(now, "web"), "backup").health == "down" &&
           server(service(now, "web"), "backup2").health == "up";
  });
  const Output refused = hanatd->ctl({"force-backup", "--server", "backup", "web"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_NE(refused.err.find("web: backup ("), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("is down"), std::string::npos) << refused.err;
  EXPECT_FALSE(service(hanatd->status(), "web").forced);
  ASSERT_EQ(hanatd->ctl({"force-backup", "web"}).exit, 0);
  EXPECT_EQ(service(hanatd->status(), "web").forced->target, "backup2") << "the first one that is up";
  ASSERT_EQ(hanatd->ctl({"force-backup", "--server", "backup", "--even-if-down", "web"}).exit, 0);
  EXPECT_EQ(service(hanatd->status(), "web").forced->target, "backup");
}

TEST_F(Overriding, HaveAReasonThatReachesNoTerminalRaw) {
  begin(fast_service());
  for (const char* reason : {"\x1b[31mred", "two\nlines", "\x7f"}) {
    const Output refused = hanatd->ctl({"force-backup", "--reason", reason, "web"});
    EXPECT_EQ(refused.exit, 1);
    EXPECT_NE(refused.err.find("one line of text"), std::string::npos) << refused.err;
  }
  ASSERT_EQ(hanatd->ctl({"force-backup", "--reason", "kernel \xc3\xbc", "web"}).exit, 0);
  hanatd->stop();
  // The state file may hold what an earlier version took.
  const std::filesystem::path file = hanatd->state() / "state.json";
  std::string saved = read_file(file);
  saved.replace(saved.find("kernel"), 6, "\\u001b[31m");
  std::ofstream{file} << saved;
  hanatd->start();
  EXPECT_EQ(service(hanatd->status(), "web").forced->reason, "\x1b[31m \xc3\xbc");
  const std::string log = hanatd->log();
  EXPECT_NE(log.find("(\\x1b[31m \\xc3\\xbc)"), std::string::npos) << log;
  EXPECT_TRUE(std::ranges::all_of(log, [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); })) << log;
}

} // namespace
} // namespace hanat::test
