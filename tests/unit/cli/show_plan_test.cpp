// The screens of plan, probe and connections, on 80 columns. Not here: the values (failover/rehearsal_test, report/make_connections_test).
#include <gmock/gmock.h>

#include "cli/show_connections.hpp"
#include "cli/show_plan.hpp"
#include "cli/show_probes.hpp"
#include "tests/golden/golden.hpp"
#include "tests/unit/cli/show_fixture.hpp"

namespace hanat::cli {
namespace {

using testing::HasSubstr;

constexpr std::size_t columns = 80;
View on_screen() { return {.colour = false, .now = now, .width = columns}; }

void expect_to_fit(const std::string& text) {
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), columns) << line;
}

TEST(ShowPlan, NamesWhatChanges) {
  ReloadPlan plan{.services = 3, .changes = {}, .settings = {{.key = "metrics", .before = "", .after = "127.0.0.1:9717"}}, .warnings = {}};
  plan.changes.push_back({.service = "old", .change = "removed", .probes = {.ended = 2}});
  plan.changes.push_back(
      {.service = "web",
       .change = "changed",
       .keys = {{.key = "down", .before = "3 in 10s", .after = "2 in 10s"},
                {.key = "probe.body", .before = "\"ok\"", .after = "\"okay\""},
                {.key = "primary", .before = "10.0.0.11:8443", .after = "10.0.0.13:8443"}},
       .move =
           MovePlan{.from = "backup", .to = "primary", .why = "failback", .from_address = "10.0.0.12:8443", .to_address = "10.0.0.13:8443"},
       .flows = {{.flows = "web backup", .server = "10.0.0.12:8443", .action = "drain 1m"}},
       .probes = {.kept = 1, .started = 1, .ended = 1}});
  plan.changes.push_back({.service = "mail", .change = "added", .probes = {.started = 2}});
  plan.warnings = {"web: 1 probe begins anew: the servers are unknown until they have answered"};
  const std::string text = show_plan(plan, "/etc/hanat/hanat.toml", on_screen());
  test::expect_golden("plan.txt", text);
  expect_to_fit(text);
  EXPECT_EQ(show_plan({.services = 3, .changes = {}, .settings = {}, .warnings = {}}, "x", on_screen()),
            "x: 3 services; by a reload: no service would change\n");
}

TEST(ShowPlan, NamesWhatStaysUntilSomethingElseWorks) {
  ReloadPlan plan{.services = 1, .changes = {}, .settings = {}, .warnings = {}};
  plan.changes.push_back({.service = "web", .change = "changed", .held = {"backup"}, .serves_on = "10.0.0.11:8443"});
  const std::string text = show_plan(plan, "x", {.colour = false, .now = now});
  EXPECT_NE(text.find("backup           keeps its verdict: its old probes decide until each new one has passed\n"), std::string::npos);
  EXPECT_NE(text.find("traffic          10.0.0.11:8443 serves on until a server of the new configuration is up\n"), std::string::npos);
}

TEST(ShowPlan, SaysWhereTrafficBeginsAndWhereItIsNotTouched) {
  const auto traffic = [](ServicePlan change) {
    const ReloadPlan plan{.services = 1, .changes = {std::move(change)}, .settings = {}, .warnings = {}};
    const std::string text = show_plan(plan, "x", {.colour = false, .now = now});
    return text.substr(text.find("traffic"));
  };
  const auto take_over = [&](TakeOverPlan plan) { return traffic({.service = "web", .change = "changed", .take_over = std::move(plan)}); };
  EXPECT_EQ(take_over({.target = "primary", .address = "10.0.0.11:8443", .why = "primary-up"}),
            "traffic          hanatd takes it over: new connections go to primary 10.0.0.11:8443 (primary-up)\n");
  EXPECT_EQ(take_over({.target = "none", .address = "", .why = "starting"}),
            "traffic          hanatd takes it over: new connections wait until its servers have answered\n");
  EXPECT_EQ(take_over({.target = "none", .address = "", .why = "no-server-up"}),
            "traffic          hanatd takes it over: no server is up, and new connections are turned away (no-server-up)\n");
  EXPECT_EQ(traffic({.service = "web", .change = "added", .observed = true}),
            "traffic          is not touched: the service is only observed\n");
  EXPECT_THAT(traffic({.service = "web", .change = "changed", .keys = {{"mode", "auto", "observe"}}, .observed = true}),
              testing::HasSubstr("stays where it is now, and fails over no more"));
}

TEST(ShowPlan, OfTheEndOfModeObserveSaysWhatCannotBeTakenBack) {
  const auto text = [](KeyChange mode) {
    ReloadPlan plan{.services = 1, .changes = {}, .settings = {}, .warnings = {}};
    plan.changes.push_back({.service = "web", .change = "changed", .keys = {std::move(mode)}});
    return show_plan(plan, "x", {.colour = false, .now = now});
  };
  EXPECT_THAT(
      text({"mode", "observe", "auto"}),
      HasSubstr("with --confirm   taken back, its traffic would stay at the server that it then has, without failover: the rules of "
                "before get nothing more until the service is removed\n"));
  EXPECT_THAT(text({"mode", "auto", "observe"}), testing::Not(HasSubstr("taken back")));
}

ProbeAnswer answer(const char* role, const char* probe, const char* outcome, const char* reason) {
  ProbeAnswer made;
  made.service = "web";
  made.role = role;
  made.probe = probe;
  made.outcome = outcome;
  made.reason = reason;
  made.latency_ms = 0.214;
  return made;
}

TEST(ShowProbes, NamesEachAnswerAndExplainsTheBadOnes) {
  std::vector<ProbeAnswer> answers{answer("primary", "tcp 10.0.0.11:8443", "pass", "connected"),
                                   answer("primary", "tcp [fd00::11]:8443", "fail", "refused")};
  answers[1].explanation =
      "the server's machine reported that nothing listens on the port: the service is stopped, or a firewall rejects the probe";
  const std::string text = show_probes(answers, on_screen());
  test::expect_golden("probe.txt", text);
  expect_to_fit(text);
  EXPECT_TRUE(is_good(answers[0]));
  EXPECT_FALSE(is_good(answers[1]));
  EXPECT_TRUE(is_good(answer("primary", "redis 10.0.0.11:6379", "full", "full")));
  EXPECT_FALSE(is_good(answer("primary", "redis 10.0.0.11:6379", "inconclusive", "no-ports")));
}

ConnectionServer row(const char* role, const char* address, bool target, std::uint64_t established) {
  ConnectionServer made;
  made.role = role;
  made.address = address;
  made.health = "up";
  made.target = target;
  made.counts.established = established;
  return made;
}

TEST(ShowConnections, SaysWhetherTheServerMayBeUnplugged) {
  ConnectionsReport report;
  report.service = "web";
  report.servers = {row("primary", "10.0.0.11:8443", false, 0), row("backup", "10.0.0.12:8443", true, 212)};
  report.servers[0].counts.closing = 3;
  report.servers[1].counts = {
      .opening = 2, .established = 212, .closing = 17, .answered = 5, .unanswered = 1, .opened_by_server = 4, .offloaded = 100};
  report.list = {
      {.client = "198.18.0.2:40000", .listen = "203.0.113.10:443/tcp", .server = "backup", .state = "established", .offloaded = true}};
  const std::string text = show_connections(report, on_screen());
  test::expect_golden("connections.txt", text);
  expect_to_fit(text);
  EXPECT_THAT(text, HasSubstr("primary: may be unplugged: it has no connections and gets no new ones\n"));
}

TEST(ShowConnections, SaysWhyTheServerMayNotBeUnplugged) {
  ConnectionsReport report;
  report.service = "web";
  report.on_forced = "reset";
  report.servers = {row("primary", "10.0.0.11:8443", true, 1), row("backup", "10.0.0.12:8443", false, 2)};
  const ConnectionServer& primary = report.servers[0];
  ConnectionServer& backup = report.servers[1];
  const auto text = [&](const ConnectionServer& server) { return unplugging_of(report, server).text; };
  const std::string begin = "primary: not now: it gets the new connections, and has 1 connection";
  EXPECT_EQ(text(primary), begin + ". First move the traffic to backup (its connections are reset), then look again:");
  EXPECT_THAT(unplugging_of(report, primary).remedies, testing::ElementsAre("hanatctl force-backup web", "hanatctl connections web"));
  report.on_forced = "drain 1m";
  EXPECT_THAT(text(primary), HasSubstr("(its connections drain for 1m, then the rest is reset)"));
  report.on_forced = "keep";
  EXPECT_THAT(text(primary), HasSubstr("(its connections stay until they end)"));
  EXPECT_EQ(text(backup), "backup: not without loss: it gets no new connections, and has 2 connections, which would break");
  backup.leaving = "drain";
  backup.ends_in_s = 30;
  EXPECT_EQ(text(backup), "backup: not yet: it gets no new connections, and has 2 connections; the drain ends in 30 s");
  backup.leaving = "cut";
  EXPECT_THAT(text(backup), HasSubstr("backup: in a moment: "));
  backup.also_target_of = {"mail"};
  EXPECT_THAT(text(backup), HasSubstr("but it has the traffic of mail. To see that:"));
  EXPECT_THAT(unplugging_of(report, backup).remedies, testing::ElementsAre("hanatctl connections mail"));
  backup.disabled = true;
  EXPECT_EQ(text(primary), begin + ". No other server is up and enabled, so clients would not be served.");
  backup.disabled = false;
  backup.health = "down";
  EXPECT_EQ(text(primary), begin + ". No other server is up and enabled, so clients would not be served.");
  report.servers[0].counts.established = 0;
  EXPECT_THAT(text(primary), HasSubstr("and has no connections."));
  backup.returns_in_s = 43;
  EXPECT_THAT(text(backup), HasSubstr("not yet: it has 2 connections, and gets new ones again in 43 s. To keep them away:"));
}

TEST(ShowConnections, OfAnObservedServiceDoesNotSayThatAServerMayBeUnplugged) {
  ConnectionsReport report;
  report.service = "web";
  report.observed = true;
  report.servers = {row("primary", "10.0.0.11:8443", false, 3), row("backup", "10.0.0.12:8443", false, 0)};
  const auto text = [&](std::size_t server) { return unplugging_of(report, report.servers[server]).text; };
  const std::string begin =
      "hanat does not send this service's connections (mode observe), and other rules may: look there before you unplug it";
  EXPECT_EQ(text(0), "primary: " + begin + "; it has 3 connections");
  EXPECT_EQ(text(1), "backup: " + begin + "; it has no connections");
  report.servers[1].also_target_of = {"mail"};
  EXPECT_EQ(text(1), "backup: " + begin + "; it has no connections, and has the traffic of mail. To see that:");
  report.servers[0].target = true; // it was in mode auto before
  report.servers[1].also_target_of.clear();
  EXPECT_EQ(text(0), "primary: not now: it gets the new connections, and has 3 connections. In mode observe hanat moves nothing: first set "
                     "mode = \"auto\", and reload.");
  EXPECT_TRUE(unplugging_of(report, report.servers[0]).remedies.empty()) << "an override is refused";
  EXPECT_EQ(text(1),
            "backup: hanat sends it no new connections, but in mode observe other rules may: look there before you unplug it; it has no "
            "connections");
}

} // namespace
} // namespace hanat::cli
