// What a running daemon says a reload would do is what it then does, and what servers answer when they are asked once. Not here: random
// edits (unit: failover/rehearsal_test).
#include <algorithm>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/api/probe_answer.hpp"
#include "daemon/api/reload_plan.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class PlanOfAGateway : public testing::Test {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};

  /// The plan of the file, by name and as the daemon's own, and then the reload's.
  static json plan_and_reload(const Hanatd& hanatd, const std::string& config) {
    const std::string file = (hanatd.state() / "next.toml").string();
    std::ofstream{file} << config;
    const Output named = hanatd.ctl({"--json", "plan", file});
    EXPECT_EQ(named.exit, 0) << named.err;
    hanatd.write_config(config);
    const Output own = hanatd.ctl({"--json", "plan"});
    const Output reload = hanatd.ctl({"--json", "reload"});
    EXPECT_EQ(reload.exit, 0) << reload.err;
    const json done = json::parse(reload.out).at("plan");
    EXPECT_EQ(json::parse(named.out), done);
    EXPECT_EQ(json::parse(own.out), done);
    return done;
  }
};

TEST_F(PlanOfAGateway, IsWhatTheReloadDoes) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  const auto changes = [](const json& plan) { return plan.get<ReloadPlan>().changes; };
  EXPECT_TRUE(changes(plan_and_reload(hanatd, fast_service())).empty());

  const auto edited = changes(plan_and_reload(hanatd, fast_service({.down = "fails = 2, within = \"2s\""})));
  ASSERT_EQ(edited.size(), 1U);
  EXPECT_EQ(edited[0].keys, (std::vector<KeyChange>{{.key = "down", .before = "3 in 2s", .after = "2 in 2s"}}));
  EXPECT_EQ(edited[0].probes, (ProbesPlan{.kept = 2, .started = 0, .ended = 0}));

  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  const std::string alone = fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"{}\"\n"
                                        "probe = {{ type = \"tcp\", interval = \"50ms\", fast_interval = \"10ms\", timeout = \"200ms\" }}\n"
                                        "down = {{ fails = 2, within = \"2s\" }}\nup = {{ passes = 2, stable_for = \"100ms\" }}\n",
                                        to_text(Lab::endpoint(Host::primary, 8443)));
  const json moved = plan_and_reload(hanatd, alone); // the override is dropped, and the traffic goes back
  ASSERT_EQ(changes(moved).size(), 1U);
  ASSERT_TRUE(changes(moved)[0].move) << moved.dump(2);
  EXPECT_EQ(changes(moved)[0].move->to, "primary");
  EXPECT_EQ(changes(moved)[0].move->from_address, to_text(Lab::endpoint(Host::backup, 8443)));
  EXPECT_EQ(changes(moved)[0].move->to_address, to_text(Lab::endpoint(Host::primary, 8443)));
  EXPECT_FALSE(moved.at("warnings").empty()) << moved.dump(2);
  hanatd.wait_target("web", "primary");

  const auto replaced = changes(plan_and_reload(hanatd, fast_service({.name = "web2"})));
  ASSERT_EQ(replaced.size(), 2U);
  EXPECT_EQ(replaced[0].change, "removed");
  EXPECT_EQ(replaced[1].change, "added");
}

TEST_F(PlanOfAGateway, OfAFileWithErrorsNamesThemAllAndChangesNothing) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  const std::string file = (hanatd.state() / "bad.toml").string();
  std::ofstream{file} << "[service.web]\nlisten = 5\nprimry = \"x\"\n";
  for (const char* command : {"plan", "check"}) {
    std::vector<std::string> arguments{command, file};
    if (command == std::string{"check"}) arguments.emplace_back("--ask");
    const Output output = hanatd.ctl(arguments);
    EXPECT_EQ(output.exit, 2) << command;
    EXPECT_THAT(output.err, HasSubstr("bad.toml:2:"));
    EXPECT_THAT(output.err, HasSubstr("bad.toml:3:"));
  }
  hanatd.write_config("nonsense");
  EXPECT_EQ(hanatd.ctl({"plan"}).exit, 2);
  EXPECT_EQ(service(hanatd.status(), "web").target, "primary");
}

TEST_F(PlanOfAGateway, AGroupThatDoesNotExistIsRefusedByPlanCheckAndReloadAlike) {
  Hanatd hanatd{lab, fast_service()};
  const std::string config = fast_service() + "[hanatd]\noperators = \"no-such-group\"\n", file = (hanatd.state() / "next.toml").string();
  std::ofstream{file} << config;
  for (const std::vector<std::string>& command : {std::vector<std::string>{"plan", file}, {"check", file}}) {
    const Output output = hanatd.ctl(command);
    EXPECT_EQ(output.exit, 2) << command.front();
    EXPECT_THAT(output.err, HasSubstr("no group \"no-such-group\" (operators)")) << command.front();
  }
  const Output reload = hanatd.reload(config);
  EXPECT_EQ(reload.exit, 2);
  EXPECT_THAT(reload.err, HasSubstr("no group \"no-such-group\" (operators)"));
}

std::vector<ProbeAnswer> answers_of(const Output& output) { return json::parse(output.out).at("answers").get<std::vector<ProbeAnswer>>(); }

TEST_F(PlanOfAGateway, AsksEveryServerOfAFileOnce) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  const std::string file = (hanatd.state() / "ask.toml").string();
  std::ofstream{file} << fast_service({.name = "good"}) << fast_service({.name = "bad", .listen = "203.0.113.10:444/tcp", .port = 9999});
  const Output text = hanatd.ctl({"check", "--ask", file});
  EXPECT_EQ(text.exit, 1);
  EXPECT_THAT(text.out, HasSubstr("2 of 4 good"));
  EXPECT_THAT(text.out, HasSubstr("nothing listens on the port"));
  const auto answers = answers_of(hanatd.ctl({"--json", "check", "--ask", file}));
  ASSERT_EQ(answers.size(), 4U);
  for (const ProbeAnswer& answer : answers) {
    EXPECT_EQ(answer.outcome, answer.service == "good" ? "pass" : "fail");
    EXPECT_EQ(answer.reason, answer.service == "good" ? "connected" : "refused");
  }
  std::ofstream{file} << fast_service({.name = "good"});
  EXPECT_EQ(hanatd.ctl({"check", "--ask", file}).exit, 0);
  EXPECT_EQ(hanatd.ctl({"check", "--ask"}).exit, 0) << "the daemon's own";
}

TEST_F(PlanOfAGateway, AProbeIsAnsweredByBothFamiliesAndCountsForNothing) {
  Hanatd hanatd{lab, fmt::format("[service.web]\nlisten = [\"203.0.113.10:443/tcp\", \"[2001:db8::10]:443/tcp\"]\n"
                                 "primary = [\"{}\", \"{}\"]\nbackup = [\"{}\", \"{}\"]\n"
                                 "probe = {{ type = \"tcp\", interval = \"10s\", timeout = \"200ms\" }}\n",
                                 to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::primary, 8443, Family::ipv6)),
                                 to_text(Lab::endpoint(Host::backup, 8443)), to_text(Lab::endpoint(Host::backup, 8443, Family::ipv6)))};
  wait_both_up(hanatd);
  const Output good = hanatd.ctl({"--json", "probe", "web"});
  EXPECT_EQ(good.exit, 0) << good.err;
  ASSERT_EQ(answers_of(good).size(), 4U);
  EXPECT_TRUE(std::ranges::any_of(answers_of(good), [](const ProbeAnswer& one) { return one.probe.find("[fd00:") != std::string::npos; }));
  backup.kill();
  for (int times = 0; times < 5; ++times) {
    const Output bad = hanatd.ctl({"probe", "web"});
    EXPECT_EQ(bad.exit, 1);
    EXPECT_THAT(bad.out, HasSubstr("2 of 4 good"));
  }
  EXPECT_EQ(server(service(hanatd.status(), "web"), "backup").health, "up") << "until its own probes say otherwise";
}

} // namespace
} // namespace hanat::test
