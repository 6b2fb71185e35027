// Flows on their way out: every stage at its time, and sweeps until nothing is found. Not here: jobs that fail, are cancelled or are in the
// way (eviction_jobs_test), several flips at once, endpoints that change hands (evictions_flips_test), drains (drains_test).
#include "daemon/failover/evictions.hpp"

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

class EvictionsTest : public testing::Test, protected Flows {
protected:
  const std::set<Mapping> at_primary{primary_tcp, primary_udp, primary_tcp6};
  const std::set<Mapping> tcp_at_primary{primary_tcp, primary_tcp6};

  ServiceState& flipped(Reason reason = Reason::failover) {
    ServiceState& service = add_at(web(), 0);
    go(service, to_server(1, reason));
    return service;
  }
  /// Up to the first sweep, which is not due yet.
  void cut_all() {
    EXPECT_TRUE(run());
    finish();
    EXPECT_TRUE(run());
    finish();
    expect_job_after(1s);
    finish();
  }
  /// Each with this result; the last one ends the cut.
  void expect_thirty_sweeps(const ServiceState& service, const CutResult& result) {
    for (int sweep = 1; sweep <= 30; ++sweep) {
      expect_job_after(1s);
      finish(result);
      EXPECT_EQ(service.evictions.empty(), sweep == 30) << sweep;
    }
  }
};

TEST_F(EvictionsTest, EachStageHasItsTime) {
  ServiceState& service = flipped();
  EXPECT_TRUE(service.last_flip->cutting);

  EXPECT_TRUE(run()); // UDP and SCTP at once
  EXPECT_EQ(as_set(job().cut), at_primary);
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
  EXPECT_EQ(job().scope, nat::FlowScope::clients);
  EXPECT_TRUE(job().nudge.empty() && job().cut_unconnected.empty());
  finish();

  EXPECT_TRUE(run()); // their clients right behind it, and behind them UDP and SCTP flows that servers opened
  EXPECT_EQ(as_set(job().cut_unconnected), tcp_at_primary);
  EXPECT_EQ(job().nudge, tcp_at_primary);
  EXPECT_EQ(as_set(job().cut), at_primary);
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
  EXPECT_EQ(job().scope, nat::FlowScope::others);
  finish();

  expect_job_after(1s); // TCP when the guard had its time
  EXPECT_EQ(as_set(job().cut), at_primary);
  EXPECT_EQ(job().protocols, nat::Protocols::all);
  EXPECT_EQ(job().scope, nat::FlowScope::all);
  finish();

  expect_job_after(1s); // a sweep
  EXPECT_EQ(as_set(job().cut), at_primary);
  EXPECT_FALSE(service.evictions.empty());
  finish();

  EXPECT_TRUE(service.evictions.empty());
  EXPECT_FALSE(service.last_flip->cutting);
  EXPECT_EQ(events_of(outbox, said::cut), 1U);
  EXPECT_EQ(events_of(outbox, said::cut_void), 0U);
  now += 1h;
  EXPECT_FALSE(run());
}

const Endpoint a_client = endpoint("198.18.9.2", 40'000);

TEST_F(EvictionsTest, ClientsOfAnOffloadedServiceLoseTheirEntriesWithTheNudge) {
  flipped().offloading = Offloading::on;
  run();
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut_offloaded), tcp_at_primary);
  EXPECT_TRUE(job().cut_unconnected.empty());
  EXPECT_EQ(job().nudge, tcp_at_primary);
}

TEST_F(EvictionsTest, AClientThatConnectsAgainLosesItsOldEntryAtOnce) {
  ServiceState& service = flipped();
  run();
  finish();
  run();
  finish();
  outbox.sync_due = false;
  evictions.on_reconnect(tcp4, a_client);
  EXPECT_TRUE(outbox.sync_due);
  EXPECT_TRUE(run()); // not a second later
  EXPECT_EQ(job().reconnecting, (nat::Clients{{primary_tcp, {a_client}}}));
  EXPECT_TRUE(job().not_nudged.empty() && job().nudge.empty() && job().cut.empty() && job().cut_unconnected.empty());
  CutResult result;
  result.reconnected[primary_tcp] = 1;
  finish(result);
  EXPECT_EQ(service.last_flip->cut.tcp, 1U);
  EXPECT_EQ(service.totals.cut.tcp, 1U);
  EXPECT_FALSE(run());
  expect_job_after(1s); // the rest of TCP, at its time
  EXPECT_TRUE(job().reconnecting.empty());
}

TEST_F(EvictionsTest, AClientThatConnectsAgainCountsOnceWhereTwoEvictionsHaveItsFlow) {
  ServiceState& service = flipped();
  run();
  finish();
  run();
  finish();
  evictions.add(service, {.mappings = {primary_tcp}, .comment = "web", .exact = true, .stage = CutStage::record, .due = now + 1h});
  evictions.on_reconnect(tcp4, a_client);
  EXPECT_TRUE(run());
  CutResult result;
  result.reconnected[primary_tcp] = 1;
  finish(result);
  EXPECT_EQ(service.totals.cut.tcp, 1U);
  EXPECT_EQ(service.last_flip->cut.tcp, 1U);
}

TEST_F(EvictionsTest, AClientThatConnectsAgainIsNotNudgedWhereNobodyIs) {
  ServiceState& service = flipped();
  service.config.edit().nudge = false;
  evictions.on_reconnect(tcp4, a_client);
  run();
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().not_nudged, std::set<Mapping>{primary_tcp});
}

TEST_F(EvictionsTest, AClientThatConnectsAgainToATargetThatReturnedIsNotified) {
  ServiceState& service = flipped();
  run();
  finish();
  go(service, to_server(0, Reason::failback));
  while (run()) finish();
  evictions.on_reconnect(tcp4, a_client); // it was dropped before the way back
  EXPECT_TRUE(run());
  EXPECT_EQ(job().reconnecting, (nat::Clients{{backup_tcp, {a_client}}}));
}

TEST_F(EvictionsTest, AClientOfAFlowThatMayStayIsLeftAlone) {
  ServiceConfig config = web();
  config.on_failover = kept_policy;
  ServiceState& service = add_at(config, 0);
  go(service, to_server(1));
  run();
  finish();
  run();
  finish();
  outbox.sync_due = false;
  evictions.on_reconnect(tcp4, a_client);
  evictions.on_reconnect({address("203.0.113.99"), Protocol::tcp, 443}, a_client);
  EXPECT_FALSE(outbox.sync_due);
}

TEST_F(EvictionsTest, AServerWhoseFlowsAreCutIsDisplacedForAMinute) {
  ServiceState& service = flipped();
  const std::map<Mapping, Time> expected{
      {primary_tcp, now + recent_for}, {primary_udp, now + recent_for}, {primary_tcp6, now + recent_for}};
  EXPECT_EQ(service.displaced_until, expected);
}

TEST_F(EvictionsTest, AServiceIsLookedAtAfterEachJob) {
  ServiceState& service = flipped();
  registry.take_dirty();
  run();
  outbox.sync_due = false;
  finish();
  EXPECT_TRUE(service.dirty);
  EXPECT_TRUE(outbox.sync_due);
}

TEST_F(EvictionsTest, ClientsOfAPlannedMoveAreNotifiedAMomentLater) {
  flipped(Reason::forced);
  run();
  finish();
  expect_job_after(50ms);
  EXPECT_EQ(job().nudge, tcp_at_primary);
}

TEST_F(EvictionsTest, WithoutNudgeOnlyUnconnectedClientsMeetTheNewTarget) {
  ServiceConfig config = web();
  config.nudge = false;
  go(add_at(config, 0), to_server(1));
  run();
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut_unconnected), tcp_at_primary);
  EXPECT_TRUE(job().nudge.empty());
}

TEST_F(EvictionsTest, SweepsFollowEachSecondUntilOneFindsNothing) {
  ServiceState& service = flipped();
  cut_all();
  for (int found = 0; found < 2; ++found) {
    expect_job_after(1s);
    finish(deleted(primary_tcp, 2));
    EXPECT_FALSE(service.evictions.empty());
  }
  expect_job_after(1s);
  finish();
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_EQ(service.last_flip->cut.tcp, 4U);
  EXPECT_EQ(events_of(outbox, said::cut), 1U);
  EXPECT_TRUE(service.unexpected.empty());
}

TEST_F(EvictionsTest, SweepsFollowAsLongAsAFlowtableHasAnEntry) {
  ServiceState& service = flipped();
  cut_all();
  CutResult busy;
  busy.deleted[primary_tcp] = {.busy = 1};
  expect_thirty_sweeps(service, busy);
  EXPECT_EQ(events_of(outbox, said::cut), 0U);
  EXPECT_EQ(events_of(outbox, "1 are left in a flowtable"), 1U);
}

TEST_F(EvictionsTest, OffloadedFlowsThatWereCutAreTold) {
  flipped();
  run();
  finish();
  run();
  CutResult result;
  result.deleted[primary_tcp] = {.entries = 3, .offloaded = 2};
  finish(result);
  expect_job_after(1s);
  finish(deleted(primary_tcp));
  expect_job_after(1s);
  finish();
  EXPECT_EQ(events_of(outbox, "cut 4 TCP flows (2 offloaded to a flowtable) of"), 1U);
}

// A reload gave a range other borders while the worker swept: the job counted for the old range.
TEST_F(EvictionsTest, ASweepOfOtherMappingsDoesNotEndIt) {
  ServiceState& service = flipped();
  cut_all();
  expect_job_after(1s);
  std::erase(service.evictions.front().mappings, primary_udp);
  finish();
  ASSERT_EQ(service.evictions.size(), 1U);
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut), tcp_at_primary);
  finish();
  EXPECT_TRUE(service.evictions.empty());
}

TEST_F(EvictionsTest, AServiceThatIsRemovedDuringAJobOutlivesIt) {
  ServiceState& service = flipped();
  EXPECT_TRUE(run());
  service.config.edit().listen.clear();
  service.config.edit().servers.clear();
  service.servers.clear();
  registry.unlist(service);
  service.evictions.front().mappings.clear(); // given to another service
  evictions.drop_empty(service);
  service.loaded = {};
  registry.take_dirty();
  registry.reap(service);
  ASSERT_EQ(registry.services().size(), 1U);
  finish(deleted(primary_udp));
  EXPECT_TRUE(service.dirty);
  EXPECT_TRUE(service.evictions.empty());
  registry.take_dirty();
  registry.reap(service);
  EXPECT_TRUE(registry.services().empty());
}

TEST_F(EvictionsTest, WithoutAnAnswerToWhatStandsNothingIsCut) {
  ServiceState& service = add_at(web(), 0);
  evictions.add(service, {.mappings = {primary_tcp}, .comment = "web", .exact = true, .stage = CutStage::record, .due = now});
  EXPECT_TRUE(run());
  EXPECT_EQ(job().record, std::vector{primary_tcp});
  finish(failure("no"));
  EXPECT_EQ(events_of(outbox, "are not cut: the kernel gave no complete list of them (no)"), 1U);
  EXPECT_EQ(events_of(outbox, said::failed), 0U) << "it is not tried again";
  EXPECT_TRUE(run());
  EXPECT_TRUE(job().recorded.empty());
  finish();
  EXPECT_TRUE(service.evictions.empty());
}

TEST_F(EvictionsTest, AListOfFlowsThatStaysIncompleteIsTold) {
  ServiceState& service = add_at(web(), 0);
  evictions.add(service, {.mappings = {primary_tcp}, .comment = "web", .exact = true, .stage = CutStage::record, .due = now});
  EXPECT_TRUE(run());
  finish();
  EXPECT_EQ(events_of(outbox, "are not cut: the kernel gave no complete list of them"), 1U);
}

TEST_F(EvictionsTest, ARecordThatGaveWayIsMadeAgain) {
  ServiceState& service = add_at(web(), 0);
  evictions.add(service, {.mappings = {primary_tcp}, .comment = "web", .exact = true, .stage = CutStage::record, .due = now});
  EXPECT_TRUE(run());
  evictions.cancel();
  finish();
  EXPECT_EQ(service.evictions.front().stage, CutStage::record);
  EXPECT_TRUE(outbox.events.empty());
  EXPECT_TRUE(run());
  EXPECT_EQ(job().record, std::vector{primary_tcp});
}

// An operator's rule sends a client there, who comes again each time.
TEST_F(EvictionsTest, WhatTheThirdSweepFindsIsLeft) {
  ServiceState& service = flipped();
  cut_all();
  for (int sweep = 1; sweep <= 3; ++sweep) {
    EXPECT_FALSE(service.evictions.empty());
    expect_job_after(1s);
    finish(deleted(primary_tcp, 2));
  }
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_FALSE(service.last_flip->cutting);
  EXPECT_EQ(events_of(outbox, said::cut), 0U) << "conntrack is not clean";
  EXPECT_EQ(events_of(outbox, "; 2 flows are left"), 1U);
  ASSERT_EQ(service.unexpected.size(), 1U) << "only what came back";
  EXPECT_TRUE(service.unexpected.at(primary_tcp).was_cut);
}

TEST_F(EvictionsTest, AFlowtableIsWaitedForWhateverElseComesBack) {
  ServiceState& service = flipped();
  cut_all();
  CutResult both;
  both.deleted[primary_tcp] = {.entries = 1, .busy = 1};
  expect_thirty_sweeps(service, both);
}

TEST_F(EvictionsTest, WhatWasCutIsCountedForTheFlipAndForTheService) {
  ServiceState& service = flipped();
  run();
  CutResult result = deleted(primary_udp, 4);
  result.took = 20ms;
  finish(result);
  run();
  result = {};
  result.nudged[primary_tcp] = 7;
  finish(result);
  expect_job_after(1s);
  finish(deleted(primary_tcp6, 5));
  EXPECT_EQ(service.last_flip->cut, (nat::CutCount{.tcp = 5, .udp = 4, .sctp = 0}));
  EXPECT_EQ(service.last_flip->cut_time, 20ms);
  EXPECT_EQ(service.last_flip->nudged, 7U);
  EXPECT_EQ(service.totals.cut, service.last_flip->cut);
  EXPECT_EQ(service.totals.nudged, 7U);
}

TEST_F(EvictionsTest, EntriesOfBeforeTheRulesGoAllAtOnceAndAreNotCounted) {
  ServiceState& service = add(web());
  go(service, to_server(0)); // its first target
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut), (std::set<Mapping>{untranslated(tcp4), untranslated(udp4), untranslated(tcp6)}));
  EXPECT_EQ(job().protocols, nat::Protocols::all);
  finish(deleted(untranslated(tcp4), 9));
  expect_job_after(1s);
  finish();
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_EQ(service.totals.cut.total(), 0U);
  EXPECT_EQ(events_of(outbox, said::cut), 0U);
}

TEST_F(EvictionsTest, ClientsOfEndpointsThatMovedAreResetForAMinute) {
  ServiceState& service = flipped();
  EXPECT_EQ(service.recent_until.at(tcp4), now + 60s);
  EXPECT_EQ(service.recent_until.at(tcp6), now + 60s);
  now += 10s;
  go(service, to_server(0));
  EXPECT_EQ(service.recent_until.at(tcp4), now + 60s);

  ServiceState& fresh = add(small_service("fresh", 80));
  go(fresh, to_server(0));
  EXPECT_TRUE(fresh.recent_until.empty()); // nothing moved
}

} // namespace
} // namespace hanat::test
