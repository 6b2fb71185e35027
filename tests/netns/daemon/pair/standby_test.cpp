// The standby of a pair does no harm, and what happens to it does none: a wrong verdict, a dead conntrackd, a busy machine.
// With the real keepalived and conntrackd, and the examples that the package ships. Not here: the death of the active gateway for itself
// (takeover_test).
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/pair_lab.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;

TEST(PairStandby, AVerdictOfTheStandbyAloneCostsNothingWhenTheActiveGatewayDies) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  Meddling meddling{lab, Host::gateway_b};
  misjudge(lab, Host::gateway_b, 3s);
  EXPECT_EQ(meddling.deleted(), 0U) << lab.logs();
  EXPECT_EQ(meddling.forged(), 0U) << lab.logs();

  lab.kill(Host::gateway);

  lab.wait_active(Host::gateway_b);
  const FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
}

TEST(PairStandby, AConntrackdThatDiesOnTheStandbyHarmsNoFlowAndCatchesUpWhenItIsBack) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  lab.kill_conntrackd(Host::gateway_b);
  lab.must(Host::gateway_b, "conntrack -F");
  FlowReport report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
  lab.start_conntrackd(Host::gateway_b);
  lab.wait_copied(Host::gateway_b, 430);
  lab.kill(Host::gateway);
  lab.wait_active(Host::gateway_b);
  report = flows.check();
  EXPECT_EQ(report.broken(), 0U) << report << lab.logs();
}

/// HANAT_PAIR_SECONDS=60 makes it longer.
TEST(PairCalm, ABusyMachineMakesNoStandbyTakeOver) {
  const char* const named = std::getenv("HANAT_PAIR_SECONDS"); // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  const std::chrono::seconds time{named != nullptr ? std::stoi(named) : 5};
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  std::vector<Process> burners;
  for (int number = 0; number < 6; ++number) burners.push_back(lab.spawn(Host::client, {"sh", "-c", "while :; do :; done"}));
  std::this_thread::sleep_for(time);
  burners.clear();
  EXPECT_TRUE(lab.has_address(Host::gateway));
  EXPECT_EQ(lab.machine(Host::gateway_b).log().find("Entering MASTER STATE"), std::string::npos) << lab.logs();
}

} // namespace
} // namespace hanat::test
