// What `hanatctl history` shows of real flips, before and after a restart. Not here: damaged files, full disks (unit).
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
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

class HistoryOfAGateway : public testing::Test {
protected:
  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"}, backup{lab, Host::backup, 8443, "backup"};
};

TEST_F(HistoryOfAGateway, HasFlipsHealthAndOverridesAlsoAfterARestart) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
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
  const std::string from = "primary " + to_text(Lab::endpoint(Host::primary, 8443)),
                    to = "backup " + to_text(Lab::endpoint(Host::backup, 8443));
  EXPECT_NE(shown.out.find(from + " -> " + to + ", failover; committed in "), std::string::npos) << shown.out;
}

std::vector<HistoryEntry> all_entries(const Hanatd& hanatd) {
  return nlohmann::json::parse(hanatd.ctl({"--json", "history"}).out).at("history").get<std::vector<HistoryEntry>>();
}

/// The first entry that `wanted` accepts.
template <typename Wanted> std::size_t place_of(const std::vector<HistoryEntry>& entries, Wanted wanted) {
  const auto found = std::find_if(entries.begin(), entries.end(), wanted);
  EXPECT_NE(found, entries.end());
  return static_cast<std::size_t>(found - entries.begin());
}

TEST_F(HistoryOfAGateway, HasReloadsAndEveryCauseStandsBeforeItsEffect) {
  Hanatd hanatd{lab, fast_service({.extra = "failback = \"manual\""})};
  wait_both_up(hanatd);
  primary.kill();
  hanatd.wait_target("web", "backup");
  primary.start();
  hanatd.wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "up"; });
  ASSERT_EQ(hanatd.reload("[service.web]\nlisten = 5\n").exit, 2);
  ASSERT_EQ(hanatd.reload(fast_service()).exit, 0); // failback is "auto" now
  hanatd.wait_target("web", "primary");
  const auto entries = all_entries(hanatd);
  for (std::size_t index = 1; index < entries.size(); ++index)
    EXPECT_LE(entries[index - 1].at, entries[index].at) << entries[index - 1].text << "\n" << entries[index].text;
  const auto flip_to = [&](const std::string& role) {
    return place_of(entries, [&](const HistoryEntry& entry) { return entry.flip && entry.flip->to == role; });
  };
  const auto with_text = [&](const std::string& text) {
    return place_of(entries, [&](const HistoryEntry& entry) { return entry.text.find(text) != std::string::npos; });
  };
  EXPECT_LT(with_text("is down"), flip_to("backup"));
  const std::size_t refused = with_text("reload refused (by root): the new configuration has"), reload = with_text("read again (by root)");
  EXPECT_LT(flip_to("backup"), refused);
  EXPECT_EQ(entries[refused].kind, "reload");
  EXPECT_LT(refused, reload);
  EXPECT_LT(reload, flip_to("primary")) << "the reload moved it";
  EXPECT_EQ(entries[reload].by, "root");
  EXPECT_EQ(entries[reload].reload.value().changed, 1U);
  EXPECT_EQ(entries[flip_to("primary")].at, service(hanatd.status(), "web").since) << "one reading of the clock";
}

TEST_F(HistoryOfAGateway, SaysWhoBeganAndEndedAnOverrideOnceEach) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--for", "30m", "--reason", "a test"}).exit, 0);
  hanatd.restart();
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  const auto overrides = entries_of(hanatd, "override");
  ASSERT_EQ(overrides.size(), 2U) << "a restart is no new override";
  const auto text = overrides[0].at("text").get<std::string>();
  EXPECT_NE(text.find("forced to backup (" + to_text(Lab::endpoint(Host::backup, 8443)) + ") by root for 30m (a test)"), std::string::npos)
      << text;
  EXPECT_TRUE(overrides[0].contains("until"));
  EXPECT_EQ(overrides[1].at("text"), "the override was ended by root: health decides again");
  EXPECT_EQ(overrides[1].at("by"), "root");
}

TEST_F(HistoryOfAGateway, IsShownInPartsAndFollowed) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  ASSERT_EQ(hanatd.ctl({"force-backup", "web"}).exit, 0);
  hanatd.wait_target("web", "backup");
  const auto count = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"--json", "history"});
    const Output output = hanatd.ctl(options);
    EXPECT_EQ(output.exit, 0) << output.err;
    return nlohmann::json::parse(output.out).at("history").size();
  };
  const std::size_t all = count({});
  ASSERT_GE(all, 4U);
  EXPECT_EQ(count({"-n", "2"}), 2U);
  EXPECT_EQ(count({"web", "-n", "100"}), all);
  EXPECT_EQ(count({"--since", "1h"}), all);
  EXPECT_EQ(count({"--until", "1h"}), 0U);
  const auto newest = all_entries(hanatd).back();
  EXPECT_EQ(newest.flip.value().why, "forced");
  EXPECT_GE(count({"--since", newest.at}), 1U);
  EXPECT_LT(count({"--since", newest.at}), all);

  const std::filesystem::path file = hanatd.state() / "followed";
  const Fd out{open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  Process follower =
      lab.spawn(Host::gateway, {hanatctl_program(), "--socket", hanatd.socket(), "history", "-n", "1", "--follow"}, out.get(), out.get());
  const auto followed = [&] {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  };
  const auto wait_for_text = [&](const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (followed().find(text) == std::string::npos && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    EXPECT_NE(followed().find(text), std::string::npos) << text << " is not in\n" << followed();
  };
  const std::string flip = fmt::format("primary {} -> backup {}, forced", to_text(Lab::endpoint(Host::primary, 8443)),
                                       to_text(Lab::endpoint(Host::backup, 8443)));
  wait_for_text(flip);
  ASSERT_EQ(hanatd.ctl({"auto", "web"}).exit, 0);
  wait_for_text("the override was ended by root");
  wait_for_text(", failback; committed in ");
  wait_for_text("flows of backup; conntrack is clean"); // what was still being cut then
  hanatd.restart();
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.ctl({"force-backup", "web", "--reason", "once more"}).exit, 0);
  wait_for_text("by root (once more)");
  const std::string text = followed();
  EXPECT_EQ(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(text.find(flip)), '\n'), 1)
      << "the day, then only the newest entry of before:\n"
      << text;
  follower.kill();
}

TEST_F(HistoryOfAGateway, DoesNotCountAFinishedConnectionAsCut) {
  Hanatd hanatd{lab, fast_service()};
  wait_both_up(hanatd);
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  ASSERT_EQ(connect_once(lab, Host::client, Lab::vip(443)).text, "primary");
  const std::string finished = "conntrack -L -p tcp --orig-dst 203.0.113.10 --state TIME_WAIT 2>/dev/null | wc -l";
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (lab.must(Host::gateway, finished) != "1\n" && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  ASSERT_EQ(lab.must(Host::gateway, finished), "1\n");
  lab.silent(Host::primary, true);
  hanatd.wait_target("web", "backup");
  const Status status = hanatd.wait_for([](const Status& now) { return service(now, "web").last_flip->cut_ms.has_value(); });
  EXPECT_EQ(service(status, "web").last_flip->cut.tcp, 1U) << "that of the client that is still connected";
  EXPECT_EQ(lab.must(Host::gateway, finished), "0\n") << "its entry is gone all the same";
}

} // namespace
} // namespace hanat::test
