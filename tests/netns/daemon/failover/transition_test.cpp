// The stages of a cut, seen in conntrack and in the figures: TCP entries stay for a second after the flip, sweeps go on until one finds
// nothing, and each flip counts its own clients. Not here: what clients see of it (sessions, nudge), how entries are found and deleted
// (cut).
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/api/client.hpp"
#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

using std::this_thread::sleep_for;
using testing::HasSubstr;
using testing::Not;

class Transition : public testing::Test {
protected:
  void begin(const std::string& text) {
    hanatd.emplace(lab, text);
    hanatd->wait_target("web", "primary");
    hanatd->wait_for([](const Status& now) {
      const auto& servers = service(now, "web").servers;
      return std::ranges::all_of(servers, [](const ServerStatus& one) { return one.health == "up"; });
    });
  }
  /// Entries of clients of the service that lead to the primary.
  std::size_t entries() {
    return lab.in(Host::gateway, [&] { return count_entries([&](const Flow& entry) { return entry.mapping == old_mapping; }); });
  }
  /// Until there is none; false: some are there at the deadline.
  bool entries_go(milliseconds deadline = milliseconds{5000}) {
    for (const auto end = TestClock::now() + deadline; entries() > 0; sleep_for(milliseconds{5}))
      if (TestClock::now() > end) return false;
    return true;
  }
  /// Makes conntrack entries of the old target for so long, as late packets would. False: there was a gap about as long as the second
  /// between two sweeps.
  bool keep_making_entries(milliseconds time) {
    TestClock::duration longest_gap{};
    auto last = TestClock::now();
    for (const auto end = last + time; TestClock::now() < end; sleep_for(milliseconds{20})) {
      lab.in(Host::gateway, [&] { synthesise(flows_of(old_mapping, 1, ++made)); });
      longest_gap = std::max(longest_gap, TestClock::now() - last);
      last = TestClock::now();
    }
    return longest_gap < milliseconds{700};
  }

  Lab lab{{.backup2 = true}};
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  TcpServer backup2{lab, Host::backup2, 8443, "backup2"};
  const Mapping old_mapping{vip("203.0.113.10", 443, Protocol::tcp), Lab::endpoint(Host::primary, 8443)};
  std::size_t made = 0; // entries; each has a client of its own
  std::optional<Hanatd> hanatd;
};

TEST_F(Transition, TcpEntriesStayForTheSecondInWhichTheirClientsAreReset) {
  begin(fast_service({.extra = "nudge = false"}));
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  lab.silent(Host::primary, true);
  const auto flip = moment_of(service(hanatd->wait_target("web", "backup"), "web").last_flip->at);
  EXPECT_TRUE(entries_go());
  EXPECT_GE(TestClock::now() - flip, milliseconds{1000});
  EXPECT_EQ(client.ask().result, Result::reset);
}

TEST_F(Transition, SweepsGoOnUntilOneFindsNothing) {
  begin(fast_service());
  bool steady = false;
  for (int round = 0; round < 3 && !steady; ++round) {
    hanatd->wait_target("web", "primary");
    const std::size_t log_before = hanatd->log().size();
    lab.silent(Host::primary, true);
    hanatd->wait_target("web", "backup");
    steady = keep_making_entries(milliseconds{3600});
    const bool gone = entries_go();
    lab.silent(Host::primary, false);
    if (!steady) continue; // a sweep may have found nothing
    EXPECT_TRUE(gone) << entries() << " are left";
    EXPECT_THAT(hanatd->log().substr(log_before), Not(HasSubstr("unexpected flow")))
        << "found by the comparison of conntrack, not by a sweep";
  }
  EXPECT_TRUE(steady) << "the machine is too busy for this test";
}

TEST_F(Transition, ClientsAreCountedForTheFlipThatMovedThemNotForTheNextOne) {
  std::string text = fast_service();
  const std::string one = fmt::format("backup = \"{}\"", to_text(Lab::endpoint(Host::backup, 8443)));
  text.replace(
      text.find(one), one.size(),
      fmt::format("backup = [\"{}\", \"{}\"]", to_text(Lab::endpoint(Host::backup, 8443)), to_text(Lab::endpoint(Host::backup2, 8443))));
  begin(text);
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  // Without hanatctl: both must come within the 50 ms after which the clients of a planned move are told.
  for (const char* server : {"backup", "backup2"}) call(hanatd->socket(), "Force", {{"service", "web"}, {"server", server}});
  EXPECT_EQ(client.wait_for_end(milliseconds{3000}).result, Result::reset);
  const Status status = hanatd->wait_for([](const Status& now) { return service(now, "web").totals.cut.tcp == 1; });
  const ServiceStatus& web = service(status, "web");
  EXPECT_EQ(web.flips, 2U);
  EXPECT_EQ(web.totals.nudged, 1U);
  EXPECT_EQ(web.last_flip->to, "backup2");
  EXPECT_EQ(web.last_flip->nudged, 0U) << "nobody was on backup";
  EXPECT_EQ(web.last_flip->cut.tcp, 0U);
}

} // namespace
} // namespace hanat::test
