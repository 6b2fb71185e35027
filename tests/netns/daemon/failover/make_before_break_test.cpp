// A reload under clients: new probes that do not pass, a new address of the primary, and a wrong one hurt nobody. Not here: which verdict
// and which target stand in detail (unit: failover/held_probes_test, failover/former_test).
#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class MakeBeforeBreak : public testing::Test {
protected:
  static constexpr const char* drains = "on_forced = \"drain 60s\"";

  /// The health of a server is asked at a port of its own.
  static std::string with_body(const std::string& body) {
    return fast_service({.probe = fmt::format("type = \"http\", port = 8080, body = \"{}\"", body), .extra = drains});
  }
  static std::string with_primary(const Endpoint& primary) {
    std::string text = fast_service({.extra = drains});
    const std::size_t begin = text.find("primary = ");
    return text.replace(begin, text.find('\n', begin) - begin, fmt::format("primary = \"{}\"", to_text(primary)));
  }
  /// Every target that is seen until the condition holds.
  static std::set<std::string> targets_until(const Hanatd& hanatd, const std::function<bool(const ServiceStatus&)>& wanted) {
    std::set<std::string> seen;
    hanatd.wait_for(
        [&](const Status& now) {
          seen.insert(service(now, "web").target);
          return wanted(service(now, "web"));
        },
        milliseconds{10'000});
    return seen;
  }
  void connect(std::size_t number) {
    for (std::size_t count = 0; count < number; ++count) clients.emplace_back(lab, Host::client, Lab::vip(443));
  }
  void expect_standing() {
    for (TcpClient& client : clients) EXPECT_EQ(client.ask().text, "primary");
  }
  static ServiceStatus web(const Hanatd& hanatd) { return service(hanatd.status(), "web"); }

  Lab lab{{.backup2 = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  TcpServer next{lab, Host::backup2, 8443, "next"};
  std::vector<TcpClient> clients;
};

TEST_F(MakeBeforeBreak, NewProbesThatFailMoveNobodyAndAreTold) {
  HttpServer primary_health{lab, Host::primary, 8080, "ok"}, backup_health{lab, Host::backup, 8080, "ok"};
  Hanatd hanatd{lab, "[hanatd]\nmetrics = \"127.0.0.1:9717\"\n" + with_body("ok")};
  wait_both_up(hanatd);
  connect(5);
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = milliseconds{5000}}};
  const std::string wrong = "[hanatd]\nmetrics = \"127.0.0.1:9717\"\n" + with_body("okay");
  ASSERT_EQ(hanatd.reload(wrong).exit, 0);
  const auto fails = [](const ServiceStatus& now) {
    return std::ranges::all_of(now.servers, [](const ServerStatus& one) { return one.new_probes && one.new_probes->failing; });
  };
  EXPECT_EQ(targets_until(hanatd, fails), std::set<std::string>{"primary"});
  const LoadResult result = load.finish();
  EXPECT_EQ(result.failed(), 0U) << fmt::format("{}", result);
  EXPECT_EQ(result.answered(), (std::map<std::string, std::size_t>{{"primary", result.connects.size()}}));
  const std::string told = "has not passed since the reload";
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("1 problem"));
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("primary: its new probe (http"));
  EXPECT_THAT(hanatd.ctl({"why", "web"}).out, HasSubstr("its old probes"));
  EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_new_probes_failing{service=\"web\",server=\"primary\"} 1"));
  EXPECT_THAT(hanatd.ctl({"history"}).out, HasSubstr(told));
  EXPECT_THAT(hanatd.log(), HasSubstr(told));
  const Output check = hanatd.ctl({"status", "--check"});
  EXPECT_EQ(check.exit, 1);
  EXPECT_THAT(check.out, HasSubstr("WARNING: trouble: web"));

  ASSERT_EQ(hanatd.reload("[hanatd]\nmetrics = \"127.0.0.1:9717\"\n" + with_body("ok")).exit, 0);
  EXPECT_EQ(web(hanatd).flips, 0U);
  EXPECT_EQ(hanatd.ctl({"status", "--check"}).exit, 0);
  EXPECT_THAT(hanatd.ctl({"status"}).out, Not(HasSubstr(told)));
  expect_standing();
}

TEST_F(MakeBeforeBreak, AServerThatDiesMeanwhileIsFoundByItsOldProbes) {
  HttpServer primary_health{lab, Host::primary, 8080, "ok"}, backup_health{lab, Host::backup, 8080, "ok"};
  Hanatd hanatd{lab, with_body("ok")};
  wait_both_up(hanatd);
  ASSERT_EQ(hanatd.reload(with_body("okay")).exit, 0);
  primary_health.kill();
  hanatd.wait_target("web", "backup");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "backup");
}

TEST_F(MakeBeforeBreak, ANewAddressOfThePrimaryBreaksNothing) {
  Hanatd hanatd{lab, with_primary(Lab::endpoint(Host::primary, 8443))};
  wait_both_up(hanatd);
  connect(5);
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 400, .duration = milliseconds{20'000}}};
  const std::string address = to_text(Lab::endpoint(Host::backup2, 8443));
  const Output reload = hanatd.reload(with_primary(Lab::endpoint(Host::backup2, 8443)));
  ASSERT_EQ(reload.exit, 0);
  const auto arrived = [&](const ServiceStatus& now) { return now.target == "primary" && now.target_address == address; };
  const auto seen = targets_until(hanatd, arrived);
  EXPECT_FALSE(seen.contains("none"));
  EXPECT_FALSE(seen.contains("backup"));
  expect_standing();
  const LoadResult result = load.stop();
  EXPECT_EQ(result.failed(), 0U) << fmt::format("{}", result);
  EXPECT_LT(result.slowest_connect(), milliseconds{300});
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "next");
  EXPECT_EQ(web(hanatd).flips, 1U);
  EXPECT_EQ(web(hanatd).last_flip->why, "configuration");
  EXPECT_EQ(web(hanatd).servers.size(), 2U);
  EXPECT_THAT(hanatd.ctl({"history"}).out, HasSubstr("configuration"));
  expect_standing();
}

TEST_F(MakeBeforeBreak, AWrongAddressIsLoudAndHarmless) {
  backup.kill();
  Hanatd hanatd{lab, with_primary(Lab::endpoint(Host::primary, 8443))};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "down"; });
  connect(5);
  Load load{lab, Host::client, Lab::vip(443), {.per_second = 200, .duration = milliseconds{20'000}}};
  const std::string wrong = with_primary(Lab::endpoint(Host::backup2, 9999));
  hanatd.write_config(wrong);
  EXPECT_THAT(hanatd.ctl({"plan"}).out, HasSubstr("serves on until"));
  ASSERT_EQ(hanatd.reload(wrong).exit, 0);
  const auto seen = targets_until(hanatd, [](const ServiceStatus& now) { return server(now, "primary").health == "down"; });
  EXPECT_EQ(seen, std::set<std::string>{"former"});
  const Output check = hanatd.ctl({"status", "--check"});
  EXPECT_EQ(check.exit, 1);
  EXPECT_THAT(check.out, HasSubstr("trouble: web"));
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("is no server of the configuration any more"));
  EXPECT_THAT(hanatd.log(), HasSubstr("Correct the configuration and reload"));
  ASSERT_EQ(hanatd.reload(with_primary(Lab::endpoint(Host::primary, 8443))).exit, 0);
  EXPECT_EQ(web(hanatd).target, "primary");
  const LoadResult result = load.stop();
  EXPECT_EQ(result.failed(), 0U) << fmt::format("{}", result);
  EXPECT_EQ(web(hanatd).flips, 0U);
  expect_standing();
}

TEST_F(MakeBeforeBreak, ARestartKnowsTheNewConfigurationAlone) {
  backup.kill();
  Hanatd hanatd{lab, with_primary(Lab::endpoint(Host::primary, 8443))};
  hanatd.wait_target("web", "primary");
  connect(1);
  ASSERT_EQ(hanatd.reload(with_primary(Lab::endpoint(Host::backup2, 8443))).exit, 0);
  hanatd.restart();
  hanatd.wait_target("web", "primary");
  EXPECT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "next");
}

} // namespace
} // namespace hanat::test
