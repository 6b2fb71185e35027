// A conntrackd that does not do its work is told of: by the status, the history, the metrics and the doctor. With the real one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/load.hpp"
#include "tests/netns/lab/pair_lab.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

auto conntrackd_is(const std::string& state) {
  return [state](const Status& now) { return now.daemon.pair && now.daemon.pair->conntrackd == state; };
}

// It is looked at every second, and three times before anything is said.
constexpr std::chrono::milliseconds long_enough{20'000};

TEST(PairConntrackd, ThatHangsOrDiesIsToldOf) {
  PairLab lab;
  PairServers servers{lab};
  lab.start();
  const Hanatd& hanatd = lab.hanatd(Host::gateway);
  hanatd.wait_for(conntrackd_is("ok"), long_enough);
  {
    const Load load{lab, Host::client, lab.targets().lines, {.per_second = 200, .duration = std::chrono::milliseconds{60'000}}};
    lab.freeze_conntrackd(Host::gateway, true);
    hanatd.wait_for(conntrackd_is("behind"), long_enough);
    EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("conntrackd hangs, or is too slow"));
    EXPECT_THAT(hanatd.ctl({"doctor", "web"}).out, HasSubstr("conntrackd hangs, or is too slow"));
    EXPECT_THAT(hanatd.ctl({"metrics"}).out, HasSubstr("hanat_pair_conntrackd{state=\"behind\"} 1"));
    lab.freeze_conntrackd(Host::gateway, false);
    hanatd.wait_for(conntrackd_is("ok"), long_enough);
  }
  lab.kill_conntrackd(Host::gateway);
  hanatd.wait_for(conntrackd_is("absent"), long_enough);
  EXPECT_THAT(hanatd.ctl({"status"}).out, HasSubstr("systemctl restart conntrackd"));
  lab.start_conntrackd(Host::gateway);
  hanatd.wait_for(conntrackd_is("ok"), long_enough);
  EXPECT_THAT(hanatd.ctl({"history"}).out, HasSubstr("conntrackd carries connections to the other gateway again"));
  EXPECT_EQ(lab.hanatd(Host::gateway_b).log().find("conntrackd does not run"), std::string::npos) << lab.logs();
}

} // namespace
} // namespace hanat::test
