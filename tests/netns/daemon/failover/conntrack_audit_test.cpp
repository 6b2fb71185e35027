// The comparison of conntrack with the targets: entries that should not be, made by hand, are found and cut, and told of; what is anybody
// else's stays. Not here: flows that a policy lets stay (drain).
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/hanatd.hpp"
#include "tests/netns/lab/lab.hpp"
#include "tests/netns/lab/peers.hpp"
#include "tests/netns/lab/scenario.hpp"
#include "tests/netns/lab/synth.hpp"

namespace hanat::test {
namespace {

constexpr const char* every_second = "[hanatd]\nreconcile = \"1s\"\n";

class Reconcile : public testing::Test {
protected:
  static Vip web(Protocol protocol) { return {.address = Lab::vip(0).address, .protocol = protocol, .port = 443}; }
  static std::string both(const std::string& name, const std::string& address, const std::string& extra = {}) {
    return fast_service({.name = name, .listen = fmt::format("{0}:443/tcp\", \"{0}:443/udp", address), .extra = extra});
  }
  void make(const std::vector<Mapping>& mappings, std::size_t each, std::vector<Flow>& into, bool by_server = false) {
    for (const Mapping& mapping : mappings) {
      auto flows = flows_of(mapping, each, made);
      if (by_server) flows = opened_by_server(flows);
      made += each;
      into.insert(into.end(), flows.begin(), flows.end());
    }
    lab.in(Host::gateway, [&] { synthesise(into); });
  }
  /// How many of these are there still.
  std::size_t present(const std::vector<Flow>& flows) {
    return lab.in(Host::gateway, [&] {
      return count_entries([&](const Flow& entry) {
        return std::ranges::any_of(flows, [&](const Flow& flow) { return flow.mapping == entry.mapping && flow.client == entry.client; });
      });
    });
  }
  bool go(const std::vector<Flow>& flows, milliseconds deadline = milliseconds{10000}) {
    for (const auto end = TestClock::now() + deadline; TestClock::now() < end; std::this_thread::sleep_for(milliseconds{20}))
      if (present(flows) == 0) return true;
    return false;
  }

  Lab lab;
  TcpServer primary{lab, Host::primary, 8443, "primary"};
  TcpServer backup{lab, Host::backup, 8443, "backup"};
  std::size_t made = 0; // every flow has a client of its own
  const Endpoint at_primary = Lab::endpoint(Host::primary, 8443), at_backup = Lab::endpoint(Host::backup, 8443);
};

TEST_F(Reconcile, FindsAndCutsWhatNoTargetExplainsAndNothingElse) {
  Hanatd hanatd{lab, every_second + both("web", "203.0.113.10") + both("kept", "203.0.113.11", "on_failover = \"keep\"")};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("kept", "primary");
  TcpClient client{lab, Host::client, Lab::vip(443)};
  ASSERT_EQ(client.ask().text, "primary");
  const Vip other = vip("203.0.113.11", 443, Protocol::tcp);
  std::vector<Flow> unexpected;
  std::vector<Flow> bystanders;
  make({{web(Protocol::tcp), at_primary},
        {web(Protocol::udp), at_primary},                       // where they belong
        {other, at_backup},                                     // may have been kept
        {vip("203.0.113.10", 22, Protocol::tcp), at_backup},    // another port of the same address
        {vip("198.18.11.2", 8443, Protocol::tcp), at_primary}}, // the server, asked directly
       3, bystanders);
  make({{web(Protocol::tcp), at_backup},
        {web(Protocol::udp), at_backup},
        {web(Protocol::tcp), endpoint("198.18.11.2", 9999)},
        untranslated(web(Protocol::udp))},
       3, unexpected);
  EXPECT_TRUE(go(unexpected)) << present(unexpected) << " are left";
  EXPECT_EQ(present(bystanders), bystanders.size());
  EXPECT_EQ(client.ask().text, "primary");
  for (const char* words : {"found 6 unexpected flows (to 198.18.12.2:8443): they are cut now",
                            "found 3 unexpected flows (to 198.18.11.2:9999): they are cut now"})
    EXPECT_NE(hanatd.log().find(words), std::string::npos) << words << "\n" << hanatd.log();
}

TEST_F(Reconcile, FindsWhatIsLeftOfAServiceWithoutTargetAndNothingOfOneThatIsGone) {
  Hanatd hanatd{lab, every_second + both("web", "203.0.113.10") + both("gone", "203.0.113.11")};
  hanatd.wait_target("web", "primary");
  hanatd.wait_target("gone", "primary");
  primary.kill();
  backup.kill();
  hanatd.wait_target("web", "none");
  ASSERT_EQ(hanatd.reload(every_second + both("web", "203.0.113.10")).exit, 0);
  const auto is_loaded = [&] { return lab.must(Host::gateway, "nft list set inet hanat vips4").find("203.0.113.11") != std::string::npos; };
  for (const auto end = TestClock::now() + milliseconds{10000}; is_loaded();) ASSERT_LT(TestClock::now(), end);
  std::vector<Flow> unexpected;
  std::vector<Flow> bystanders;
  make({{vip("203.0.113.11", 443, Protocol::tcp), endpoint("198.18.11.2", 9999)}, {vip("203.0.113.11", 443, Protocol::udp), at_backup}}, 2,
       bystanders); // none of hanat's any more
  make({{web(Protocol::tcp), at_primary}, {web(Protocol::udp), at_backup}}, 2, unexpected);
  EXPECT_TRUE(go(unexpected, milliseconds{10000})) << present(unexpected) << " are left\n" << hanatd.log();
  EXPECT_EQ(present(bystanders), bystanders.size()) << hanatd.log();
}

TEST_F(Reconcile, FindsWhatAServerOpenedThatIsNotTheTargetAndNothingElse) {
  Hanatd hanatd{lab, every_second + both("web", "203.0.113.10") + both("kept", "203.0.113.11", "on_failover = \"keep\"") +
                         fast_service({.name = "all", .listen = "203.0.113.12:*/udp", .port = 0, .probe = "type = \"tcp\", port = 8443"})};
  for (const char* name : {"web", "kept", "all"}) hanatd.wait_target(name, "primary");
  const auto of_all = [](Host host, std::uint16_t port) {
    return Mapping{vip("203.0.113.12", port, Protocol::udp), Lab::endpoint(host, port)};
  };
  std::vector<Flow> unexpected;
  std::vector<Flow> bystanders;
  make({{web(Protocol::tcp), at_primary},
        {vip("203.0.113.11", 443, Protocol::tcp), at_backup}, // may have been kept
        {web(Protocol::udp), endpoint("198.18.11.3", 8443)},  // another machine behind the gateway
        {web(Protocol::udp), Lab::endpoint(Host::backup, 9000)},
        {vip("203.0.113.10", 8443, Protocol::tcp), at_backup}, // another port of the same address
        of_all(Host::backup, 40'000),                          // a backup asks somebody
        of_all(Host::primary, 5'060)},
       3, bystanders, true);
  make({{web(Protocol::tcp), at_backup}, {web(Protocol::udp), at_backup}, of_all(Host::backup, 5'060)}, 3, unexpected, true);
  EXPECT_TRUE(go(unexpected)) << present(unexpected) << " are left\n" << hanatd.log();
  EXPECT_EQ(present(bystanders), bystanders.size()) << hanatd.log();
}

TEST_F(Reconcile, AReloadChangesHowOftenItLooks) {
  Hanatd hanatd{lab, "[hanatd]\nreconcile = \"1h\"\n" + both("web", "203.0.113.10")};
  hanatd.wait_target("web", "primary");
  ASSERT_EQ(hanatd.reload(every_second + both("web", "203.0.113.10")).exit, 0);
  for (std::uint16_t look = 0; look < 3; ++look) { // the first comes by itself, ten seconds after the start
    std::vector<Flow> unexpected;                  // of another server each time: the sweeps of the last cut do not find them
    make({{web(Protocol::tcp), endpoint("198.18.11.2", static_cast<std::uint16_t>(9000 + look))}}, 2, unexpected);
    EXPECT_TRUE(go(unexpected, milliseconds{15000})) << "look " << look << ": " << present(unexpected) << " are left";
  }
}

TEST_F(Reconcile, WhatWasKeptForAListenerGoesWithIt) {
  const auto listening_at = [](const std::string& addresses) {
    return every_second + fast_service({.listen = addresses, .extra = "on_failover = \"keep\""});
  };
  Hanatd hanatd{lab, listening_at("203.0.113.10:443/tcp\", \"203.0.113.11:443/tcp")};
  hanatd.wait_target("web", "primary");
  const Vip taken = vip("203.0.113.11", 443, Protocol::tcp);
  std::vector<Flow> kept;
  std::vector<Flow> bystanders;
  make({{taken, at_backup}}, 3, kept);
  make({{web(Protocol::tcp), at_backup}, {taken, endpoint("198.18.11.2", 9999)}}, 3, bystanders); // kept on, and none of hanat's any more
  ASSERT_EQ(hanatd.reload(listening_at("203.0.113.10:443/tcp")).exit, 0);
  EXPECT_TRUE(go(kept)) << present(kept) << " are left\n" << hanatd.log();
  EXPECT_EQ(present(bystanders), bystanders.size()) << hanatd.log();
}

} // namespace
} // namespace hanat::test
