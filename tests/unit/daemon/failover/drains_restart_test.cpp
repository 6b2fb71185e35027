// How flows that stay at an old target are remembered over a restart. Not here: the file (state/state_file_test).
#include "daemon/failover/drains.hpp"
#include "tests/unit/daemon/failover/drains_fixture.hpp"

namespace hanat::test {
namespace {

TEST_F(DrainsTest, KeptFlowsAreSavedWithoutAnEndAndCutsAreNotSaved) {
  flipped(kept_policy);
  go(add_at(small_service("other", 80), 0), to_server(1));
  const auto saved = evictions.saved_drains();
  ASSERT_EQ(saved.size(), 1U);
  EXPECT_EQ(saved.front().until, std::nullopt);
}

TEST_F(DrainsTest, ADrainGoesOnAfterARestart) {
  ServiceState& service = add_at(web(), 1);
  evictions.restore({{.service = "web", .comment = "web primary", .until = wall_now() + 30s, .flows = {primary_tcp, primary_udp}}}, now);
  ASSERT_EQ(service.evictions.size(), 2U); // TCP apart
  for (const Eviction& eviction : service.evictions) {
    EXPECT_GT(*eviction.drain->until, now + 25s);
    EXPECT_LE(*eviction.drain->until, now + 30s);
  }
  EXPECT_EQ(events(said::drain_begun), 2U);
  EXPECT_TRUE(outbox.drains_changed);
  EXPECT_TRUE(service.dirty);
  EXPECT_TRUE(run());
  EXPECT_EQ(job().nudge, std::set{primary_tcp});
}

TEST_F(DrainsTest, WhatAFullServerKeepsIsRememberedAsThat) {
  ServiceState& service = add_at(web(), 1);
  const SavedDrain saved{.service = "web", .comment = "web primary", .until = std::nullopt, .until_down = true, .flows = {primary_tcp}};
  evictions.restore({saved}, now);
  ASSERT_EQ(service.evictions.size(), 1U);
  EXPECT_TRUE(service.evictions[0].drain->until_down);
  EXPECT_EQ(evictions.saved_drains(), std::vector{saved});
}

TEST_F(DrainsTest, FlowsOnTheirWayOutAreNoDrainAfterARestart) {
  ServiceState& service = add_at(web(), 1);
  service.loaded.stale[primary_tcp] = "web primary";
  evictions.restore({{.service = "web", .comment = "web primary", .until = std::nullopt, .flows = {primary_tcp, primary_tcp6}}}, now);
  EXPECT_EQ(mappings_of(service.evictions, false), std::set{primary_tcp6});
}

TEST_F(DrainsTest, FlowsOfTheTargetAreNoDrainAfterARestart) {
  ServiceState& service = add_at(web(), 0);
  evictions.restore({{.service = "web", .comment = "web primary", .until = std::nullopt, .flows = {primary_tcp, backup_tcp}}}, now);
  EXPECT_EQ(mappings_of(service.evictions, false), std::set{backup_tcp});
}

TEST_F(DrainsTest, DatesThatMakeNoSenseAreBounded) {
  ServiceState& service = add_at(web(), 1);
  evictions.restore({{.service = "web", .comment = "a", .until = wall_now() - 1h, .flows = {primary_tcp}},
                     {.service = "web", .comment = "b", .until = parse_wall_time("9999-12-31T00:00:00Z"), .flows = {primary_tcp6}}},
                    now);
  ASSERT_EQ(service.evictions.size(), 2U);
  EXPECT_EQ(service.evictions[0].drain->until, now);
  EXPECT_EQ(service.evictions[1].drain->until, now + 31 * 24h);
}

TEST_F(DrainsTest, ARangeThatIsNarrowerAfterARestartDrainsOn) {
  const auto at = [](std::uint16_t first, std::uint16_t last) {
    return Mapping{{address("203.0.113.20"), Protocol::tcp, first, last}, endpoint("198.18.1.2", 0)};
  };
  ServiceConfig config = small_service("range", 0);
  config.listen = {at(8000, 9500).vip};
  ServiceState& service = add_at(config, 1);
  evictions.restore({{.service = "range", .comment = "range primary", .until = std::nullopt, .flows = {at(8000, 10'000)}}}, now);
  EXPECT_EQ(mappings_of(service.evictions, false), std::set{at(8000, 9500)});
  ASSERT_EQ(registry.services().size(), 2U);
  EXPECT_EQ(mappings_of(registry.services().back()->evictions, false), std::set{at(9501, 10'000)});
}

TEST_F(DrainsTest, DrainsOfAServiceThatIsGoneAreItsTombstones) {
  evictions.restore({{.service = "gone", .comment = "gone primary", .until = std::nullopt, .flows = {primary_tcp}}}, now);
  ASSERT_EQ(registry.services().size(), 1U);
  const ServiceState& tombstone = *registry.services().front();
  EXPECT_TRUE(tombstone.removed);
  EXPECT_EQ(tombstone.config->name, "gone");
  EXPECT_EQ(mappings_of(tombstone.evictions, false), std::set{primary_tcp});
  EXPECT_EQ(events(said::kept), 0U);
}

} // namespace
} // namespace hanat::test
