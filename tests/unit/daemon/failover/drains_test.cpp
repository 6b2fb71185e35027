// Flows that may stay at an old target for a while: notified, counted, and over when none is left, when their time is, or when the target
// returns. Not here: which flows may stay (decision/desired_state), the cut (evictions_test), a restart (drains_restart_test).
#include "daemon/failover/evictions.hpp"

#include <variant>

#include "daemon/failover/drains.hpp"
#include "tests/unit/daemon/failover/drains_fixture.hpp"

namespace hanat::test {
namespace {

/// What the last event of that kind says of the flip that the drain belongs to.
template <typename Payload> std::uint64_t drained_by_flip(const Outbox& outbox) {
  std::uint64_t drained = 0;
  for (const Event& event : outbox.events)
    if (const auto* payload = std::get_if<Payload>(&event.what); payload != nullptr && payload->flip) drained = payload->flip->drained;
  return drained;
}

TEST_F(DrainsTest, ADrainBeginsWithAnEventAndIsToBeSaved) {
  ServiceState& service = flipped();
  EXPECT_EQ(events(said::drain_begun), 1U);
  EXPECT_TRUE(outbox.drains_changed);
  ASSERT_EQ(service.evictions.size(), 1U);
  EXPECT_EQ(service.evictions.front().drain->until, now + 60s);
  EXPECT_FALSE(service.last_flip->cutting);
  EXPECT_TRUE(service.loaded.stale.empty());
  EXPECT_TRUE(service.recent_until.empty()); // its clients' packets still have their entries
}

TEST_F(DrainsTest, ClientsWithoutAConnectionAreNotifiedFirstAndNothingIsCut) {
  flipped();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().nudge, std::set{primary_tcp});
  EXPECT_TRUE(job().cut.empty() && job().cut_unconnected.empty() && job().count.empty());
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().count, std::vector{primary_tcp});
  EXPECT_TRUE(job().nudge.empty());
}

TEST_F(DrainsTest, FlowsAreCountedEachSecondAtFirst) {
  ServiceState& service = flipped();
  notify();
  count(3);
  EXPECT_EQ(service.evictions.front().drain->left, 3U);
  for (const std::uint64_t left : {5U, 4U}) {
    expect_job_after(1s);
    finish(counted(left));
  }
  EXPECT_EQ(service.evictions.front().drain->left, 4U);
  EXPECT_EQ(service.evictions.front().drain->most, 5U);
}

TEST_F(DrainsTest, AnOldDrainIsCountedLessOften) {
  flipped(kept_policy);
  EXPECT_EQ(events(said::kept), 1U);
  notify();
  now += 120s;
  count(3);
  expect_job_after(2s); // a sixtieth of its age
  now += 10h;
  finish(counted(3));
  expect_job_after(60s); // a minute at most
  finish(counted(3));
}

TEST_F(DrainsTest, CountingTakesAHundredthOfAProcessorAtTheMost) {
  flipped();
  notify();
  count(3, 100ms);
  expect_job_after(10s);
}

// A reload gave a range other borders while the worker counted the old one: that none of the new ones is counted says nothing.
TEST_F(DrainsTest, ACountOfOtherMappingsIsNoCount) {
  ServiceState& service = flipped();
  notify();
  count(3);
  expect_job_after(1s);
  const Mapping part{{tcp4.address, Protocol::tcp, 444}, primary4};
  service.evictions.front().mappings = {part};
  finish(counted(3));
  ASSERT_EQ(service.evictions.size(), 1U);
  EXPECT_EQ(events(said::drained), 0U);
  EXPECT_TRUE(run());
  EXPECT_EQ(job().count, std::vector{part});
}

TEST_F(DrainsTest, ADrainEndsWhenNothingIsLeft) {
  ServiceState& service = flipped();
  notify();
  count(3);
  outbox.drains_changed = false;
  now += 1s;
  count(0);
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_EQ(events(said::drained), 1U);
  EXPECT_TRUE(outbox.drains_changed);
  EXPECT_EQ(service.totals.drained, 3U);
  EXPECT_EQ(service.last_flip->drained, 3U);
  EXPECT_EQ(drained_by_flip<events::Drained>(outbox), 3U) << "each flow once, in the history, too";
  now += 60s;
  look(service);
  EXPECT_FALSE(run());
}

// Its first packets may wait in a queue while the flip is made.
TEST_F(DrainsTest, InTheFirstSecondAFlowMayStillComeToLight) {
  ServiceState& service = flipped();
  notify();
  count(0);
  ASSERT_EQ(service.evictions.size(), 1U);
  now += 999ms;
  service.evictions.front().due = now;
  count(0);
  ASSERT_EQ(service.evictions.size(), 1U);
  now += 1s;
  count(0);
  EXPECT_TRUE(service.evictions.empty());
}

TEST_F(DrainsTest, AnIncompleteCountSaysNothing) {
  ServiceState& service = flipped();
  notify();
  count(3);
  now += 1s;
  EXPECT_TRUE(run());
  finish();
  EXPECT_EQ(service.evictions.front().drain->left, 3U);
  expect_job_after(1s);
}

TEST_F(DrainsTest, ACountThatFailedIsReportedAndTriedAgainAfterFiveSeconds) {
  flipped();
  notify();
  EXPECT_TRUE(run());
  finish(failure("no"));
  EXPECT_EQ(events(said::failed), 1U);
  EXPECT_TRUE(evictions.is_idle(now)); // cuts go on
  expect_job_after(5s);
}

TEST_F(DrainsTest, ACountGivesWayToACut) {
  flipped();
  notify();
  EXPECT_TRUE(run());
  go(add_at(small_service("other", 80), 0), to_server(1));
  EXPECT_FALSE(run());
  EXPECT_TRUE(worker.cancelled);
  finish(counted(0));
  EXPECT_TRUE(run());
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
  finish();
  EXPECT_TRUE(run()); // notify
  finish();
  expect_job_after(1s);
  EXPECT_FALSE(job().cut.empty());
  finish();
  EXPECT_TRUE(run()); // a second after it gave way
  EXPECT_EQ(job().count, std::vector{primary_tcp});
}

TEST_F(DrainsTest, WhatIsLeftWhenItsTimeIsOverIsCut) {
  ServiceState& service = flipped();
  notify();
  count(3);
  now += 10s;
  count(2);
  now += 50s;
  outbox.drains_changed = false;
  look(service);
  EXPECT_EQ(events(said::drain_ended), 1U);
  EXPECT_TRUE(outbox.drains_changed);
  EXPECT_TRUE(evictions.saved_drains().empty());
  EXPECT_EQ(service.last_flip->drained, 1U);
  EXPECT_EQ(drained_by_flip<events::DrainEnded>(outbox), 1U);
  EXPECT_TRUE(service.last_flip->cutting); // by the flip that it drained for
  EXPECT_TRUE(service.loaded.stale.contains(primary_tcp));
  EXPECT_EQ(service.recent_until.at(tcp4), now + 60s);
  EXPECT_TRUE(run());
  EXPECT_EQ(job().cut, std::vector{primary_tcp});
  finish();
  EXPECT_TRUE(run());
  finish();
  expect_job_after(1s);
  finish(deleted(primary_tcp, 2));
  expect_job_after(1s);
  finish();
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_EQ(service.last_flip->cut.tcp, 2U);
  EXPECT_FALSE(service.last_flip->cutting);
  EXPECT_EQ(events(said::cut), 1U);
}

TEST_F(DrainsTest, AnOperatorGivesADrainAnotherEnd) {
  ServiceState& service = flipped();
  notify();
  count(3);
  outbox.drains_changed = false;
  change_drains(service, 1, FlowPolicy{}, "root", outbox, now);
  EXPECT_EQ(service.evictions.front().drain->until, now + 60s) << "that was of the other server";
  change_drains(service, 0, {.action = FlowAction::drain, .time = 10min}, "root", outbox, now);
  EXPECT_EQ(service.evictions.front().drain->until, now + 10min);
  EXPECT_EQ(next_timer(service, now + 10min - 1ms), now + 10min);
  EXPECT_NEAR(std::chrono::duration<double>(*evictions.saved_drains()[0].until - wall_now()).count(), 600, 5) << "over a restart, too";
  EXPECT_TRUE(outbox.drains_changed);
  EXPECT_EQ(events("old TCP flows of primary drain for another 600 s now: root said so"), 1U);
  look(service);
  EXPECT_TRUE(service.evictions.front().drain);
  change_drains(service, std::nullopt, FlowPolicy{}, "root", outbox, now);
  EXPECT_EQ(events("old TCP flows of primary drain no longer: root said so"), 1U);
  look(service);
  EXPECT_EQ(events(said::drain_ended), 1U);
  EXPECT_TRUE(service.last_flip->cutting);
  EXPECT_TRUE(service.loaded.stale.contains(primary_tcp));
}

TEST_F(DrainsTest, AnOperatorEndsWhatIsKept) {
  ServiceState& service = flipped(kept_policy);
  change_drains(service, 0, FlowPolicy{}, "root", outbox, now);
  look(service);
  EXPECT_TRUE(service.loaded.stale.contains(primary_tcp));
}

TEST_F(DrainsTest, ADrainWhoseTimeIsOverWhileItIsCountedEndsWithTheCount) {
  ServiceState& service = flipped();
  notify();
  now += 1s;
  EXPECT_TRUE(run());
  now += 59s;
  look(service);
  EXPECT_EQ(service.evictions.size(), 2U); // the cut, and what is still being counted
  EXPECT_EQ(evictions.saved_drains().size(), 0U);
  finish(counted(1));
  EXPECT_EQ(service.evictions.size(), 1U);
  EXPECT_EQ(events(said::drain_ended), 1U);
  EXPECT_EQ(events(said::drained), 0U);
}

TEST_F(DrainsTest, ATargetThatReturnsKeepsItsFlows) {
  ServiceState& service = flipped();
  notify();
  count(3);
  outbox.drains_changed = false;
  go(service, to_server(0, Reason::failback));
  EXPECT_EQ(events(said::drain_void), 1U);
  EXPECT_EQ(events(said::drain_ended), 0U);
  EXPECT_TRUE(outbox.drains_changed);
  EXPECT_EQ(mappings_of(service.evictions, false), std::set{backup_tcp});
  EXPECT_TRUE(service.earlier_flips.empty());
}

TEST_F(DrainsTest, WhatEndedBeforeTheTargetReturnedIsCounted) {
  ServiceState& service = flipped();
  notify();
  count(3);
  now += 1s;
  count(1);
  go(service, to_server(0, Reason::failback));
  EXPECT_EQ(service.totals.drained, 2U);
}

TEST_F(DrainsTest, OfANarrowerRangeTheFlowsDrainOn) {
  const auto range = [](std::uint16_t first, std::uint16_t last) { return Vip{address("203.0.113.20"), Protocol::tcp, first, last}; };
  ServiceConfig config = small_service("range", 0);
  config.listen = {range(8000, 10'000)};
  config.on_forced = a_minute;
  ServiceState& service = add_at(config, 0);
  go(service, to_server(1, Reason::forced));
  const Time end = now + 60s;
  notify();
  now += 1s;
  service.config.edit().listen = {range(8000, 9500)};
  look(service);
  EXPECT_EQ(events("some flows of primary, drained over 1 s, are cut now: the service or this listener is no longer configured; the "
                   "others stay"),
            1U);
  const Mapping kept{range(8000, 9500), endpoint("198.18.1.2", 0)}, rest{range(9501, 10'000), endpoint("198.18.1.2", 0)};
  ASSERT_EQ(evictions.saved_drains().size(), 1U);
  EXPECT_EQ(evictions.saved_drains().front().flows, std::vector{kept});
  std::set<Mapping> gone;
  for (int turn = 0; turn < 20; ++turn, now += 100ms) {
    look(service);
    while (run()) {
      gone.insert(job().cut_recorded.begin(), job().cut_recorded.end());
      CutResult result;
      result.recorded = std::make_shared<const nat::RecordedFlows>();
      result.counted = nat::Flows{{kept, 1}};
      finish(result);
    }
  }
  EXPECT_TRUE(gone.contains(rest));
  EXPECT_FALSE(gone.contains(kept));
  EXPECT_EQ(events(said::cut_void), 0U);
  ASSERT_EQ(service.evictions.size(), 1U);
  EXPECT_EQ(service.evictions.front().drain->until, end);
  EXPECT_EQ(service.evictions.front().drain->left, 1U);
}

TEST_F(DrainsTest, ATargetThatReturnsDoesNotWaitForACount) {
  ServiceState& service = flipped();
  notify();
  EXPECT_TRUE(run());
  EXPECT_FALSE(evictions.delays(service, desired_state(service, to_server(0, Reason::failback), now)));
  EXPECT_FALSE(worker.cancelled);
}

// Over a restart

TEST_F(DrainsTest, ADrainIsSavedWithTheMomentOfItsEnd) {
  const WallTime before = wall_now();
  flipped();
  const auto saved = evictions.saved_drains();
  ASSERT_EQ(saved.size(), 1U);
  EXPECT_EQ(saved.front().service, "web");
  EXPECT_EQ(saved.front().comment, "web primary");
  EXPECT_EQ(saved.front().flows, std::vector{primary_tcp});
  EXPECT_GE(saved.front().until, before + 60s);
  EXPECT_LE(saved.front().until, wall_now() + 60s);
}

} // namespace
} // namespace hanat::test
