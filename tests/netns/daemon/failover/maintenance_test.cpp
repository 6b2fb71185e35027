// Planned work under connections that stay: a forced move drains, each server of a service in turn is taken out and back, and nobody's
// connection breaks. Not here: what a drain is in detail (drain_test), overrides as such (overrides_test).
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

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

/// HANAT_CONNECTIONS=1000: the long form.
std::size_t many() {
  const char* const number = std::getenv("HANAT_CONNECTIONS"); // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return number == nullptr ? 50 : std::strtoul(number, nullptr, 10);
}

class Maintenance : public testing::Test {
protected:
  /// What is configured is the default: planned work drains for a minute. `order`: of the servers, the primary first.
  static std::string config(const std::vector<Host>& order, const std::string& extra = {}) {
    std::string text = fast_service({.extra = extra});
    const std::string reset = "on_forced = \"reset\"\n";
    text.erase(text.find(reset), reset.size());
    const auto replace = [&text](const std::string& key, const std::string& value) {
      const std::size_t begin = text.find(key + " = ");
      text.replace(begin, text.find('\n', begin) - begin, fmt::format("{} = {}", key, value));
    };
    std::string backups;
    for (std::size_t place = 1; place < order.size(); ++place)
      backups += fmt::format("{}\"{}\"", place == 1 ? "" : ", ", to_text(Lab::endpoint(order[place], 8443)));
    replace("primary", fmt::format("\"{}\"", to_text(Lab::endpoint(order[0], 8443))));
    replace("backup", fmt::format("[{}]", backups));
    return text;
  }
  static bool all_up(const Status& now) {
    return std::ranges::all_of(service(now, "web").servers, [](const ServerStatus& server) { return server.health == "up"; });
  }
  void begin(const std::string& text) {
    hanatd.emplace(lab, text);
    hanatd->wait_for([](const Status& now) { return service(now, "web").target == "primary" && all_up(now); });
  }
  void begin() { begin(config({Host::primary, Host::backup, Host::backup2})); }
  void connect(std::size_t number) {
    for (std::size_t count = 0; count < number; ++count) clients.emplace_back(lab, Host::client, Lab::vip(443));
  }
  /// Those whose connection no longer answers.
  std::size_t broken() {
    return static_cast<std::size_t>(
        std::ranges::count_if(clients, [](TcpClient& client) { return client.ask().result != Result::answered; }));
  }
  /// Every client ends its connection, and makes another one.
  void renew() {
    for (TcpClient& client : clients) client = TcpClient{lab, Host::client, Lab::vip(443)};
  }
  /// But for a probe.
  static bool gets_empty(const TcpServer& server) {
    for (int look = 0; look < 400 && server.open() > 0; ++look) std::this_thread::sleep_for(milliseconds{5});
    return server.open() == 0;
  }
  std::string who_answers() { return connect_once(lab, Host::client, Lab::vip(443)).text; }
  ServiceStatus web() const { return service(hanatd->status(), "web"); }
  std::future<Output> ctl_meanwhile(std::vector<std::string> arguments) {
    return std::async(std::launch::async,
                      [this, arguments = std::move(arguments)] { return hanatd->ctl(arguments, milliseconds{60'000}); });
  }

  Lab lab{{.backup2 = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  TcpServer backup2{lab, Host::backup2, 8443, "backup2"};
  std::optional<Hanatd> hanatd;
  std::vector<TcpClient> clients;
};

TEST_F(Maintenance, AForcedMoveBreaksNoConnectionWithinTheDrain) {
  begin();
  connect(50);
  const Output forced = hanatd->ctl({"force-backup", "web"});
  EXPECT_EQ(forced.exit, 0) << forced.err;
  EXPECT_THAT(forced.out, HasSubstr(" connections of primary drain: what is left at ")) << "counted behind the move, or not in time";
  EXPECT_THAT(forced.out, HasSubstr("(in 1 min) is cut"));
  for (int count = 0; count < 10; ++count) EXPECT_EQ(who_answers(), "backup");
  EXPECT_EQ(broken(), 0U);
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip->left == 50U; });
  EXPECT_THAT(hanatd->ctl({"status"}).out, HasSubstr("draining: 50 old flows on primary"));
  const Output ended = hanatd->ctl({"auto", "web"});
  EXPECT_THAT(ended.out, HasSubstr("traffic goes to primary"));
  EXPECT_EQ(broken(), 0U);
}

TEST_F(Maintenance, AWaitReturnsWhenTheOldConnectionsAreGoneAndSaysHow) {
  begin();
  connect(3);
  auto waiting = ctl_meanwhile({"force-backup", "web", "--drain", "30s", "--wait"});
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip && service(now, "web").last_flip->left == 3U; });
  clients.clear();
  const Output by_themselves = waiting.get();
  EXPECT_EQ(by_themselves.exit, 0) << by_themselves.err;
  EXPECT_THAT(by_themselves.out, HasSubstr("the old connections of primary are gone: 3 ended by themselves, 0 were cut"));
  connect(2);
  const Output cut = hanatd->ctl({"force-primary", "web", "--drain", "1s", "--wait"});
  EXPECT_THAT(cut.out, HasSubstr("the old connections of backup are gone: 0 ended by themselves, 2 were cut"));
  for (TcpClient& client : clients) EXPECT_EQ(client.wait_for_end(milliseconds{1000}).result, Result::reset);
}

TEST_F(Maintenance, AResetSaysWhatItReset) {
  begin();
  connect(4);
  EXPECT_THAT(hanatd->ctl({"force-backup", "web", "--reset"}).out, HasSubstr("connections of primary are reset"));
  for (TcpClient& client : clients) EXPECT_EQ(client.wait_for_end(milliseconds{2000}).result, Result::reset);
}

TEST_F(Maintenance, ADrainThatRunsGetsAnotherEnd) {
  begin();
  connect(2);
  ASSERT_EQ(hanatd->ctl({"disable", "web", "primary", "--drain", "10m"}).exit, 0);
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip && service(now, "web").last_flip->left == 2U; });
  EXPECT_THAT(hanatd->ctl({"disable", "web", "primary", "--drain", "20m"}).out, HasSubstr("(in 20 min) is cut"));
  EXPECT_EQ(broken(), 0U);
  const Output reset = hanatd->ctl({"disable", "web", "primary", "--reset", "--wait"});
  EXPECT_THAT(reset.out, HasSubstr("connections of primary are reset"));
  EXPECT_THAT(reset.out, HasSubstr("the old connections of primary are gone: 0 ended by themselves, 2 were cut"));
  for (TcpClient& client : clients) EXPECT_EQ(client.wait_for_end(milliseconds{1000}).result, Result::reset);
}

/// A drain of before the restart belongs to no flip that this hanatd has made.
TEST_F(Maintenance, AWaitIsNotOverBeforeTheCutOfADrainThatWentOnOverARestart) {
  begin();
  connect(2);
  ASSERT_EQ(hanatd->ctl({"disable", "web", "primary", "--drain", "10m"}).exit, 0);
  hanatd->wait_for([](const Status& now) { return service(now, "web").last_flip && service(now, "web").last_flip->left == 2U; });
  hanatd->restart();
  hanatd->wait_for([](const Status& now) { return !service(now, "web").draining.empty(); });
  EXPECT_EQ(broken(), 0U);
  const Output reset = hanatd->ctl({"disable", "web", "primary", "--reset", "--wait"});
  EXPECT_THAT(reset.out, HasSubstr("the old connections of primary are gone"));
  const std::string entries = "conntrack -L -p tcp --orig-dst " + Lab::vip(443).address.text() + " 2>/dev/null";
  EXPECT_THAT(lab.must(Host::gateway, entries), Not(HasSubstr("src=198.18.11.2 "))) << "as soon as it says so";
}

TEST_F(Maintenance, OfEachServerInTurnBreaksNoConnection) {
  begin();
  connect(many());
  struct Machine {
    const char* role;
    TcpServer* server;
  };
  for (const Machine& machine : {Machine{"primary", &primary}, Machine{"backup", &backup}, Machine{"backup2", &backup2}}) {
    SCOPED_TRACE(machine.role);
    auto waiting = ctl_meanwhile({"disable", "web", machine.role, "--drain", "50s", "--wait", "--reason", "kernel update"});
    hanatd->wait_for([&](const Status& now) {
      return server(service(now, "web"), machine.role).disabled && service(now, "web").target != machine.role;
    });
    EXPECT_EQ(broken(), 0U) << "while the server drains";
    renew();
    const Output waited = waiting.get();
    ASSERT_EQ(waited.exit, 0) << waited.out << waited.err;
    EXPECT_THAT(waited.out, HasSubstr(fmt::format("the old connections of {} are gone", machine.role)));
    EXPECT_TRUE(gets_empty(*machine.server)) << "now it may be shut down";
    machine.server->kill();
    hanatd->wait_for([&](const Status& now) { return server(service(now, "web"), machine.role).health == "down"; });
    EXPECT_EQ(broken(), 0U) << "while the server is down";
    machine.server->start();
    hanatd->wait_for(all_up);
    ASSERT_EQ(hanatd->ctl({"enable", "web", machine.role}).exit, 0);
    hanatd->wait_target("web", "primary");
    EXPECT_EQ(broken(), 0U) << "behind the way back";
  }
  EXPECT_EQ(web().last_flip->cut.tcp, 0U);
  const std::string history = hanatd->ctl({"history", "web"}).out;
  EXPECT_THAT(history, HasSubstr("primary (198.18.11.2:8443) is disabled by root (kernel update)"));
  EXPECT_THAT(history, HasSubstr("is enabled again: by root"));
}

TEST_F(Maintenance, LastsItsWholeTimeOverARestartAndAKill) {
  begin();
  const auto began = TestClock::now();
  ASSERT_EQ(hanatd->ctl({"disable", "web", "backup", "--for", "4s", "--reason", "new disk"}).exit, 0);
  const auto until = server(web(), "backup").disabled->until;
  hanatd->restart();
  ASSERT_TRUE(server(web(), "backup").disabled);
  hanatd->kill9();
  hanatd->start();
  ASSERT_TRUE(server(web(), "backup").disabled);
  EXPECT_EQ(server(web(), "backup").disabled->until, until);
  EXPECT_EQ(server(web(), "backup").disabled->reason, "new disk");
  const Output refused = hanatd->ctl({"force-backup", "web", "--server", "backup"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("is disabled by root (new disk), and is never chosen: hanatctl enable web backup first"));
  hanatd->wait_for([](const Status& now) { return !server(service(now, "web"), "backup").disabled; });
  EXPECT_GE(TestClock::now() - began, milliseconds{3990}) << "the file has whole milliseconds of another clock";
}

TEST_F(Maintenance, AFailoverPassesADisabledServerBy) {
  begin();
  ASSERT_EQ(hanatd->ctl({"disable", "web", "198.18.12.2"}).exit, 0) << "by its address: the backup";
  primary.kill();
  hanatd->wait_target("web", "backup2");
  EXPECT_EQ(who_answers(), "backup2");
  EXPECT_THAT(hanatd->ctl({"why", "web"}).out, HasSubstr("backup is disabled by root"));
}

TEST_F(Maintenance, OfTheLastServerNeedsAYes) {
  begin(config({Host::primary, Host::backup}));
  ASSERT_EQ(hanatd->ctl({"disable", "web", "backup"}).exit, 0);
  const Output refused = hanatd->ctl({"disable", "web", "primary"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("is the last server that can have the traffic"));
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_THAT(hanatd->ctl({"disable", "web", "primary", "--yes"}).out, HasSubstr("no server is left: clients are turned away"));
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).result, Result::refused);
  ASSERT_EQ(hanatd->ctl({"enable", "web", "backup"}).exit, 0);
  EXPECT_EQ(who_answers(), "backup");
}

TEST_F(Maintenance, AnOverrideUntilDownEndsWithItsServerAndSaysSo) {
  begin();
  EXPECT_THAT(hanatd->ctl({"force-backup", "web", "--until-down"}).out, HasSubstr("and stays there until that server goes down"));
  EXPECT_TRUE(web().forced->until_down);
  hanatd->kill9();
  hanatd->start();
  hanatd->wait_for(all_up);
  EXPECT_TRUE(web().forced->until_down) << "over a kill, too";
  backup.kill();
  hanatd->wait_target("web", "primary");
  EXPECT_FALSE(web().forced);
  EXPECT_EQ(who_answers(), "primary");
  EXPECT_THAT(hanatd->ctl({"history", "web"}).out, HasSubstr("that server is down, and the override was to end then"));
}

TEST_F(Maintenance, AReloadThatSwapsRolesLeavesPinAndMaintenanceWithTheirMachines) {
  begin();
  connect(5);
  ASSERT_EQ(hanatd->ctl({"force-backup", "web"}).exit, 0);
  ASSERT_EQ(hanatd->ctl({"disable", "web", "primary", "--reason", "new disk"}).exit, 0);
  const Output swapped = hanatd->reload(config({Host::backup, Host::primary, Host::backup2}));
  EXPECT_EQ(swapped.exit, 0) << swapped.err;
  EXPECT_THAT(swapped.out, HasSubstr("is primary (198.18.12.2:8443) now: the override stays with it"));
  EXPECT_THAT(swapped.out, HasSubstr("is backup (198.18.11.2:8443) now: it stays disabled"));
  EXPECT_EQ(web().target_address, "198.18.12.2:8443");
  EXPECT_EQ(web().flips, 1U);
  EXPECT_TRUE(server(web(), "backup").disabled);
  EXPECT_EQ(who_answers(), "backup");
  EXPECT_EQ(broken(), 0U) << "those on the machine that is disabled drain";

  const std::string without = config({Host::primary, Host::backup2});
  hanatd->write_config(without);
  EXPECT_THAT(hanatd->ctl({"plan"}).out, HasSubstr("is dropped")) << "before";
  const Output dropped = hanatd->reload(without);
  EXPECT_THAT(dropped.out, HasSubstr("the override to primary (198.18.12.2:8443) by root is dropped"));
  EXPECT_THAT(dropped.out, Not(HasSubstr("is disabled by root")));
  EXPECT_TRUE(server(web(), "primary").disabled) << "the machine in maintenance gets nothing";
  EXPECT_EQ(web().target, "backup");
  EXPECT_EQ(who_answers(), "backup2");
}

TEST_F(Maintenance, AReloadThatSwapsRolesDrains) {
  begin();
  connect(20);
  ASSERT_EQ(hanatd->reload(config({Host::backup, Host::primary, Host::backup2})).exit, 0);
  hanatd->wait_for([](const Status& now) { return service(now, "web").target_address == "198.18.12.2:8443"; });
  EXPECT_EQ(who_answers(), "backup");
  EXPECT_EQ(broken(), 0U);
}

} // namespace
} // namespace hanat::test
