// The direction in which a dead program does harm: who gets no copies, who cannot take over.
#include "daemon/api/pair_texts.hpp"

#include <gtest/gtest.h>

namespace hanat {
namespace {

const PairSide own_active{}, own_standby{.standby = true}, other_active{.peer = "10.0.1.2:9718"},
    other_standby{.peer = "10.0.1.2:9718", .standby = true};

TEST(PairTexts, SayWhoGetsNoCopies) {
  EXPECT_EQ(conntrackd_text(false, own_active),
            "conntrackd does not run: the other gateway gets no copies of new connections, and they break when it takes over");
  EXPECT_EQ(conntrackd_text(false, own_standby),
            "conntrackd does not run: this gateway gets no copies of new connections, and they break when it takes over");
  EXPECT_EQ(conntrackd_text(false, other_active),
            "conntrackd on the other gateway (10.0.1.2:9718) does not run: this gateway gets no copies of new connections, and they break "
            "when it takes over");
  EXPECT_EQ(conntrackd_text(true, other_standby),
            "conntrackd on the other gateway (10.0.1.2:9718) hangs, or is too slow for what conntrack tells it: the other gateway gets the "
            "newest connections late or never, and they break when it takes over");
  EXPECT_EQ(conntrackd_remedy(false, own_active), "systemctl restart conntrackd");
  EXPECT_EQ(conntrackd_remedy(false, other_active), "on the other gateway: systemctl restart conntrackd");
}

TEST(PairTexts, SayWhoCannotTakeOver) {
  EXPECT_EQ(keepalived_dead_text(own_standby),
            "keepalived does not run (no program speaks VRRP here): this gateway cannot take over when the other one dies");
  EXPECT_EQ(
      keepalived_dead_text(other_standby),
      "keepalived on the other gateway (10.0.1.2:9718) does not run (no program speaks VRRP there): that gateway cannot take over when "
      "this one dies");
  EXPECT_EQ(keepalived_dead_text(own_active),
            "keepalived does not run (no program speaks VRRP here): the other gateway hears nothing of this one, and takes the addresses, "
            "too");
  EXPECT_EQ(keepalived_remedy(other_standby), "on the other gateway: systemctl status keepalived; systemctl restart keepalived");
}

} // namespace
} // namespace hanat
