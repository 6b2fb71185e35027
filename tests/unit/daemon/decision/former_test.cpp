// When the traffic leaves a target of before a reload. Not here: how a service comes to have one (failover/former_test).
#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/decision/decision.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time now{1'000s};

class FormerDecision : public testing::Test {
protected:
  std::vector<Candidate> servers{{.health = Health::unknown}, {.health = Health::unknown}, {.health = Health::up, .former = true}};
  DecisionInput input{.servers = {}, .current = 2, .forced = {}, .failback = Failback{}};

  Decision decide_now() {
    input.servers = servers;
    return decide(input, now);
  }
  void expect_stays() {
    const Decision decision = decide_now();
    EXPECT_EQ(decision.kind, TargetKind::server);
    EXPECT_EQ(decision.server, 2U);
    EXPECT_EQ(decision.reason, Reason::configuration);
  }
  void expect_moves_to(std::size_t server, Reason flip_reason) {
    const Decision decision = decide_now();
    EXPECT_EQ(decision.kind, TargetKind::server);
    EXPECT_EQ(decision.server, server);
    EXPECT_EQ(decision.flip_reason, flip_reason);
    EXPECT_EQ(decision.planned, flip_reason == Reason::configuration || flip_reason == Reason::forced);
  }
};

TEST_F(FormerDecision, StaysUntilTheFirstServerInOrderIsUp) {
  expect_stays();
  servers[1].health = Health::up;
  expect_stays();
  servers[0].health = Health::up;
  expect_moves_to(0, Reason::configuration);
  servers[0].health = Health::down;
  expect_moves_to(1, Reason::configuration);
}

TEST_F(FormerDecision, StaysWhereNoneIsUp) {
  for (const Health health : {Health::down, Health::full}) {
    servers[0].health = servers[1].health = health;
    expect_stays();
  }
  servers[2].health = Health::full;
  expect_stays();
  servers[2].health = Health::unknown;
  expect_stays();
}

TEST_F(FormerDecision, NeitherAFailbackTimeNorManualHoldsItBack) {
  servers[0].health = Health::up;
  input.failback.automatic = false;
  input.failback.after = 1h;
  expect_moves_to(0, Reason::configuration);
}

TEST_F(FormerDecision, PassesOverDisabledServers) {
  servers[0].health = servers[1].health = Health::up;
  servers[0].disabled = true;
  expect_moves_to(1, Reason::configuration);
  servers[1].disabled = true;
  expect_stays();
}

TEST_F(FormerDecision, ThatIsDownIsLeftAsAnyOther) {
  servers[2].health = Health::down;
  EXPECT_EQ(decide_now().kind, TargetKind::none);
  servers[1].health = Health::up;
  expect_moves_to(1, Reason::failover);
  input.keep_target = true;
  const Decision doubted = decide_now();
  EXPECT_EQ(doubted.server, 2U);
  EXPECT_EQ(doubted.reason, Reason::outage_doubted);
}

TEST_F(FormerDecision, OverrideOfBeforeTheReloadWaitsForItsServer) {
  input.forced = 1;
  expect_moves_to(1, Reason::forced);
  input.forced_waits = true;
  servers[0].health = Health::up;
  expect_stays();
  servers[1].health = Health::up;
  expect_moves_to(1, Reason::configuration);
  servers[1].health = Health::down;
  servers[2].health = Health::down;
  expect_moves_to(1, Reason::forced);
}

TEST_F(FormerDecision, MayHaveTheTrafficBackWhereNobodyHasIt) {
  input.current.reset();
  input.refused = true;
  servers[0].health = servers[1].health = Health::down;
  expect_moves_to(2, Reason::recovered);
}

} // namespace
} // namespace hanat
