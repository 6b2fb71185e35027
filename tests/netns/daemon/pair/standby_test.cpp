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

/// Packets that a gateway sends in the name of the service, and entries that it deletes, while this lives.
class Meddling {
public:
  Meddling(PairLab& lab, Host gateway) : lab_(lab), gateway_(gateway) {
    lab.must(
        gateway,
        "nft -f - <<END\ntable inet count {\nchain out {\ntype filter hook output priority -400; ip saddr 203.0.113.10 counter\n}\n}\nEND");
    before_ = entries();
  }
  std::size_t deleted() {
    const std::size_t now = entries();
    return now < before_ ? before_ - now : 0;
  }
  std::size_t forged() {
    return std::stoul(lab_.must(gateway_, "nft list table inet count | sed -n 's/.*counter packets \\([0-9]*\\) .*/\\1/p'"));
  }

private:
  /// Those of the service with the primary; UDP too, so within the time in which copies of UDP live.
  std::size_t entries() { return std::stoul(lab_.must(gateway_, "conntrack -L -d 203.0.113.10 -q 198.18.11.2 2>/dev/null | wc -l")); }

  PairLab& lab_;
  Host gateway_;
  std::size_t before_ = 0;
};

TEST(PairStandby, AVerdictOfTheStandbyAloneCostsNothingWhenTheActiveGatewayDies) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  Flows flows{lab, Host::client, lab.targets()};
  lab.wait_copied(Host::gateway_b, 430);
  Meddling meddling{lab, Host::gateway_b};
  lab.must(Host::gateway_b,
           "nft -f - <<END\ntable inet cut {\nchain out {\ntype filter hook output priority -300; ip daddr 198.18.11.2 drop\n}\n}\nEND");
  lab.hanatd(Host::gateway_b).wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "down"; });
  std::this_thread::sleep_for(3s); // as long as the standby has it wrong
  EXPECT_EQ(meddling.deleted(), 0U) << lab.logs();
  EXPECT_EQ(meddling.forged(), 0U) << lab.logs();
  lab.must(Host::gateway_b, "nft delete table inet cut");
  lab.hanatd(Host::gateway_b).wait_for([](const Status& now) { return server(service(now, "web"), "primary").health == "up"; });

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
