// The table is read and restored: at the start, after another program changed it, and when a message about that was lost.
// Not here: changes of hanat's own (table_sync_test).
#include "daemon/failover/table_sync.hpp"

#include "tests/unit/daemon/failover/table_sync_fixture.hpp"

namespace hanat::test {
namespace {

class TableResyncTest : public TableSyncTest {
protected:
  void SetUp() override {
    TableSyncTest::SetUp();
    add("web", 443);
    turn();
    table.calls.clear();
  }
};

TEST_F(TableResyncTest, AForeignChangeIsRestoredAndReported) {
  change_by_others();
  EXPECT_TRUE(outbox.sync_due);
  EXPECT_EQ(turn(), (Calls{"read", "load"}));
  EXPECT_EQ(table.loaded->state, wanted["web"]);
  EXPECT_EQ(events(said::restored), 1U);
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
  EXPECT_EQ(turn_after(1s), Calls{});
}

TEST_F(TableResyncTest, ATableThatIsGoneIsLoadedAgain) {
  table.loaded.reset();
  table.others = true;
  sync.on_commit();
  EXPECT_EQ(turn(), (Calls{"read", "load"}));
  EXPECT_EQ(table.loaded->state, wanted["web"]);
}

TEST_F(TableResyncTest, ALayoutThatWasEditedIsLoadedAgain) {
  table.loaded->in_order = false;
  table.others = true;
  sync.on_commit();
  EXPECT_EQ(turn(), (Calls{"read", "load"}));
  EXPECT_TRUE(table.loaded->in_order);
}

TEST_F(TableResyncTest, AForeignChangeThatLeftEverythingAsItIsIsNotRestored) {
  table.others = true;
  sync.on_commit();
  EXPECT_EQ(turn(), Calls{"read"});
  EXPECT_EQ(events(said::restored), 0U);
}

TEST_F(TableResyncTest, CommitsToOtherTablesAreIgnored) {
  sync.on_commit();
  EXPECT_FALSE(outbox.sync_due);
  EXPECT_EQ(turn(), Calls{});
}

TEST_F(TableResyncTest, ChangesByOthersAreRestoredTenTimesASecondAtMost) {
  change_by_others();
  turn();
  change_by_others();
  EXPECT_EQ(sync.next_wakeup(now), now + 100ms);
  EXPECT_EQ(expect_calls_after(100ms), (Calls{"read", "load"}));
}

TEST_F(TableResyncTest, AFlipDoesNotWaitForAComparison) {
  change_by_others();
  turn();
  change_by_others();
  add("mail", 25);
  EXPECT_EQ(turn_after(10ms), Calls{"change 1"});
}

TEST_F(TableResyncTest, ARestoredTableIsAFreshOne) {
  turn();
  EXPECT_FALSE(outbox.table_loaded);
  change_by_others();
  EXPECT_EQ(turn(), (Calls{"read", "load"}));
  EXPECT_TRUE(outbox.table_loaded) << "Heartbeat follows";
}

TEST_F(TableResyncTest, ProbesBypassConntrackInARestoredTable) {
  notrack = true;
  turn();
  change_by_others();
  EXPECT_EQ(turn(), (Calls{"read", "load", "notrack on"}));
}

TEST_F(TableResyncTest, RulesForOtherPortsOfProbesAreLoadedWithoutAWarning) {
  notrack = true;
  turn();
  ports = {.first = 20'000, .last = 20'499};
  EXPECT_EQ(turn(), Calls{"ports from 20000"});
  EXPECT_LE(sync.next_wakeup(now), now);
  EXPECT_EQ(turn(), (Calls{"read", "load", "notrack on"}));
  EXPECT_TRUE(outbox.table_loaded) << "Heartbeat follows";
  EXPECT_EQ(events(said::restored), 0U);
  EXPECT_EQ(turn_after(1s), Calls{});
  change_by_others();
  turn();
  EXPECT_EQ(events(said::restored), 1U);
}

TEST_F(TableResyncTest, WhatOthersChangedMeanwhileIsRestoredWithAWarning) {
  ports = {.first = 20'000, .last = 20'499};
  turn();
  change_by_others();
  EXPECT_EQ(turn(), (Calls{"read", "load"}));
  EXPECT_EQ(events(said::restored), 1U);
}

TEST_F(TableResyncTest, ARefusedRestoreIsTriedAgain) {
  table.faults["load"] = {std::errc::not_enough_memory};
  change_by_others();
  EXPECT_EQ(turn(), (Calls{"read", "load"}));
  EXPECT_EQ(sync.state(), TableSync::State::failed);
  EXPECT_EQ(events(said::refused), 1U);
  EXPECT_EQ(turn_after(50ms), Calls{}); // not before the table may be read again
  EXPECT_EQ(sync.next_wakeup(now), now + 50ms);
  EXPECT_EQ(turn_after(50ms), (Calls{"read", "load"}));
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
  EXPECT_EQ(events(said::restored), 1U);
  EXPECT_EQ(events(said::recovered), 1U);
}

TEST_F(TableResyncTest, WhileOthersCommitAllTheTimeTheTableIsReadAMinuteLater) {
  for (const auto busy : {std::errc::resource_unavailable_try_again, std::errc::interrupted}) {
    table.faults["read"] = {busy};
    change_by_others();
    EXPECT_EQ(turn(), Calls{"read"});
    EXPECT_EQ(sync.state(), TableSync::State::in_sync);
    EXPECT_EQ(sync.error(), "");
    EXPECT_EQ(sync.next_wakeup(now), now + 60s);
    EXPECT_EQ(expect_calls_after(60s), (Calls{"missed?"}));
    EXPECT_EQ(turn_after(100ms), (Calls{"read", "load"}));
    now += 1s;
  }
  EXPECT_EQ(events(said::refused), 0U);
}

TEST_F(TableResyncTest, AfterARefusalATableThatCannotBeReadIsAFailure) {
  table.faults["change"] = {std::errc::not_enough_memory};
  table.faults["read"] = {std::errc::interrupted};
  add("mail", 25);
  EXPECT_EQ(turn(), Calls{"change 1"});
  EXPECT_EQ(turn_after(50ms), Calls{"read"}); // nothing is changed unread
  EXPECT_EQ(sync.state(), TableSync::State::failed);
  EXPECT_EQ(turn_after(100ms), (Calls{"read", "change 1"}));
  EXPECT_EQ(sync.state(), TableSync::State::in_sync);
}

TEST_F(TableResyncTest, OnceAMinuteMissedCommitsAreLookedFor) {
  now += 50s; // 60 since the start
  EXPECT_EQ(turn_after(-1ms), Calls{});
  EXPECT_EQ(turn_after(1ms), Calls{"missed?"}); // none
  EXPECT_EQ(expect_calls_after(60s), Calls{"missed?"});
  EXPECT_EQ(events(said::restored), 0U);
}

TEST_F(TableResyncTest, AMissedCommitLeadsToALookAtTheTable) {
  table.loaded->state.vips.clear();
  table.missed = true;
  now += 50s;
  EXPECT_EQ(turn(), Calls{"missed?"});
  EXPECT_EQ(sync.next_wakeup(now), now + 100ms);
  EXPECT_EQ(turn_after(100ms), (Calls{"read", "load"}));
  EXPECT_EQ(table.loaded->state, wanted["web"]);
  EXPECT_EQ(events(said::restored), 1U);
}

TEST_F(TableResyncTest, ALookForMissedCommitsThatFailsLeadsToALookAtTheTable) {
  table.faults["missed"] = {std::errc::no_buffer_space};
  now += 50s;
  EXPECT_EQ(turn(), Calls{"missed?"});
  EXPECT_EQ(turn_after(100ms), Calls{"read"});
  EXPECT_EQ(events(said::refused), 0U);
}

TEST_F(TableResyncTest, AQuietTableWakesTheLoopOnceAMinute) {
  EXPECT_EQ(sync.next_wakeup(now), now + 50s); // a minute after the start
  now += 50s;
  turn();
  EXPECT_EQ(sync.next_wakeup(now), now + 60s);
}

// The start: what is loaded then.

struct TableStartTest : testing::Test {
  ServiceRegistry registry;
  Outbox outbox;
  FakeTable table;
  FakeCommitThread thread;
  TableSync sync{table, thread, registry, outbox, [](Change&, Time) {}};
  const nat::TableState found = settled(Destination::primary);
};

TEST_F(TableStartTest, ATableInOrderIsAdopted) {
  table.loaded = nat::Loaded{.state = found, .in_order = true};
  EXPECT_EQ(sync.start(Time{1s}).state, found);
  EXPECT_EQ(table.calls, (Calls{"read", "adopt"}));
  EXPECT_TRUE(outbox.events.empty());
}

TEST_F(TableStartTest, AnotherLayoutIsReplacedAndItsElementsStay) {
  table.loaded = nat::Loaded{.state = found, .in_order = false};
  EXPECT_EQ(sync.start(Time{1s}).state, found);
  EXPECT_EQ(table.calls, (Calls{"read", "load"}));
  EXPECT_EQ(table.loaded->state, found);
  EXPECT_EQ(events_of(outbox, said::replaced), 1U);
}

TEST_F(TableStartTest, WithoutATableAnEmptyOneIsLoaded) {
  table.loaded.reset();
  EXPECT_TRUE(sync.start(Time{1s}).state.empty());
  EXPECT_EQ(table.calls, (Calls{"read", "load"}));
  EXPECT_TRUE(outbox.events.empty());
}

TEST_F(TableStartTest, WhatTheKernelRefusesThenEndsTheStart) {
  table.faults["read"] = {std::errc::operation_not_permitted};
  EXPECT_THROW(sync.start(Time{1s}), std::system_error);
}

} // namespace
} // namespace hanat::test
