// Changes of the table: one transaction for all, what follows from a refusal, an answer that is late or lost, and what is done beside.
// Not here: a table that others change (table_resync_test), the messages (tests/netns/nat).
#include "daemon/failover/table_sync.hpp"

#include "tests/unit/daemon/failover/table_sync_fixture.hpp"

namespace hanat::test {
namespace {

/// Refuses whatever has this port.
std::function<bool(const nat::Step&)> port_refused(std::uint16_t port) {
  return [port](const nat::Step& step) {
    return std::ranges::any_of(step.to.vips, [port](const auto& entry) { return entry.first.port == port; });
  };
}

TEST_F(TableSyncTest, SeveralServicesChangeInOneTransaction) {
  for (std::uint16_t port = 1; port <= 3; ++port) add(fmt::format("s{}", port), port);
  EXPECT_EQ(turn(), Calls{"change 3"});
  EXPECT_EQ(applied, (Calls{"s1", "s2", "s3"}));
  EXPECT_EQ(table.loaded->state.vips.size(), 3U);
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
  EXPECT_EQ(turn(), Calls{});
}

TEST_F(TableSyncTest, WhatIsLoadedAlreadyIsAppliedWithoutTheKernel) {
  ServiceState& service = add("web", 443);
  turn();
  registry.mark_dirty(service);
  applied.clear();
  EXPECT_EQ(turn(), Calls{});
  EXPECT_EQ(applied, Calls{"web"});
}

TEST_F(TableSyncTest, OnlyWhatDiffersIsSent) {
  ServiceState& same = add("same", 1);
  turn();
  registry.mark_dirty(same);
  add("other", 2);
  EXPECT_EQ(turn(), Calls{"change 1"});
  EXPECT_EQ(applied, (Calls{"same", "same", "other"}));
}

TEST_F(TableSyncTest, ARefusalIsReportedOnceAndNothingIsApplied) {
  add("web", 443);
  table.refuses = port_refused(443);
  EXPECT_EQ(turn(), Calls{"change 1"});
  EXPECT_EQ(applied, Calls{});
  EXPECT_EQ(sync.state(), TableSync::State::failed);
  EXPECT_EQ(sync.error(), "refused by the test");
  turn_after(50ms);
  turn_after(100ms);
  EXPECT_EQ(events(said::refused), 1U);
  EXPECT_EQ(events(said::recovered), 0U);
}

TEST_F(TableSyncTest, ARefusedChangeIsTriedAgainAfterFiftyMillisecondsDoubledUpToASecond) {
  add("web", 443);
  table.refuses = port_refused(443);
  turn();
  for (const auto wait : {50ms, 100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    EXPECT_EQ(sync.next_wakeup(now), now + wait);
    EXPECT_EQ(expect_calls_after(wait), (Calls{"read", "change 1"})) << wait.count(); // read before it is decided anew
  }
}

TEST_F(TableSyncTest, RecoveryIsReportedAndTheNextRefusalBeginsFromTheStart) {
  add("web", 443);
  table.refuses = port_refused(443);
  turn();
  turn_after(50ms);
  table.refuses = {};
  EXPECT_EQ(turn_after(100ms), (Calls{"read", "change 1"}));
  EXPECT_EQ(applied, Calls{"web"});
  EXPECT_EQ(events(said::recovered), 1U);
  EXPECT_EQ(events(said::restored), 0U); // what was found is what had been loaded
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
  EXPECT_EQ(sync.error(), "");
  now += 10s;
  table.refuses = port_refused(444);
  add("mail", 444);
  turn();
  EXPECT_EQ(sync.next_wakeup(now), now + 50ms);
  EXPECT_EQ(events(said::refused), 2U);
}

TEST_F(TableSyncTest, ARefusedChangeKeepsNoOtherServiceFromItsOwn) {
  add("one", 1);
  add("bad", 2);
  add("two", 3);
  table.refuses = port_refused(2);
  EXPECT_EQ(turn(), (Calls{"change 3", "change 1", "change 1", "change 1"}));
  EXPECT_EQ(applied, (Calls{"one", "two"}));
  EXPECT_EQ(table.loaded->state.vips.size(), 2U);
  EXPECT_EQ(turn_after(50ms), (Calls{"read", "change 1"})); // those that have theirs are applied without the kernel
}

TEST_F(TableSyncTest, ServicesOfABatchChangeTogetherOrNotAtAll) {
  add("one", 1);
  add("bad", 2);
  add("friend", 3);
  batches = {{"bad", 7}, {"friend", 7}};
  table.refuses = port_refused(2);
  EXPECT_EQ(turn(), (Calls{"change 3", "change 1", "change 2"}));
  EXPECT_EQ(applied, Calls{"one"});
}

TEST_F(TableSyncTest, ARefusedBatchAloneIsNotSentTwice) {
  add("bad", 2);
  add("friend", 3);
  batches = {{"bad", 7}, {"friend", 7}};
  table.refuses = port_refused(2);
  EXPECT_EQ(turn(), Calls{"change 2"});
}

TEST_F(TableSyncTest, WhileAChangeIsRefusedOthersWaitForTheNextAttempt) {
  add("bad", 2);
  table.refuses = port_refused(2);
  turn();
  add("late", 3);
  EXPECT_EQ(turn_after(10ms), Calls{});
  EXPECT_EQ(turn_after(40ms), (Calls{"read", "change 2", "change 1", "change 1"}));
  EXPECT_EQ(applied, Calls{"late"});
}

// NftTable itself asks the table after a lost answer. Where that fails, too, the change counts as refused although it may be loaded: the
// table is put back to what is known, and the change is made again.
TEST_F(TableSyncTest, AChangeThatWasMadeAlthoughItFailedIsPutBackAndMadeAgain) {
  add("web", 443);
  table.loses_answer = true;
  turn();
  EXPECT_EQ(applied, Calls{});
  EXPECT_EQ(table.loaded->state, wanted["web"]);
  EXPECT_EQ(turn_after(50ms), (Calls{"read", "load", "change 1"}));
  EXPECT_EQ(applied, Calls{"web"});
  EXPECT_EQ(table.loaded->state, wanted["web"]);
  EXPECT_EQ(events(said::recovered), 1U);
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
}

TEST_F(TableSyncTest, ACommitThatTakesLongHoldsUpNothing) {
  ServiceState& service = add("web", 443);
  thread.slow = true;
  EXPECT_EQ(turn(), Calls{});
  EXPECT_EQ(sync.state(), TableSync::State::committing);
  EXPECT_EQ(sync.next_wakeup(now), now + 60s); // the end of the commit comes first
  add("late", 444);
  table.others = true;
  sync.on_commit(); // the thread has the table
  EXPECT_EQ(turn_after(10s), Calls{});
  EXPECT_FALSE(outbox.sync_due);
  EXPECT_EQ(applied, Calls{});

  thread.slow = false;
  thread.join();
  sync.finish_commit(now);
  EXPECT_EQ(applied, Calls{"web"});
  EXPECT_TRUE(service.dirty); // what came meanwhile is decided
  EXPECT_TRUE(outbox.sync_due);
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
  EXPECT_EQ(turn(), (Calls{"change 1", "change 1"})); // the one that was late, and the one before
}

// Its tombstone has nothing loaded and nothing on its way out; only the thread knows of it.
TEST_F(TableSyncTest, AServiceThatIsGoneStaysUntilItsCommitHasEnded) {
  ServiceState& service = add("web", 443);
  registry.unlist(service);
  thread.slow = true;
  turn();
  registry.reap(service);
  ASSERT_EQ(registry.services().size(), 1U);
  thread.slow = false;
  sync.finish_commit(now);
  EXPECT_EQ(applied, Calls{"web"});
  EXPECT_FALSE(service.due.answer);
  service.loaded = {};
  registry.take_dirty();
  registry.reap(service);
  EXPECT_TRUE(registry.services().empty());
}

TEST_F(TableSyncTest, ARefusedChangeIsNoLongerUnderWay) {
  ServiceState& service = add("web", 443);
  table.refuses = port_refused(443);
  turn();
  EXPECT_FALSE(service.due.answer);
}

TEST_F(TableSyncTest, ARefusalThatComesLateIsARefusal) {
  add("web", 443);
  thread.slow = true;
  table.refuses = port_refused(443);
  turn();
  thread.slow = false;
  thread.join();
  sync.finish_commit(now);
  EXPECT_EQ(sync.state(), TableSync::State::failed);
  EXPECT_EQ(events(said::refused), 1U);
  EXPECT_EQ(turn_after(49ms), Calls{"change 1"}); // of the commit that has just ended
  EXPECT_EQ(turn_after(1ms), (Calls{"read", "change 1"}));
}

TEST_F(TableSyncTest, AHeartbeatByTransactionWaitsForALongCommit) {
  EXPECT_TRUE(sync.commit_heartbeat());
  EXPECT_EQ(table.take_calls(), Calls{"heartbeat"});
  thread.slow = true;
  add("web", 443);
  EXPECT_EQ(turn(), Calls{});
  EXPECT_FALSE(sync.commit_heartbeat());
  thread.slow = false;
  thread.join();
  sync.finish_commit(now);
  EXPECT_TRUE(sync.commit_heartbeat());
  EXPECT_EQ(table.take_calls(), (Calls{"change 1", "heartbeat"}));
}

TEST_F(TableSyncTest, AfterARefusedHeartbeatTheTableIsRead) {
  add("web", 443);
  turn();
  table.faults["heartbeat"] = {std::errc::no_such_file_or_directory};
  table.loaded.reset(); // somebody deleted the table
  EXPECT_TRUE(sync.commit_heartbeat());
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
  EXPECT_EQ(events(said::refused), 0U);
  EXPECT_EQ(turn_after(1ms), (Calls{"heartbeat", "read", "load"}));
}

TEST_F(TableSyncTest, ProbesBypassConntrackWhileTheyHaveTo) {
  notrack = true;
  EXPECT_EQ(turn(), Calls{"notrack on"});
  EXPECT_EQ(turn(), Calls{});
  notrack = false;
  EXPECT_EQ(turn(), Calls{"notrack off"});
}

TEST_F(TableSyncTest, ProbesFollowWhenTheTableTakesChangesAgain) {
  add("web", 443);
  table.refuses = port_refused(443);
  notrack = true;
  EXPECT_EQ(turn(), Calls{"change 1"});
  table.refuses = {};
  EXPECT_EQ(turn_after(49ms), Calls{});
  EXPECT_EQ(turn_after(1ms), (Calls{"read", "change 1", "notrack on"}));
}

TEST_F(TableSyncTest, ProbesFollowWhenALongCommitHasEnded) {
  add("web", 443);
  thread.slow = true;
  notrack = true;
  EXPECT_EQ(turn(), Calls{});
  thread.slow = false;
  thread.join();
  sync.finish_commit(now);
  EXPECT_EQ(turn(), (Calls{"change 1", "notrack on"}));
}

TEST_F(TableSyncTest, ALateRefusalOfWhatIsDoneBesideLeadsToALookAtTheTable) {
  thread.slow = true;
  notrack = true;
  table.faults["notrack"] = {std::errc::no_such_file_or_directory};
  turn();
  EXPECT_EQ(sync.state(), TableSync::State::committing);
  thread.slow = false;
  thread.join();
  sync.finish_commit(now);
  EXPECT_EQ(turn(), (Calls{"notrack on", "read", "notrack on"}));
}

} // namespace
} // namespace hanat::test
