// The role of a gateway of a pair follows an address.
#include "daemon/pair/role.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

class RoleTest : public testing::Test {
protected:
  static constexpr Time start{1h};
  static constexpr WallTime wall{24h};
  RoleMachine machine;
};

TEST_F(RoleTest, WithoutAPairItIsAlone) {
  EXPECT_EQ(machine.role(), Role::alone);
  EXPECT_EQ(machine.on_address(true, start, wall), std::nullopt);
  EXPECT_EQ(machine.on_settled(start, wall), std::nullopt);
  EXPECT_EQ(machine.run(start, wall), std::nullopt);
  EXPECT_EQ(machine.next_wakeup(), std::nullopt);
}

TEST_F(RoleTest, WithoutTheAddressItIsStandbyFromTheStart) {
  EXPECT_EQ(machine.begin(false, true, 2s, start, wall), (RoleChange{.from = Role::alone, .to = Role::standby}));
  EXPECT_EQ(machine.since(), wall);
  EXPECT_EQ(machine.settled_at(), std::nullopt);
}

TEST_F(RoleTest, TheAddressMakesItSettleUntilItIsTold) {
  machine.begin(false, false, 2s, start, wall);
  EXPECT_EQ(machine.on_address(true, start + 10s, wall + 10s), (RoleChange{.from = Role::standby, .to = Role::settling}));
  EXPECT_EQ(machine.next_wakeup(), start + 12s);
  EXPECT_EQ(machine.on_address(true, start + 11s, wall + 11s), std::nullopt); // on another interface, too
  EXPECT_EQ(machine.on_settled(start + 11s, wall + 11s),
            (RoleChange{.from = Role::settling, .to = Role::active, .settled = Settled::told, .after = 1s}));
  EXPECT_EQ(machine.settled_at(), start + 11s);
  EXPECT_EQ(machine.since(), wall + 11s);
  EXPECT_EQ(machine.on_settled(start + 11s, wall + 11s), std::nullopt); // once
}

TEST_F(RoleTest, OrUntilTheLimit) {
  machine.begin(false, false, 2s, start, wall);
  machine.on_address(true, start, wall);
  EXPECT_EQ(machine.run(start + 1999ms, wall), std::nullopt);
  EXPECT_EQ(machine.run(start + 2s, wall),
            (RoleChange{.from = Role::settling, .to = Role::active, .settled = Settled::time_limit, .after = 2s}));
  EXPECT_EQ(machine.next_wakeup(), std::nullopt);
}

TEST_F(RoleTest, AReloadMayChangeTheLimit) {
  machine.begin(false, false, 2s, start, wall);
  machine.on_address(true, start, wall);
  machine.set_settle(500ms);
  EXPECT_EQ(machine.run(start + 500ms, wall)->settled, Settled::time_limit);
}

TEST_F(RoleTest, WithNothingToSettleItIsActiveAtOnce) {
  machine.begin(false, false, 0s, start, wall);
  EXPECT_EQ(machine.on_address(true, start, wall),
            (RoleChange{.from = Role::standby, .to = Role::active, .settled = Settled::at_once, .after = 0s}));
}

TEST_F(RoleTest, WithoutTheAddressItIsStandbyAtOnce) {
  machine.begin(true, true, 2s, start, wall);
  EXPECT_EQ(machine.role(), Role::active);
  EXPECT_EQ(machine.on_address(false, start + 1s, wall), (RoleChange{.from = Role::active, .to = Role::standby}));
  EXPECT_EQ(machine.settled_at(), std::nullopt);
  machine.on_address(true, start + 2s, wall);
  EXPECT_EQ(machine.on_address(false, start + 3s, wall), (RoleChange{.from = Role::settling, .to = Role::standby}));
  EXPECT_EQ(machine.run(start + 1h, wall), std::nullopt); // a limit of before is void
}

TEST_F(RoleTest, ARestartOfASettledGatewayGoesOn) {
  EXPECT_EQ(machine.begin(true, true, 2s, start, wall),
            (RoleChange{.from = Role::alone, .to = Role::active, .settled = Settled::at_once, .after = 0s}));
}

TEST_F(RoleTest, ARestartOfOneThatWasNotSettles) {
  EXPECT_EQ(machine.begin(true, false, 2s, start, wall), (RoleChange{.from = Role::alone, .to = Role::settling}));
  EXPECT_EQ(machine.next_wakeup(), start + 2s);
}

TEST_F(RoleTest, AReloadMayEndThePair) {
  machine.begin(false, false, 2s, start, wall);
  EXPECT_EQ(machine.end(wall), (RoleChange{.from = Role::standby, .to = Role::alone}));
  EXPECT_EQ(machine.end(wall), std::nullopt);
}

TEST_F(RoleTest, EveryRoleHasAWord) {
  EXPECT_EQ(to_text(Role::alone), "alone");
  EXPECT_EQ(to_text(Role::standby), "standby");
  EXPECT_EQ(to_text(Role::settling), "settling");
  EXPECT_EQ(to_text(Role::active), "active");
  EXPECT_TRUE(is_unsettled(Role::standby) && is_unsettled(Role::settling));
  EXPECT_FALSE(is_unsettled(Role::alone) || is_unsettled(Role::active));
}

} // namespace
} // namespace hanat
