// When a heartbeat is due, and what happens where its packet is lost. Not here: the packet (tests/netns/nat/nftables), what is held without
// it (tests/netns/daemon/failover/hold_test).
#include "daemon/failover/heartbeat.hpp"

#include "tests/unit/daemon/failover/table_sync_fixture.hpp"

namespace hanat::test {
namespace {

class HeartbeatTest : public TableSyncTest {
protected:
  FakeHeartbeatSender sender;
  Heartbeat heartbeat{sender, sync, registry, outbox};

  /// A turn of the loop. Returns the packets that were sent.
  unsigned beat() {
    turn();
    for (const auto& service : registry.services()) heartbeat.on_applied(*service, now);
    table.calls.clear();
    const unsigned before = sender.sent;
    heartbeat.run(now);
    return sender.sent - before;
  }
  unsigned beat_after(Clock::duration wait) {
    now += wait;
    return beat();
  }
};

TEST_F(HeartbeatTest, APacketIsSentEachSecondWhileSomethingIsHeld) {
  ServiceState& service = add_held("web", 443);
  EXPECT_EQ(beat(), 1U);
  for (int second = 0; second < 3; ++second) {
    EXPECT_EQ(heartbeat.next_wakeup(), now + 1s);
    EXPECT_EQ(beat_after(999ms), 0U);
    EXPECT_EQ(beat_after(1ms), 1U);
    EXPECT_EQ(table.calls, Calls{}) << "without a transaction";
  }
  want(service, 443);
  EXPECT_EQ(beat(), 0U);
  EXPECT_EQ(beat_after(1s), 0U);
  EXPECT_EQ(heartbeat.next_wakeup(), std::nullopt);
  EXPECT_EQ(beat_after(1s), 0U);
}

TEST_F(HeartbeatTest, NothingIsSentWhileNothingIsHeld) {
  add("web", 443);
  EXPECT_EQ(beat(), 0U);
  EXPECT_EQ(heartbeat.next_wakeup(), std::nullopt);
}

TEST_F(HeartbeatTest, AFreshTableGetsOneAtOnce) {
  add_held("web", 443);
  beat();
  now += 300ms;
  change_by_others();
  EXPECT_EQ(beat(), 1U);
  EXPECT_EQ(heartbeat.next_wakeup(), now + 1s);
}

TEST_F(HeartbeatTest, WhereThePacketIsLostATransactionRenewsItAndThatIsSaidOnce) {
  add_held("web", 443);
  sender.lost = true;
  EXPECT_EQ(beat(), 1U);
  EXPECT_EQ(table.calls, Calls{"heartbeat"});
  EXPECT_EQ(events("lost by the test"), 0U) << "somebody may have deleted the table, which is restored at once";
  for (int second = 0; second < 5; ++second) {
    EXPECT_EQ(beat_after(1s), 1U) << "tried again";
    EXPECT_EQ(table.calls, Calls{"heartbeat"});
  }
  EXPECT_EQ(events("lost by the test"), 1U);
  sender.lost = false;
  EXPECT_EQ(beat_after(1s), 1U);
  EXPECT_EQ(table.calls, Calls{});
  EXPECT_EQ(events("gets through again"), 1U);
}

TEST_F(HeartbeatTest, APacketThatIsLostOnceIsNotWorthAWord) {
  add_held("web", 443);
  beat();
  sender.lost = true;
  beat_after(1s);
  sender.lost = false;
  beat_after(1s);
  EXPECT_EQ(events("packet"), 0U);
}

TEST_F(HeartbeatTest, ALongCommitDoesNotDelayThePacket) {
  add_held("web", 443);
  beat();
  thread.slow = true;
  add("mail", 25);
  EXPECT_EQ(beat_after(1s), 1U);
  EXPECT_TRUE(thread.busy());
  sender.lost = true;
  EXPECT_EQ(beat_after(1s), 1U);
  EXPECT_EQ(table.calls, Calls{}) << "the commit comes first";
  EXPECT_EQ(heartbeat.next_wakeup(), now + 100ms);
  thread.slow = false;
  thread.join();
  sync.finish_commit(now);
  EXPECT_EQ(beat_after(100ms), 1U);
  EXPECT_EQ(table.calls, Calls{"heartbeat"});
}

} // namespace
} // namespace hanat::test
