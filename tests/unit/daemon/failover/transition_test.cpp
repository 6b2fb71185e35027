// What dirty services decide: alone, as a group, under an override, while a cut is in the way; and what a change that the table holds means
// for its service. Not here: the policy (decision/decision_test, group_test), the plan (decision/desired_state_test).
#include "daemon/failover/transition.hpp"

#include "daemon/failover/overrides.hpp"
#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

class TransitionTest : public testing::Test, protected Flows {
protected:
  /// 'u', 'd' and '?' are the servers in order.
  void set(ServiceState& service, std::string_view healths) {
    for (std::size_t server = 0; server < healths.size(); ++server) {
      const Health health = healths[server] == 'u' ? Health::up : healths[server] == 'd' ? Health::down : Health::unknown;
      set_health(service.servers.at(server), health, now - 1h);
      service.servers[server].health = service.servers[server].last_logged = health;
      service.servers[server].up_since = now - 1h;
    }
    registry.mark_dirty(service);
  }
  ServiceState& add_grouped(const std::string& name, std::uint16_t port) {
    ServiceConfig config = small_service(name, port);
    config.group = "voice";
    return add_at(config, 0);
  }
  std::vector<Change> decide() {
    std::vector<Change> changes = decide_dirty(registry, evictions, outbox, now);
    registry.take_dirty();
    return changes;
  }
  void decide_and_apply() {
    for (Change& change : decide()) applied(change);
  }
  static Override to(std::size_t server, std::optional<Time> until) {
    return {.server = server, .until = until, .until_wall = {}, .since = wall_now(), .reason = "test", .by = "root"};
  }
  std::size_t events(const char* words) const { return events_of(outbox, words); }
};

TEST_F(TransitionTest, OnlyDirtyServicesAreDecided) {
  ServiceState& one = add_at(small_service("one", 80), 0);
  add_at(small_service("two", 81), 0);
  set(one, "du");
  const auto changes = decide();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].service, &one);
  EXPECT_EQ(changes[0].decision.server, 1U);
}

TEST_F(TransitionTest, ServicesThatAreNoGroupAreEachABatch) {
  set(add_at(small_service("one", 80), 0), "du");
  set(add_at(small_service("two", 81), 0), "du");
  const auto changes = decide();
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_NE(changes[0].batch, changes[1].batch);
}

TEST_F(TransitionTest, AGroupMovesAsOneInOneBatch) {
  ServiceState& sip = add_grouped("sip", 5060);
  ServiceState& rtp = add_grouped("rtp", 5061);
  registry.regroup();
  registry.take_dirty();
  set(sip, "uu");
  set(rtp, "du"); // the primary is down for one of them
  const auto changes = decide();
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].batch, changes[1].batch);
  for (const Change& change : changes) EXPECT_EQ(change.decision.server, 1U);
}

TEST_F(TransitionTest, AMemberThatWaitsHoldsAllOfItsGroup) {
  ServiceState& sip = add_grouped("sip", 5060);
  ServiceState& rtp = add_grouped("rtp", 5061);
  registry.regroup();
  set(sip, "du");
  set(rtp, "du");
  decide_and_apply();
  evictions.run(now); // flows of the primary are being deleted
  ServiceState& alone = add_at(small_service("alone", 80), 0);
  set(sip, "ud");
  set(rtp, "ud");
  set(alone, "du");
  rtp.evictions.clear(); // nothing of it is in the way
  const auto changes = decide();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].service, &alone);
  EXPECT_TRUE(worker.cancelled);
  finish();
  EXPECT_TRUE(sip.dirty);
  decide_and_apply();
  EXPECT_EQ(sip.current, 0U);
  EXPECT_EQ(rtp.current, 0U);
}

TEST_F(TransitionTest, AHealthThatChangedIsReportedOnce) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  set(service, "uu");
  set_health(service.servers[1], Health::down, now);
  decide();
  EXPECT_EQ(outbox.events.size(), 1U);
  EXPECT_EQ(events(said::is_down), 1U);
  registry.mark_dirty(service);
  decide();
  EXPECT_EQ(outbox.events.size(), 1U);
}

TEST_F(TransitionTest, AnOverrideEndsForTheWholeGroup) {
  ServiceState& sip = add_grouped("sip", 5060);
  ServiceState& rtp = add_grouped("rtp", 5061);
  registry.regroup();
  set(sip, "uu");
  set(rtp, "uu");
  begin_override(sip, to(1, now + 60s), registry, outbox);
  begin_override(rtp, to(1, now + 61s), registry, outbox);
  outbox.overrides_changed = false;
  decide_and_apply();
  EXPECT_EQ(sip.current, 1U);
  EXPECT_EQ(sip.reason, Reason::forced);
  EXPECT_FALSE(outbox.overrides_changed);
  evictions.run(now);
  finish();
  now += 60s - 1ms;
  registry.mark_dirty(sip);
  decide_and_apply();
  EXPECT_TRUE(sip.force && rtp.force);
  now += 1ms;
  registry.mark_dirty(sip);
  decide_and_apply();
  EXPECT_FALSE(sip.force || rtp.force);
  EXPECT_EQ(sip.current, 0U);
  EXPECT_EQ(rtp.current, 0U);
  EXPECT_TRUE(outbox.overrides_changed);
}

TEST_F(TransitionTest, ADrillIsAnOverrideWithAReasonOfItsOwn) {
  ServiceState& web = add_at(small_service("web", 80), 0);
  set(web, "uu");
  Override drill = to(1, now + 30s);
  drill.drill = drill.until_down = true;
  begin_override(web, drill, registry, outbox);
  decide_and_apply();
  EXPECT_EQ(web.current, 1U);
  EXPECT_EQ(web.reason, Reason::drill);
  ASSERT_TRUE(web.last_flip);
  EXPECT_EQ(web.last_flip->reason, Reason::drill);
  const auto saved = saved_overrides(registry.services());
  ASSERT_EQ(saved.size(), 1U);
  EXPECT_TRUE(saved[0].drill) << "over a restart, too";
  evictions.run(now);
  finish();
  now += 30s;
  registry.mark_dirty(web);
  decide_and_apply();
  EXPECT_EQ(web.current, 0U);
}

TEST_F(TransitionTest, AfterAnOverrideTrafficGoesBackEvenWhereFailbackIsManual) {
  ServiceConfig config = small_service("web", 80);
  config.failback.automatic = false;
  for (const bool by_time : {true, false}) {
    ServiceState& service = add_at(config, 0);
    set(service, "uu");
    begin_override(service, to(1, now + 60s), registry, outbox);
    decide_and_apply();
    EXPECT_EQ(service.current, 1U);
    if (by_time)
      now += 60s;
    else
      end_override(service, "root", registry, outbox);
    registry.mark_dirty(service);
    decide_and_apply();
    EXPECT_EQ(service.current, 0U) << by_time;
    EXPECT_FALSE(service.override_ended);
  }
}

TEST_F(TransitionTest, TheWayBackWaitsForABetterServerThatIsNotYetJudged) {
  ServiceConfig config = small_service("web", 80);
  config.failback.automatic = false;
  ServiceState& service = add_at(config, 1);
  set(service, "?u");
  service.override_ended = true;
  decide_and_apply();
  EXPECT_TRUE(service.override_ended);
  set(service, "du");
  decide_and_apply();
  EXPECT_FALSE(service.override_ended);
  EXPECT_EQ(service.current, 1U);
}

TEST_F(TransitionTest, EndpointsThatMovedLongAgoAreForgotten) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  set(service, "uu");
  service.recent_until[tcp4] = now;
  service.recent_until[tcp6] = now + 1s;
  decide();
  EXPECT_FALSE(service.recent_until.contains(tcp4));
  EXPECT_TRUE(service.recent_until.contains(tcp6));
}

TEST_F(TransitionTest, ARemovedServiceGivesUpEverything) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  remove(service);
  service.servers.clear();
  registry.unlist(service);
  auto changes = decide();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].plan.evictions.size(), 1U);
  applied(changes[0]);
  planning::recorded(service);
  registry.mark_dirty(service);
  changes = decide();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_TRUE(changes[0].plan.rules.dnat.empty() && changes[0].plan.rules.vips.empty());
  EXPECT_TRUE(changes[0].plan.evictions.empty());
}

// What a change means

TEST_F(TransitionTest, TheFirstTargetIsNoFlip) {
  ServiceState& service = add(small_service("web", 80));
  set(service, "uu");
  decide_and_apply();
  EXPECT_EQ(service.current, 0U);
  EXPECT_EQ(service.flips, 0U);
  EXPECT_EQ(service.last_flip, std::nullopt);
  EXPECT_EQ(events(said::first_target), 1U);
  EXPECT_NE(service.since, WallTime{});
}

TEST_F(TransitionTest, AServiceThatStartsAnewDoesSoSinceNow) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  set(service, "uu");
  decide_and_apply();
  const WallTime long_ago{1h};
  service.since = long_ago;
  registry.mark_dirty(service);
  decide_and_apply();
  EXPECT_EQ(service.since, long_ago) << "it stays where it is";
  service.current.reset(); // as after a reload that took its server away
  service.loaded = {};
  set(service, "??");
  decide_and_apply();
  EXPECT_EQ(service.reason, Reason::starting);
  EXPECT_NE(service.since, long_ago);
}

TEST_F(TransitionTest, AFlipIsRecordedWithItsReason) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  set(service, "du");
  auto changes = decide();
  ASSERT_EQ(changes.size(), 1U);
  changes[0].took = 123us;
  applied(changes[0]);
  ASSERT_NE(service.last_flip, std::nullopt);
  EXPECT_EQ(service.last_flip->number, 1U);
  EXPECT_EQ(service.last_flip->from, "primary");
  EXPECT_EQ(service.last_flip->to, "backup");
  EXPECT_EQ(service.last_flip->reason, Reason::failover);
  EXPECT_EQ(service.last_flip->commit, 123us);
  EXPECT_EQ(service.totals.flips.at(Reason::failover), 1U);
  EXPECT_EQ(service.reason, Reason::failover);
  EXPECT_EQ(events(said::flipped), 1U);
}

TEST_F(TransitionTest, WithoutAServerClientsAreRefusedAndThatIsAFlip) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  set(service, "dd");
  decide_and_apply();
  EXPECT_TRUE(service.refused);
  EXPECT_EQ(service.current, std::nullopt);
  EXPECT_EQ(service.last_flip->to, "none");
  registry.mark_dirty(service);
  decide_and_apply();
  EXPECT_EQ(service.flips, 1U);
  set(service, "du");
  decide_and_apply();
  EXPECT_EQ(service.flips, 2U);
  EXPECT_EQ(service.last_flip->from, "none");
  EXPECT_EQ(service.last_flip->reason, Reason::recovered);
  EXPECT_EQ(service.since, service.last_flip->at) << "one reading of the clock";
  EXPECT_FALSE(service.refused);
}

TEST_F(TransitionTest, WhatChangesNoTargetIsNoFlip) {
  ServiceState& service = add_at(small_service("web", 80), 0);
  set(service, "uu");
  const auto since = service.since = wall_now() - 1h;
  decide_and_apply();
  EXPECT_EQ(service.flips, 0U);
  EXPECT_EQ(service.since, since);
  EXPECT_TRUE(outbox.events.empty());
}

} // namespace
} // namespace hanat::test
