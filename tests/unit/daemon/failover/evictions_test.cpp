// Flows on their way out: every stage at its time, sweeps until nothing is found, and what a job that failed, was cancelled or is in the
// way of a flip leads to. Not here: several flips at once, endpoints that change hands (evictions_flips_test), drains (drains_test).
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
};

TEST_F(EvictionsTest, EachStageHasItsTime) {
  ServiceState& service = flipped();
  EXPECT_TRUE(service.last_flip->cutting);

  EXPECT_TRUE(run()); // UDP and SCTP at once
  EXPECT_EQ(as_set(job().cut), at_primary);
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
  EXPECT_TRUE(job().nudge.empty() && job().cut_unconnected.empty());
  finish();

  EXPECT_TRUE(run()); // their clients right behind it
  EXPECT_TRUE(job().cut.empty());
  EXPECT_EQ(as_set(job().cut_unconnected), tcp_at_primary);
  EXPECT_EQ(job().nudge, tcp_at_primary);
  finish();

  expect_job_after(1s); // TCP when the guard had its time
  EXPECT_EQ(as_set(job().cut), at_primary);
  EXPECT_EQ(job().protocols, nat::Protocols::all);
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

TEST_F(EvictionsTest, AClientThatConnectsAgainIsNotNudgedWhereNobodyIs) {
  ServiceState& service = flipped();
  service.config.nudge = false;
  evictions.on_reconnect(tcp4, a_client);
  run();
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().not_nudged, std::set<Mapping>{primary_tcp});
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
  for (int found = 0; found < 3; ++found) {
    expect_job_after(1s);
    finish(deleted(primary_tcp, 2));
    EXPECT_FALSE(service.evictions.empty());
  }
  expect_job_after(1s);
  finish();
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_EQ(service.last_flip->cut.tcp, 6U);
}

TEST_F(EvictionsTest, AfterThirtySweepsItEnds) {
  ServiceState& service = flipped();
  cut_all();
  for (int sweep = 1; sweep <= 30; ++sweep) {
    EXPECT_FALSE(service.evictions.empty());
    expect_job_after(1s);
    finish(deleted(primary_tcp));
  }
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_FALSE(service.last_flip->cutting);
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

TEST_F(EvictionsTest, AJobThatTheKernelRefusedIsReportedAndTriedAgainAfterFiveSeconds) {
  ServiceState& service = flipped();
  run();
  CutResult result = failure("no");
  result.deleted[primary_udp] = 3; // before that
  finish(result);
  EXPECT_EQ(events_of(outbox, said::failed), 1U);
  EXPECT_EQ(service.last_flip->cut.udp, 3U);
  EXPECT_FALSE(evictions.is_idle(now));
  EXPECT_EQ(evictions.next_wakeup(), now + 5s);
  expect_job_after(5s);
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp); // the same stage
  EXPECT_EQ(evictions.next_wakeup(), std::nullopt);
}

TEST_F(EvictionsTest, WhileTheKernelRefusesNoOtherJobIsStarted) {
  flipped();
  run();
  finish(failure("no"));
  go(add_at(small_service("other", 80), 0), to_server(1));
  expect_job_after(5s);
  EXPECT_EQ(job().cut.size(), 4U); // all that is due
}

TEST_F(EvictionsTest, ACancelledJobIsDoneAgainAtOnce) {
  flipped();
  run();
  evictions.cancel();
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
  EXPECT_EQ(events_of(outbox, said::failed), 0U);
}

TEST_F(EvictionsTest, OnlyATargetThatReturnsWaitsForTheJobOnItsFlows) {
  ServiceState& service = flipped();
  const auto delays = [&](ServiceState& one, std::size_t server) {
    return evictions.delays(one, desired_state(one, to_server(server), now));
  };
  EXPECT_FALSE(delays(service, 0)); // no job has begun
  run();
  EXPECT_FALSE(delays(service, 1)); // stays as it is
  ServiceState& other = add_at(small_service("other", 80), 0);
  EXPECT_FALSE(delays(other, 1));
  EXPECT_FALSE(worker.cancelled);
  EXPECT_TRUE(delays(service, 0));
  EXPECT_TRUE(worker.cancelled);
  finish();
  EXPECT_TRUE(service.dirty); // it is decided again
  EXPECT_FALSE(delays(service, 0));
}

TEST_F(EvictionsTest, AMoveToAnotherServerDoesNotWaitForTheJobOnTheFlowsOfTheOld) {
  ServiceConfig config = web();
  config.servers.push_back({.role = "backup2", .addresses = {endpoint("198.18.3.2", 0)}, .snat = {}, .probes = {}});
  ServiceState& service = add_at(config, 0);
  go(service, to_server(1));
  run();
  EXPECT_FALSE(evictions.delays(service, desired_state(service, to_server(2), now)));
  EXPECT_FALSE(worker.cancelled);
}

TEST_F(EvictionsTest, FlowsOfATargetThatReturnsAreNotEvictedAnyMore) {
  ServiceState& service = flipped();
  run();
  finish();
  go(service, to_server(0));
  EXPECT_EQ(mappings_of(service.evictions, false), (std::set<Mapping>{backup_tcp, backup_udp}));
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut), (std::set<Mapping>{backup_tcp, backup_udp}));
}

TEST_F(EvictionsTest, SeveralServicesShareAJob) {
  ServiceState& one = add_at(small_service("one", 80), 0);
  ServiceState& two = add_at(small_service("two", 81), 0);
  const Mapping of_one{one.config.listen.front(), one.loaded.dnat.begin()->second.server};
  const Mapping of_two{two.config.listen.front(), two.loaded.dnat.begin()->second.server};
  go(one, to_server(1));
  go(two, to_server(1));
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut), (std::set<Mapping>{of_one, of_two}));
  CutResult result = deleted(of_one, 1);
  result.deleted[of_two] = 2;
  finish(result);
  EXPECT_EQ(one.last_flip->cut.tcp, 1U);
  EXPECT_EQ(two.last_flip->cut.tcp, 2U);
}

TEST_F(EvictionsTest, TheMostUrgentJobComesFirst) {
  flipped();
  run();
  finish(); // its clients are to be notified
  go(add_at(small_service("other", 80), 0), to_server(1));
  EXPECT_TRUE(run());
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
  EXPECT_EQ(job().cut.size(), 1U);
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().nudge.size(), 3U); // of both
}

TEST_F(EvictionsTest, AJobThatOnlyReadsGivesWayToACut) {
  std::vector<bool> done;
  evictions.run_idle({}, [&](const CutResult& result, Time) { done.push_back(result.cancelled); });
  EXPECT_FALSE(run());
  EXPECT_FALSE(worker.cancelled);
  flipped();
  EXPECT_FALSE(run());
  EXPECT_TRUE(worker.cancelled);
  finish();
  EXPECT_EQ(done, std::vector{true});
  EXPECT_TRUE(run());
}

TEST_F(EvictionsTest, ACutDoesNotGiveWay) {
  flipped();
  run();
  go(add_at(small_service("other", 80), 0), to_server(1));
  EXPECT_FALSE(run());
  EXPECT_FALSE(worker.cancelled);
}

TEST_F(EvictionsTest, AFailedReadHoldsUpNoCut) {
  evictions.run_idle({}, [](const CutResult&, Time) {});
  finish(failure("no"));
  EXPECT_EQ(events_of(outbox, said::failed), 1U);
  EXPECT_TRUE(evictions.is_idle(now));
}

TEST_F(EvictionsTest, ClientsWhoseRefusalWasHeldWithoutNeedAreNotified) {
  ServiceState& service = add_at(web(), 0);
  service.loaded.hold[primary_tcp] = "web primary";
  outbox.sync_due = false;
  evictions.notify_held(service);
  EXPECT_TRUE(outbox.sync_due);
  EXPECT_TRUE(run());
  EXPECT_EQ(job().nudge, std::set{primary_tcp});
  EXPECT_TRUE(job().cut_unconnected.empty() && job().cut.empty());
  finish();
  EXPECT_FALSE(run());
}

TEST_F(EvictionsTest, WithoutNudgeOrAnythingHeldNobodyIsNotified) {
  ServiceState& service = add_at(web(), 0);
  evictions.notify_held(service);
  EXPECT_FALSE(run());
  service.loaded.hold[primary_tcp] = "web primary";
  service.config.nudge = false;
  evictions.notify_held(service);
  EXPECT_FALSE(run());
}

} // namespace
} // namespace hanat::test
