// Why a service is where it is, asked of a running daemon after what happens to a gateway: a death, a reload, an override, a restart. Not
// here: which entries belong to an answer (unit: report/make_why_test), the whole screen (unit: cli/show_why_test).
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/api/why.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class WhyOfAGateway : public testing::Test {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};

  static WhyReport why(const Hanatd& hanatd, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"--json", "why", "web"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Output output = hanatd.ctl(arguments);
    EXPECT_EQ(output.exit, 0) << output.err;
    return json::parse(output.out).at("services").at(0).get<WhyReport>();
  }
  static std::string text(const Hanatd& hanatd, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"why", "web"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Output output = hanatd.ctl(arguments);
    EXPECT_EQ(output.exit, 0) << output.err;
    return output.out;
  }
  static const HistoryEntry* find(const WhyReport& report, const std::string& kind) {
    const auto found = std::ranges::find(report.chain, kind, &HistoryEntry::kind);
    return found == report.chain.end() ? nullptr : &*found;
  }
  /// The change of health that took the traffic away.
  static const HealthChangeStatus* down_in(const WhyReport& report) {
    for (const HistoryEntry& entry : report.chain)
      if (entry.health && entry.health->health == "down") return entry.health.get();
    return nullptr;
  }
  static void expect_a_refused_primary(const WhyReport& report) {
    const HealthChangeStatus* const down = down_in(report);
    ASSERT_NE(down, nullptr) << json(report).dump(2);
    EXPECT_EQ(down->server, "primary");
    EXPECT_EQ(down->of, 3U);
    EXPECT_EQ(down->within_s, 2.0);
    ASSERT_GE(down->observations.size(), 2U);
    const ObservationStatus& last = down->observations.back();
    EXPECT_EQ(last.kind, "fail");
    EXPECT_EQ(last.reason, "refused");
    EXPECT_EQ(last.count, 3U);
    EXPECT_THAT(last.probe, HasSubstr("tcp 198.18."));
    std::string before;
    for (const ObservationStatus& one : down->observations) {
      EXPECT_LE(before, one.at);
      before = one.at;
    }
    ASSERT_NE(find(report, "flip"), nullptr);
    EXPECT_LE(before, find(report, "flip")->at);
    EXPECT_EQ(find(report, "flip")->flip->to, "backup");
  }
};

TEST_F(WhyOfAGateway, AfterADeathHasTheResultsTheRuleAndTheFlipAlsoAfterARestart) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = \"manual\""})};
  wait_both_up(hanatd);
  primary.kill();
  hanatd.wait_target("web", "backup");
  hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); });
  const WhyReport report = why(hanatd);
  EXPECT_EQ(report.target, "backup");
  expect_a_refused_primary(report);
  const std::string shown = text(hanatd);
  EXPECT_THAT(shown, HasSubstr("web (203.0.113.10:443/tcp) is at BACKUP"));
  EXPECT_THAT(shown, HasSubstr("=> down (rule: 3 in 2 s)"));
  EXPECT_THAT(shown, HasSubstr("flip primary " + to_text(Lab::endpoint(Host::primary, 8443)) + " -> backup "));
  EXPECT_THAT(shown, HasSubstr("no reload, no override"));

  EXPECT_THAT(hanatd.ctl({"why", "web", "--at", "2001-02-03 04:05"}).err,
              HasSubstr("nothing is known of 2001-02-03 04:05:00: the history goes from"));
  EXPECT_THAT(hanatd.ctl({"why", "web", "--at", "2999-02-03"}).err, HasSubstr("is in the future; the history goes from"));
  const std::string then = find(report, "flip")->at;
  primary.start();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "up"; });
  EXPECT_THAT(text(hanatd), HasSubstr("hanatctl force-primary web")) << "what ends the wait";
  ASSERT_EQ(hanatd.ctl({"force-primary", "web"}).exit, 0);
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  hanatd.restart();
  hanatd.wait_target("web", "primary");
  const WhyReport earlier = why(hanatd, {"--at", then});
  EXPECT_EQ(earlier.target, "backup");
  EXPECT_FALSE(earlier.status);
  expect_a_refused_primary(earlier);
}

TEST_F(WhyOfAGateway, HasTheClientWhoWasRefusedFirst) {
  const std::string slow_probe = "probe = { type = \"tcp\", interval = \"30s\", fast_interval = \"10ms\", timeout = \"200ms\" }\n";
  Hanatd hanatd{lab, fmt::format("[service.web]\nlisten = \"203.0.113.10:443/tcp\"\nprimary = \"{}\"\nbackup = \"{}\"\n{}"
                                 "down = {{ fails = 3, within = \"2s\" }}\nup = {{ passes = 2, stable_for = \"100ms\" }}\n",
                                 to_text(Lab::endpoint(Host::primary, 8443)), to_text(Lab::endpoint(Host::backup, 8443)), slow_probe)};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  primary.kill();
  connect_once(lab, Host::client, Lab::vip(443));
  hanatd.wait_target("web", "backup");
  const WhyReport report = why(hanatd);
  const HealthChangeStatus* const down = down_in(report);
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->observations.front().kind, "event") << "long before the next probe was due";
  EXPECT_EQ(down->observations.front().reason, "refused");
  EXPECT_THAT(text(hanatd), HasSubstr("a client was refused by primary: probed at once"));
}

TEST_F(WhyOfAGateway, AfterAReloadNamesWhatItChangedAndWhoAskedForIt) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = \"manual\""})};
  wait_both_up(hanatd);
  primary.kill();
  hanatd.wait_target("web", "backup");
  primary.start();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "up"; });
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0); // failback is "auto" now
  hanatd.wait_target("web", "primary");
  const WhyReport report = why(hanatd);
  const HistoryEntry* const reload = find(report, "reload");
  ASSERT_NE(reload, nullptr) << json(report).dump(2);
  EXPECT_EQ(reload->by, "root");
  ASSERT_TRUE(reload->changes);
  EXPECT_EQ(reload->changes->at(0).keys, (std::vector<KeyChange>{{.key = "failback", .before = "manual", .after = "auto"}}));
  EXPECT_THAT(text(hanatd), HasSubstr("reload by root: web: failback manual -> auto"));
}

TEST_F(WhyOfAGateway, AfterAnOverrideNamesWhoSetItAndWhatEndsIt) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--for", "30m", "--reason", "new disk"}).exit, 0);
  hanatd.wait_target("web", "backup");
  const std::string shown = text(hanatd);
  EXPECT_THAT(shown, HasSubstr("forced to backup"));
  EXPECT_THAT(shown, HasSubstr("by root"));
  EXPECT_THAT(shown, HasSubstr("new disk"));
  EXPECT_THAT(shown, HasSubstr("hanatctl auto web"));
  EXPECT_THAT(shown, Not(HasSubstr("no override")));
  const WhyReport report = why(hanatd);
  EXPECT_EQ(std::ranges::count(report.chain, "override", &HistoryEntry::kind), 1);
  EXPECT_FALSE(report.last_override) << "each fact once";
}

TEST_F(WhyOfAGateway, OfSeveralServicesIsAboutThoseThatAreNotFine) {
  TcpServer other{lab, Host::backup, 9443, "other"};
  Hanatd hanatd{lab, fast_service() + fast_service({.name = "mail", .listen = "203.0.113.10:25/tcp", .port = 9443})};
  hanatd.wait_for(
      [](const Status& now) { return server(service(now, "mail"), "backup").health == "up" && service(now, "mail").target == "backup"; });
  wait_both_up(hanatd);
  const Output output = hanatd.ctl({"--json", "why"});
  const json reply = json::parse(output.out);
  ASSERT_EQ(reply.at("services").size(), 1U) << output.out;
  EXPECT_EQ(reply.at("services").at(0).at("service"), "mail");
  EXPECT_EQ(hanatd.ctl({"why", "wbe"}).exit, 1);
  EXPECT_THAT(hanatd.ctl({"connections"}).err, HasSubstr("name a service; there are: web, mail"));
  EXPECT_THAT(hanatd.ctl({"force-backup"}).err, HasSubstr("name a service, or use --all; there are: web, mail"));
}

TEST_F(WhyOfAGateway, ItsHistoryOfCutsAddsUpToTheTotals) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  for (int move = 0; move < 30; ++move) {
    std::vector<TcpClient> clients;
    for (int client = 0; client < move % 4; ++client) {
      clients.emplace_back(lab, Host::client, Lab::vip(443));
      clients.back().ask();
    }
    ASSERT_EQ(hanatd.ctl({move % 2 == 0 ? "force-backup" : "force-primary", "web"}).exit, 0);
  }
  const Status status = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); });
  CutStatus sum;
  std::uint64_t nudged = 0;
  const json history = json::parse(hanatd.ctl({"--json", "history", "web"}).out);
  for (const auto& entry : history.at("history").get<std::vector<HistoryEntry>>()) {
    if (!entry.flip) continue;
    EXPECT_TRUE(entry.flip->cut_ms);
    sum.tcp += entry.flip->cut.tcp;
    nudged += entry.flip->nudged;
  }
  EXPECT_EQ(sum.tcp, service(status, "web").totals.cut.tcp);
  EXPECT_EQ(nudged, service(status, "web").totals.nudged);
  EXPECT_GT(sum.tcp, 20U);
}

} // namespace
} // namespace hanat::test
