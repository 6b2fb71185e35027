// Which policy the flows of an old target go by: planned work by on_forced or what the operator asked for, the rest by its own key. Not
// here: what a drain or a reset is (desired_state_drain_test).
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat::planning {
namespace {

constexpr FlowPolicy ten_seconds{.action = FlowAction::drain, .time = 10s}, keep_them{.action = FlowAction::keep, .time = {}};

/// What the flows that leave the primary do: "reset", or until when they drain.
struct Left {
  bool tcp_drains = false, udp_drains = false;
  std::optional<Time> until = {};
  bool operator==(const Left&) const = default;
};
Left left_by(ServiceState& service, const Decision& decision) {
  Left left;
  for (const Eviction& eviction : desired_state(service, decision, moment).evictions) {
    if (!eviction.drain || eviction.untranslated) continue;
    (eviction.mappings.front().vip.protocol == Protocol::tcp ? left.tcp_drains : left.udp_drains) = true;
    left.until = eviction.drain->until;
  }
  return left;
}
constexpr Left all_drain{.tcp_drains = true, .udp_drains = true, .until = moment + 60s};

ServiceState at_the_primary() {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().on_forced = ServiceConfig{}.on_forced;
  return service;
}
Decision to_backup(Reason flip_reason, bool planned) {
  Decision decision = decision_for(Destination::backup, flip_reason);
  decision.planned = planned;
  return decision;
}

TEST(PlannedMove, DrainsForAMinuteUnlessTheConfigurationSaysOtherwise) {
  ServiceState service = at_the_primary();
  EXPECT_EQ(left_by(service, to_backup(Reason::forced, true)), all_drain);
  EXPECT_EQ(left_by(service, to_backup(Reason::disabled, true)), all_drain);
  EXPECT_EQ(left_by(service, to_backup(Reason::failback, true)), all_drain) << "after enable, or the end of an override";
  service.config.edit().on_forced = {};
  EXPECT_EQ(left_by(service, to_backup(Reason::disabled, true)), Left{});
}

TEST(PlannedMove, IsNoFailoverAndNoFailback) {
  ServiceState service = at_the_primary();
  EXPECT_EQ(left_by(service, to_backup(Reason::failover, false)), Left{});
  EXPECT_EQ(left_by(service, to_backup(Reason::failback, false)), Left{});
  EXPECT_EQ(left_by(service, decision_for(Destination::none)), Left{}) << "without a target nothing drains";
}

TEST(PlannedMove, GoesByWhatTheOperatorAskedFor) {
  ServiceState service = at_the_primary();
  service.asked_flows = ten_seconds;
  EXPECT_EQ(left_by(service, to_backup(Reason::forced, true)), (Left{.tcp_drains = true, .udp_drains = true, .until = moment + 10s}));
  service.asked_flows = FlowPolicy{};
  EXPECT_EQ(left_by(service, to_backup(Reason::forced, true)), Left{});
  service.asked_flows = keep_them;
  EXPECT_EQ(left_by(service, to_backup(Reason::failover, false)), Left{}) << "not for a failover that comes in between";
}

TEST(PlannedMove, IsOneThatAReloadMakes) {
  ServiceState service = at_the_primary();
  EXPECT_EQ(left_by(service, to_backup(Reason::starting, false)), all_drain) << "nothing was decided: an endpoint got another server";
  EXPECT_EQ(left_by(service, to_backup(Reason::failover, false)), Left{});
  service.config.edit().servers[0].addresses = {endpoint("198.18.9.9", 8443)};
  EXPECT_EQ(left_by(service, to_backup(Reason::failover, false)), all_drain) << "the old target is no server of it any more";
}

} // namespace
} // namespace hanat::planning
