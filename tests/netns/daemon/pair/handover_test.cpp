// The addresses of a pair move although nobody died: planned, to and fro, or because the active gateway reaches no server.
// With the real keepalived and conntrackd, and the examples that the package ships. Not here: the death of a gateway (takeover_test).
#include <ostream>

#include <gtest/gtest.h>

#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/pair_lab.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;

class PairHandover : public testing::TestWithParam<PairMode> {
protected:
  /// What an operator does: keepalived is restarted where it is active.
  static void hand_over(PairLab& lab, Host from, Host to) {
    lab.stop_keepalived(from);
    lab.wait_active(to);
    lab.wait_notified(to, "master");
    lab.start_keepalived(from);
    lab.wait_notified(from, "backup");
  }
};

TEST_P(PairHandover, BreaksNoFlow) {
  PairLab lab{{.mode = GetParam()}};
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  hand_over(lab, Host::gateway, Host::gateway_b);
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
}

TEST_P(PairHandover, BreaksNoFlowToAndFroThreeTimes) {
  PairLab lab{{.mode = GetParam()}};
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  for (int times = 0; times < 3; ++times) {
    hand_over(lab, Host::gateway, Host::gateway_b);
    lab.wait_copied(Host::gateway, 430);
    hand_over(lab, Host::gateway_b, Host::gateway);
    lab.wait_copied(Host::gateway_b, 430);
  }
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
}

INSTANTIATE_TEST_SUITE_P(Modes, PairHandover, testing::Values(PairMode::inject, PairMode::ftfw),
                         [](const auto& one) { return one.param == PairMode::inject ? "Inject" : "Ftfw"; });

TEST(PairFit, AGatewayThatReachesNoServerGivesTheAddressesAway) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  const auto cut = TestClock::now();
  lab.must(Host::gateway,
           "nft -f - <<END\ntable inet cut {\nchain in {\ntype filter hook prerouting priority -300; iifname eth1 drop\n}\n}\nEND");
  lab.wait_active(Host::gateway_b);
  EXPECT_LT(TestClock::now() - cut, 3s);
  EXPECT_EQ(lab.machine(Host::gateway).read("/run/hanat/fit"), "1\n");
  EXPECT_EQ(lab.machine(Host::gateway_b).read("/run/hanat/fit"), "0\n");
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
}

TEST(PairFit, APulledCableToTheServersMovesTheAddresses) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  lab.plug(Host::gateway, "eth1", false);
  lab.wait_active(Host::gateway_b);
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
}

/// Neither is better than the other: one has to stay active, so that clients are refused and do not hang.
TEST(PairFit, WithoutAnyServerOneGatewayStaysActiveAndRefuses) {
  PairLab lab;
  std::optional<PairServers> servers(std::in_place, lab);
  lab.start();
  servers.reset();
  for (const Host host : {Host::gateway, Host::gateway_b}) lab.hanatd(host).wait_target("web", "none");
  const auto refused = [&] { return connect_once(lab, Host::client, lab.targets().lines, 500ms).result == Result::refused; };
  for (const auto end = TestClock::now() + 5s; !refused();) ASSERT_LT(TestClock::now(), end) << lab.logs();
  EXPECT_NE(lab.has_address(Host::gateway), lab.has_address(Host::gateway_b)) << lab.logs();
}

} // namespace
} // namespace hanat::test
