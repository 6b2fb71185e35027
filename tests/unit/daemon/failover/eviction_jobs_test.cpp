// Jobs of evictions: which comes first, and what one that failed, was cancelled or is in the way of a flip leads to. Not here: the stages
// of one eviction (evictions_test).
#include "daemon/failover/evictions.hpp"

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

class EvictionJobsTest : public testing::Test, protected Flows {
protected:
  ServiceState& flipped(Reason reason = Reason::failover) {
    ServiceState& service = add_at(web(), 0);
    go(service, to_server(1, reason));
    return service;
  }
  /// Its clients have been notified.
  ServiceState& flipped_with_a_client_that_connects_again() {
    ServiceState& service = flipped();
    run();
    finish();
    run();
    finish();
    evictions.on_reconnect(tcp4, endpoint("198.18.9.2", 40'000));
    return service;
  }
};

TEST_F(EvictionJobsTest, AJobThatTheKernelRefusedIsReportedAndTriedAgainAfterFiveSeconds) {
  ServiceState& service = flipped();
  run();
  CutResult result = failure("no");
  result.deleted[primary_udp] = {.entries = 3}; // before that
  finish(result);
  EXPECT_EQ(events_of(outbox, said::failed), 1U);
  EXPECT_EQ(service.last_flip->cut.udp, 3U);
  EXPECT_FALSE(evictions.is_idle(now));
  EXPECT_EQ(evictions.next_wakeup(), now + 5s);
  expect_job_after(5s);
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp); // the same stage
  EXPECT_EQ(evictions.next_wakeup(), std::nullopt);
}

TEST_F(EvictionJobsTest, WhileTheKernelRefusesNoOtherJobIsStarted) {
  flipped();
  run();
  finish(failure("no"));
  go(add_at(small_service("other", 80), 0), to_server(1));
  expect_job_after(5s);
  EXPECT_EQ(job().cut.size(), 4U); // all that is due
}

TEST_F(EvictionJobsTest, ACancelledJobIsDoneAgainAtOnce) {
  flipped();
  run();
  evictions.cancel();
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
  EXPECT_EQ(events_of(outbox, said::failed), 0U);
}

TEST_F(EvictionJobsTest, OnlyATargetThatReturnsWaitsForTheJobOnItsFlows) {
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

TEST_F(EvictionJobsTest, NothingIsCutWhileTheKernelHasNotAnsweredAChange) {
  ServiceState& service = flipped();
  service.due.answer = true; // perhaps back to the server whose flows would be cut
  EXPECT_FALSE(run());
  service.due.answer = false;
  EXPECT_TRUE(run());
}

TEST_F(EvictionJobsTest, AClientThatConnectsAgainKeepsItsEntryAtAServerThatReturns) {
  ServiceState& service = flipped_with_a_client_that_connects_again();
  service.due.answer = true;
  EXPECT_FALSE(run());
  service.due.answer = false;
  go(service, to_server(0));
  while (run()) {
    EXPECT_TRUE(job().reconnecting.empty());
    finish();
  }
}

TEST_F(EvictionJobsTest, AReturnWaitsForTheJobOnClientsThatConnectAgain) {
  ServiceState& service = flipped_with_a_client_that_connects_again();
  EXPECT_TRUE(run());
  EXPECT_TRUE(evictions.delays(service, desired_state(service, to_server(0), now)));
  finish();
  EXPECT_FALSE(evictions.delays(service, desired_state(service, to_server(0), now)));
  expect_job_after(1s); // the stage has not changed
  EXPECT_EQ(job().scope, nat::FlowScope::all);
}

// The kernel takes no two ranges that overlap: the old one leaves with the transaction that has the new one, or both are refused.
TEST_F(EvictionJobsTest, PortsThatAnotherServiceTakesOverDoNotWaitForAJob) {
  const auto range = [](std::uint16_t first, std::uint16_t last) { return Vip{address("203.0.113.20"), Protocol::tcp, first, last}; };
  ServiceConfig config = small_service("range", 0);
  config.listen = {range(2000, 4000)};
  ServiceState& service = add(config);
  go(service, to_server(0)); // entries of before the rules are cut
  EXPECT_TRUE(run());
  planning::remove(service);
  service.ports_taken_over = {range(1, 65'535)};
  EXPECT_FALSE(evictions.delays(service, desired_state(service, decision_for(Destination::removed), now)));
}

TEST_F(EvictionJobsTest, AMoveToAnotherServerDoesNotWaitForTheJobOnTheFlowsOfTheOld) {
  ServiceConfig config = web();
  config.servers.push_back({.role = "backup2", .addresses = {endpoint("198.18.3.2", 0)}, .snat = {}, .probes = {}});
  ServiceState& service = add_at(config, 0);
  go(service, to_server(1));
  run();
  EXPECT_FALSE(evictions.delays(service, desired_state(service, to_server(2), now)));
  EXPECT_FALSE(worker.cancelled);
}

TEST_F(EvictionJobsTest, FlowsOfATargetThatReturnsAreNotEvictedAnyMore) {
  ServiceState& service = flipped();
  run();
  finish();
  go(service, to_server(0));
  EXPECT_EQ(mappings_of(service.evictions, false), (std::set<Mapping>{backup_tcp, backup_udp}));
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut), (std::set<Mapping>{backup_tcp, backup_udp}));
}

TEST_F(EvictionJobsTest, SeveralServicesShareAJob) {
  ServiceState& one = add_at(small_service("one", 80), 0);
  ServiceState& two = add_at(small_service("two", 81), 0);
  const Mapping of_one{one.config->listen.front(), one.loaded.dnat.begin()->second.server};
  const Mapping of_two{two.config->listen.front(), two.loaded.dnat.begin()->second.server};
  go(one, to_server(1));
  go(two, to_server(1));
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().cut), (std::set<Mapping>{of_one, of_two}));
  CutResult result = deleted(of_one, 1);
  result.deleted[of_two] = {.entries = 2};
  finish(result);
  EXPECT_EQ(one.last_flip->cut.tcp, 1U);
  EXPECT_EQ(two.last_flip->cut.tcp, 2U);
}

TEST_F(EvictionJobsTest, TheMostUrgentJobComesFirst) {
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

TEST_F(EvictionJobsTest, AJobThatOnlyReadsGivesWayToACut) {
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

TEST_F(EvictionJobsTest, ARecordGivesWayToACutAndToNothingElse) {
  ServiceState& service = add_at(small_service("exact", 81), 0);
  const Mapping flows{service.config->listen.front(), service.loaded.dnat.begin()->second.server};
  const auto add_exact = [&](CutStage stage) {
    evictions.add(service, {.mappings = {flows}, .comment = "exact", .exact = true, .stage = stage, .due = now});
  };
  add_exact(CutStage::record);
  EXPECT_TRUE(run());
  for (const CutStage stage : {CutStage::record, CutStage::cut_recorded}) {
    add_exact(stage);
    EXPECT_FALSE(run());
    EXPECT_FALSE(worker.cancelled) << "they come behind it";
  }
  flipped();
  EXPECT_FALSE(run());
  EXPECT_TRUE(worker.cancelled);
  finish();
  EXPECT_TRUE(run());
  EXPECT_TRUE(job().record.empty());
  EXPECT_EQ(job().protocols, nat::Protocols::non_tcp);
}

TEST_F(EvictionJobsTest, ACutDoesNotGiveWay) {
  flipped();
  run();
  go(add_at(small_service("other", 80), 0), to_server(1));
  EXPECT_FALSE(run());
  EXPECT_FALSE(worker.cancelled);
}

TEST_F(EvictionJobsTest, AFailedReadHoldsUpNoCut) {
  evictions.run_idle({}, [](const CutResult&, Time) {});
  finish(failure("no"));
  EXPECT_EQ(events_of(outbox, said::failed), 1U);
  EXPECT_TRUE(evictions.is_idle(now));
}

TEST_F(EvictionJobsTest, ClientsWhoseRefusalWasHeldWithoutNeedAreNotified) {
  ServiceState& service = add_at(web(), 0);
  service.loaded.hold[primary_tcp] = service.loaded.hold[primary_udp] = "web primary";
  outbox.sync_due = false;
  evictions.notify_held(service);
  EXPECT_TRUE(outbox.sync_due);
  EXPECT_TRUE(run());
  EXPECT_EQ(job().nudge, std::set{primary_tcp});
  EXPECT_TRUE(job().cut_unconnected.empty() && job().cut.empty());
  finish();
  EXPECT_FALSE(run());
}

TEST_F(EvictionJobsTest, WithoutNudgeOrAnythingHeldNobodyIsNotified) {
  ServiceState& service = add_at(web(), 0);
  service.loaded.hold.clear(); // it came with the first target
  evictions.notify_held(service);
  EXPECT_FALSE(run());
  service.loaded.hold[primary_tcp] = "web primary";
  service.config.edit().nudge = false;
  evictions.notify_held(service);
  EXPECT_FALSE(run());
}

} // namespace
} // namespace hanat::test
