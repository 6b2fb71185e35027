// A gateway of a pair dies under connections of every kind: none of them breaks, and who connects a moment later notices nothing.
// With the real keepalived and conntrackd, and the examples that the package ships.
#include <ostream>
#include <thread>

#include <gmock/gmock.h>

#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/pair_lab.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;

struct Setup {
  PairMode mode = PairMode::inject;
  Family family = Family::ipv4;
  const char* snat = "none";
  std::string name;
};
void PrintTo(const Setup& setup, std::ostream* stream) { *stream << setup.name; }

class PairTakeover : public testing::TestWithParam<Setup> {};

TEST_P(PairTakeover, NoFlowBreaksWhenAGatewayDiesAndNewConnectsAreNotDelayedAMomentLater) {
  PairLab lab{{.mode = GetParam().mode, .family = GetParam().family, .snat = GetParam().snat}};
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  Load load{lab, Host::client, lab.targets().lines, {.per_second = 200, .duration = 2s}};

  const auto death = lab.kill(Host::gateway);

  lab.wait_active(Host::gateway_b);
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
  EXPECT_THAT(report.by, testing::ElementsAre(testing::Pair("primary", 420U)));
  for (const Connect& connect : load.finish().connects)
    if (connect.started > death + 200ms) {
      EXPECT_EQ(connect.result, Result::answered) << (connect.started - death) / 1ms;
      EXPECT_LT(connect.connected, 500ms) << (connect.started - death) / 1ms;
    }
}

INSTANTIATE_TEST_SUITE_P(Modes, PairTakeover,
                         testing::Values(Setup{.name = "Inject"}, Setup{.mode = PairMode::ftfw, .name = "Ftfw"},
                                         Setup{.family = Family::ipv6, .snat = "fixed", .name = "InjectIPv6Snat"},
                                         Setup{.mode = PairMode::ftfw, .family = Family::ipv6, .name = "FtfwIPv6"}),
                         [](const auto& one) { return one.param.name; });

TEST(PairTakeovers, AnOverrideOnTheGatewayThatDiesHolds) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  ASSERT_EQ(lab.hanatd(Host::gateway).ctl({"force-backup", "web"}).exit, 0);
  lab.hanatd(Host::gateway_b).wait_target("web", "backup");
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  lab.kill(Host::gateway);
  lab.wait_active(Host::gateway_b);
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
  EXPECT_THAT(report.by, testing::ElementsAre(testing::Pair("backup", 420U)));
  EXPECT_EQ(connect_once(lab, Host::client, lab.targets().lines).text, "backup");
}

/// Nobody takes the addresses away from a gateway whose keepalived died, and the other one has them, too. systemd starts it again, with the
/// drop-in that is shipped, and then it is the standby.
TEST(PairTakeovers, AKeepalivedThatDiesAloneBreaksNoFlow) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  // All of it at once, so that none of it can put things in order; with a /proc that has the machine's own processes.
  const Output killed = lab.machine(Host::gateway)
                            .run("unshare --mount sh -c 'mount -t proc proc /proc && pid=$(cat /run/keepalived.pid) && "
                                 "kill -STOP $pid && kill -KILL $(pgrep -P $pid) $pid'");
  ASSERT_EQ(killed.exit, 0) << killed.err;
  EXPECT_TRUE(lab.has_address(Host::gateway));
  lab.machine(Host::gateway).run("rm -f /run/keepalived.pid /run/vrrp.pid"); // nobody reaps its processes here, so that they look alive
  std::this_thread::sleep_for(100ms);                                        // RestartSec in keepalived.service.conf
  lab.start_keepalived(Host::gateway);
  lab.wait_active(Host::gateway_b);
  lab.hanatd(Host::gateway).wait_for([](const Status& now) { return now.daemon.pair && now.daemon.pair->role == "standby"; });
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
  EXPECT_EQ(connect_once(lab, Host::client, lab.targets().lines).text, "primary");
}

/// Connections of the dead server cannot be saved. But their clients are told, and UDP and new clients go on with the backup.
TEST(PairTakeovers, AServerAndItsGatewayThatDieTogetherLeaveNobodyHanging) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  lab.silent(Host::primary, true);
  lab.kill(Host::gateway);
  lab.wait_active(Host::gateway_b);
  lab.hanatd(Host::gateway_b).wait_target("web", "backup");
  const FlowReport report = flows.check();
  EXPECT_EQ(report.busy.hung + report.idle.hung + report.push.hung + report.udp.broken(), 0U) << report << lab.logs();
  EXPECT_EQ(connect_once(lab, Host::client, lab.targets().lines).text, "backup");
}

} // namespace
} // namespace hanat::test
