// A keepalived or conntrackd that is dead is told of on both gateways, before the other gateway dies. With the real ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/pair_lab.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// It is looked at every second, and three times before anything is said.
constexpr std::chrono::milliseconds told_within{20'000};

auto programs_are(const std::string& keepalived, const std::string& there, const std::string& conntrackd_there = "ok") {
  return [=](const Status& now) {
    const auto& pair = now.daemon.pair;
    return pair && pair->peer && pair->keepalived == keepalived && pair->peer->keepalived == there &&
           pair->peer->conntrackd == conntrackd_there;
  };
}

TEST(PairPrograms, ThatDieOnTheStandbyAreToldOfOnBothGateways) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  const Hanatd &active = lab.hanatd(Host::gateway), &standby = lab.hanatd(Host::gateway_b);
  active.wait_for(programs_are("ok", "ok"), told_within);
  standby.wait_for(programs_are("ok", "ok"), told_within);
  EXPECT_THAT(standby.ctl({"doctor"}).out, AllOf(Not(HasSubstr("[keepalived-dead]")), HasSubstr("no client is sent by a standby")));

  lab.stop_keepalived(Host::gateway_b);
  lab.kill_conntrackd(Host::gateway_b);

  active.wait_for(programs_are("ok", "absent", "absent"), told_within);
  EXPECT_THAT(standby.ctl({"status"}).out, AllOf(HasSubstr("keepalived does not run (no program speaks VRRP here)"),
                                                 HasSubstr("systemctl status keepalived"), HasSubstr("conntrackd does not run: this")));
  EXPECT_THAT(active.ctl({"status"}).out, AllOf(HasSubstr("keepalived on the other gateway (198.18.20.2:9718) does not run"),
                                                HasSubstr("conntrackd on the other gateway (198.18.20.2:9718) does not run")));
  for (const Hanatd* hanatd : {&active, &standby}) {
    const Output check = hanatd->ctl({"status", "--check"});
    EXPECT_EQ(check.exit, 1) << check.out;
    EXPECT_THAT(check.out, AllOf(HasSubstr("WARNING: "), HasSubstr("keepalived does not run"), HasSubstr("conntrackd does not run")));
    EXPECT_THAT(hanatd->ctl({"doctor"}).out,
                AllOf(HasSubstr("[keepalived-dead]"), HasSubstr("[conntrackd-dead]"), HasSubstr("systemctl status keepalived")));
    EXPECT_THAT(hanatd->ctl({"history"}).out, HasSubstr("does not run (no program speaks VRRP"));
  }
  EXPECT_THAT(active.ctl({"metrics"}).out, HasSubstr("hanat_peer_keepalived{state=\"absent\"} 1"));

  lab.start_conntrackd(Host::gateway_b);
  lab.start_keepalived(Host::gateway_b);
  active.wait_for(programs_are("ok", "ok"), told_within);
  EXPECT_THAT(active.ctl({"history"}).out, HasSubstr("keepalived speaks VRRP again on the other gateway"));

  lab.stop_keepalived(Host::gateway_b);
  standby.wait_for(programs_are("absent", "ok"), told_within);
  lab.kill(Host::gateway);
  standby.wait_for([](const Status& now) { return is_lost(*now.daemon.pair->peer); }, told_within);
  const Output check = standby.ctl({"status", "--check"});
  EXPECT_EQ(check.exit, 2) << check.out;
  EXPECT_THAT(check.out, HasSubstr("CRITICAL: nobody may have 203.0.113.10"));
  EXPECT_THAT(standby.ctl({"status"}).out, testing::ContainsRegex("was (active|the standby), seen "))
      << "keepalived may have ended before hanatd";
}

} // namespace
} // namespace hanat::test
