// What `hanatctl history` shows of real flips, before and after a restart. Not here: damaged files, full disks (unit).
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"

namespace hanat::test {
namespace {

std::vector<nlohmann::json> entries_of(const Hanatd& hanatd, const std::string& kind) {
  const Output output = hanatd.ctl({"--json", "history", "web"});
  EXPECT_EQ(output.exit, 0) << output.err;
  std::vector<nlohmann::json> result;
  const nlohmann::json answer = nlohmann::json::parse(output.out);
  for (const auto& entry : answer.at("history"))
    if (entry.at("kind") == kind) result.push_back(entry);
  return result;
}

TEST(HistoryOfAGateway, HasFlipsHealthAndOverridesAlsoAfterARestart) {
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
  Hanatd hanatd{lab, fast_service()};
  hanatd.wait_target("web", "primary");
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "backup").health == "up"; });
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  const Status status = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); });
  lab.silent(Host::primary, false);
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--reason", "a test"}).exit, 0);
  for (const bool restarted : {false, true}) {
    if (restarted) hanatd.restart();
    const auto flips = entries_of(hanatd, "flip");
    ASSERT_EQ(flips.size(), 3U);
    const FlipStatus& first = *service(status, "web").last_flip;
    EXPECT_EQ(flips[0].at("at"), first.at);
    EXPECT_EQ(flips[0].at("from"), "primary");
    EXPECT_EQ(flips[0].at("to"), "backup");
    EXPECT_EQ(flips[0].at("why"), "failover");
    EXPECT_EQ(flips[0].at("commit_us"), first.commit_us);
    EXPECT_EQ(flips[0].at("cut").at("tcp"), first.cut.tcp);
    EXPECT_EQ(flips[0].at("nudged"), 1U);
    EXPECT_FALSE(flips[0].at("cut_ms").is_null());
    EXPECT_EQ(flips[1].at("why"), "failback");
    EXPECT_EQ(flips[2].at("why"), "forced");
    if (restarted) {
      for (const auto& flip : flips)
        EXPECT_TRUE(!flip.at("cut_ms").is_null() || flip.value("interrupted", false)) << flip << " is cut no more";
    }
    EXPECT_GE(entries_of(hanatd, "health").size(), 3U);
    ASSERT_GE(entries_of(hanatd, "override").size(), 1U);
    EXPECT_NE(entries_of(hanatd, "override")[0].at("text").get<std::string>().find("a test"), std::string::npos);
  }
  EXPECT_EQ(hanatd.ctl({"history", "wbe"}).exit, 1);
  const Output shown = hanatd.ctl({"history"});
  EXPECT_NE(shown.out.find("primary -> backup, failover; committed in "), std::string::npos) << shown.out;
}

} // namespace
} // namespace hanat::test
