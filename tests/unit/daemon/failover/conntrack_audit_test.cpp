// The comparison of conntrack with the targets: which flows are expected, when it is made, and what is done with the others.
// Not here: reading conntrack (tests/netns/nat), matching an entry (nat/conntrack/expected_flows_test).
#include "daemon/failover/conntrack_audit.hpp"

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

class ConntrackAuditTest : public testing::Test, protected Flows {
protected:
  bool in_sync = true;
  ConntrackAudit audit{evictions, registry, outbox, [this] { return in_sync; }};

  /// Gives the worker what is due; cuts come first.
  bool run() {
    const std::size_t before = worker.jobs.size();
    evictions.run(now);
    audit.run(now);
    return worker.jobs.size() != before;
  }
  /// The first audit is under way.
  void begin() {
    audit.start(60s, now);
    now += 10s;
    EXPECT_TRUE(run());
    ASSERT_NE(job().expected, nullptr);
  }
  /// The same, when every cut has ended.
  void begin_when_idle() {
    for (const auto& service : registry.services()) service->evictions.clear();
    begin();
  }
  void expect_audit_after(Clock::duration wait) {
    now += wait - 1ms;
    EXPECT_FALSE(run());
    now += 1ms;
    EXPECT_TRUE(run());
  }
  const nat::ExpectedFlows& expected() const { return *job().expected; }
  bool expects(const Mapping& flows) const { return !expected().unexpected(flows); }

  static CutResult unexpected(const Mapping& mapping, std::uint64_t flows = 1) {
    CutResult result;
    result.unexpected = nat::Flows{{mapping, flows}};
    return result;
  }
  static CutResult clean(std::chrono::microseconds spent = {}) {
    CutResult result;
    result.unexpected.emplace();
    result.spent = spent;
    return result;
  }
  std::size_t found() const { return events_of(outbox, said::unexpected); }
};

TEST_F(ConntrackAuditTest, FlowsAreExpectedAtTheTarget) {
  add_at(web(), 0);
  begin();
  EXPECT_TRUE(expects(primary_tcp) && expects(primary_udp) && expects(primary_tcp6));
  EXPECT_FALSE(expects(backup_tcp) || expects(backup_udp));
  EXPECT_FALSE(expects(untranslated(tcp4)));
  EXPECT_TRUE(expects({{address("192.0.2.1"), Protocol::tcp, 80}, backup4})); // not hanat's
}

TEST_F(ConntrackAuditTest, WhereTcpMayBeKeptItIsExpectedAtEveryServer) {
  ServiceConfig config = web();
  config.on_forced = kept_policy;
  add_at(config, 0);
  begin();
  EXPECT_TRUE(expects(backup_tcp));
  EXPECT_FALSE(expects(backup_udp));
}

TEST_F(ConntrackAuditTest, OfAServiceThatRefusesClientsNoFlowIsExpected) {
  ServiceConfig config = web();
  config.on_forced = kept_policy;
  ServiceState& service = add_at(config, 0);
  go(service, decision_for(Destination::none));
  service.evictions.clear(); // at their end
  ASSERT_TRUE(service.refused);
  begin();
  EXPECT_FALSE(expects(primary_tcp) || expects(backup_tcp));
}

TEST_F(ConntrackAuditTest, OfADrainingServerFlowsAreExpected) {
  ServiceConfig config = web();
  config.listen = {tcp4};
  config.on_failover = a_minute;
  go(add_at(config, 0), to_server(1));
  worker.jobs.clear();
  audit.start(60s, now);
  now += 10s;
  for (int job_number = 0; job_number < 2; ++job_number) { // notified and counted
    EXPECT_TRUE(run());
    CutResult result;
    result.counted = nat::Flows{{primary_tcp, 1}};
    finish(result);
  }
  EXPECT_TRUE(run());
  ASSERT_NE(job().expected, nullptr);
  EXPECT_TRUE(expects(primary_tcp));
}

TEST_F(ConntrackAuditTest, ServicesThatAreObservedOrUndecidedOrGoneAreLeftOut) {
  ServiceState& observed = add_at(small_service("observed", 80), 0);
  observed.shadow.emplace();
  ServiceState& undecided = add_at(small_service("undecided", 81), 0);
  undecided.current.reset();
  ServiceState& gone = add_at(small_service("gone", 82), 0);
  gone.removed = true;
  add_at(small_service("plain", 83), 0);
  begin();
  for (std::uint16_t port = 80; port <= 82; ++port) EXPECT_TRUE(expects({{address("203.0.113.20"), Protocol::tcp, port}, backup4})) << port;
  EXPECT_FALSE(expects({{address("203.0.113.20"), Protocol::tcp, 83}, backup4}));
}

TEST_F(ConntrackAuditTest, TheFirstComesTenSecondsAfterTheStart) {
  audit.start(60s, now);
  EXPECT_EQ(audit.next_wakeup(), now + 10s);
  expect_audit_after(10s);
  finish(clean());
  EXPECT_EQ(audit.next_wakeup(), now + 60s);
  expect_audit_after(60s);
}

TEST_F(ConntrackAuditTest, AShortPeriodHoldsFromTheStart) {
  audit.start(5s, now);
  EXPECT_EQ(audit.next_wakeup(), now + 5s);
}

TEST_F(ConntrackAuditTest, ANewPeriodHoldsAtOnceWhereItIsShorter) {
  begin();
  finish(clean());
  audit.set_period(20s, now);
  EXPECT_EQ(audit.next_wakeup(), now + 20s);
  audit.set_period(600s, now);
  EXPECT_EQ(audit.next_wakeup(), now + 20s);
  now += 20s;
  EXPECT_TRUE(run());
  finish(clean());
  EXPECT_EQ(audit.next_wakeup(), now + 600s);
}

TEST_F(ConntrackAuditTest, AnAuditTakesAHundredthOfAProcessorAtTheMost) {
  begin();
  finish(clean(2500ms));
  EXPECT_EQ(audit.next_wakeup(), now + 250s);
}

TEST_F(ConntrackAuditTest, NothingIsComparedWhileTheTableIsNotInSync) {
  audit.start(60s, now);
  now += 10s;
  in_sync = false;
  EXPECT_FALSE(run());
  in_sync = true;
  EXPECT_TRUE(run());
}

TEST_F(ConntrackAuditTest, ACutComesFirst) {
  audit.start(60s, now);
  now += 10s;
  go(add_at(web(), 0), to_server(1));
  EXPECT_TRUE(run());
  EXPECT_EQ(job().expected, nullptr);
  EXPECT_FALSE(run());
}

TEST_F(ConntrackAuditTest, WhatIsUnexpectedIsReportedAndEvicted) {
  ServiceState& service = add_at(web(), 0);
  begin();
  registry.take_dirty();
  finish(unexpected(backup_tcp, 3));
  EXPECT_EQ(found(), 1U);
  ASSERT_EQ(service.evictions.size(), 1U);
  EXPECT_EQ(service.evictions.front().mappings, std::vector{backup_tcp});
  EXPECT_EQ(service.evictions.front().comment, "web backup");
  EXPECT_FALSE(service.evictions.front().untranslated);
  EXPECT_EQ(service.recent_until.at(tcp4), now + 60s);
  EXPECT_TRUE(service.dirty);
  EXPECT_TRUE(service.evictions.front().exact) << "no stale keys: the next flow there may be somebody else's";
  EXPECT_TRUE(run());
  EXPECT_EQ(job().record, std::vector{backup_tcp});
  finish();
  EXPECT_TRUE(run());
  EXPECT_EQ(job().cut_recorded, std::vector{backup_tcp});
  finish();
  EXPECT_TRUE(service.evictions.empty());
}

/// An operator's rule sends some clients elsewhere.
class ForeignFlowsTest : public ConntrackAuditTest {
protected:
  ServiceState& service = add_at(web(), 0);

  void look_for(const CutResult& result) {
    now = std::max(now, audit.next_wakeup());
    EXPECT_TRUE(run());
    ASSERT_NE(job().expected, nullptr);
    finish(result);
  }
  /// The jobs of what was found.
  void evict() {
    while (!service.evictions.empty() && run()) finish();
    EXPECT_TRUE(service.evictions.empty());
  }
  std::size_t left_alone() const { return events_of(outbox, said::left_alone); }
};

TEST_F(ForeignFlowsTest, AreEvictedOnceAndThenReportedAndLeftAlone) {
  begin();
  finish(unexpected(backup_tcp, 3));
  EXPECT_EQ(found(), 1U);
  evict();
  look_for(unexpected(backup_tcp, 2));
  EXPECT_EQ(found(), 1U);
  EXPECT_EQ(left_alone(), 1U);
  EXPECT_TRUE(service.evictions.empty());
  look_for(unexpected(backup_tcp, 5));
  EXPECT_EQ(left_alone(), 1U) << "once";
  EXPECT_EQ(service.unexpected.at(backup_tcp).flows, 5U);
}

TEST_F(ForeignFlowsTest, AreLeftAloneAlsoWhenNoneWasThereForAWhile) {
  begin();
  finish(unexpected(backup_tcp));
  evict();
  look_for(clean());
  look_for(unexpected(backup_tcp));
  look_for(clean());
  EXPECT_EQ(service.unexpected.at(backup_tcp).flows, 0U);
  EXPECT_EQ(found(), 1U);
  EXPECT_EQ(left_alone(), 1U);
}

TEST_F(ForeignFlowsTest, AreLeftAloneAlsoWhenTheServerWasTargetMeanwhile) {
  begin();
  finish(unexpected(backup_tcp));
  evict();
  look_for(unexpected(backup_tcp));
  for (int failback = 0; failback < 2; ++failback) {
    go(service, to_server(1));
    service.evictions.clear(); // at their end
    look_for(clean());
    go(service, to_server(0));
    service.evictions.clear();
    look_for(unexpected(backup_tcp));
  }
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_EQ(found(), 1U);
  EXPECT_EQ(left_alone(), 1U);
}

TEST_F(ForeignFlowsTest, AreForgottenWhenNoneIsThereBehindATimeAsTarget) {
  begin();
  finish(unexpected(backup_tcp));
  evict();
  look_for(unexpected(backup_tcp));
  go(service, to_server(1));
  service.evictions.clear();
  look_for(clean());
  EXPECT_TRUE(service.unexpected.contains(backup_tcp)) << "as the target it says nothing";
  go(service, to_server(0));
  service.evictions.clear();
  look_for(clean());
  EXPECT_FALSE(service.unexpected.contains(backup_tcp));
  look_for(unexpected(backup_tcp));
  EXPECT_EQ(found(), 2U);
  EXPECT_EQ(mappings_of(service.evictions, false), std::set{backup_tcp});
}

TEST_F(ForeignFlowsTest, ThatCameBackDuringACutAreLeftAloneAtOnce) {
  go(service, to_server(1));
  service.evictions.clear();
  go(service, to_server(0, Reason::failback));
  for (int turn = 0; turn < 100; ++turn, now += 100ms)
    while (run()) finish(job().scope == nat::FlowScope::all ? deleted(backup_tcp) : CutResult{}); // the cut, and every sweep
  EXPECT_TRUE(service.evictions.empty());
  begin();
  finish(unexpected(backup_tcp));
  EXPECT_EQ(found(), 0U);
  EXPECT_EQ(left_alone(), 1U);
  EXPECT_TRUE(service.evictions.empty());
}

TEST_F(ForeignFlowsTest, OfAnotherServerAreAnotherMatter) {
  begin();
  finish(unexpected(backup_tcp));
  evict();
  const Mapping other{tcp4, endpoint("198.18.9.9", 443)};
  CutResult both;
  both.unexpected = nat::Flows{{backup_tcp, 1}, {other, 2}};
  look_for(both);
  EXPECT_EQ(left_alone(), 1U);
  EXPECT_EQ(mappings_of(service.evictions, false), std::set{other});
}

TEST_F(ForeignFlowsTest, AreForgottenWithTheirEndpoint) {
  begin();
  finish(unexpected(backup_tcp));
  evict();
  service.loaded.vips.erase(tcp4);
  look_for(clean());
  EXPECT_TRUE(service.unexpected.empty());
}

TEST_F(ConntrackAuditTest, FlowsOfEachServerAreEvictedApart) {
  ServiceState& service = add_at(web(), 0);
  begin();
  const Mapping unknown_flow{tcp4, endpoint("198.18.9.9", 443)};
  CutResult result;
  result.unexpected = nat::Flows{{backup_tcp, 1}, {backup_udp, 2}, {unknown_flow, 4}, {untranslated(tcp6), 8}};
  finish(result);
  EXPECT_EQ(found(), 3U);
  ASSERT_EQ(service.evictions.size(), 3U);
  EXPECT_EQ(mappings_of(service.evictions, true), std::set{untranslated(tcp6)});
  EXPECT_FALSE(service.recent_until.contains(tcp6)); // its target has not moved
}

TEST_F(ConntrackAuditTest, WhatIsTheTargetMeanwhileIsLeftAlone) {
  ServiceState& service = add_at(web(), 0);
  begin();
  go(service, to_server(1));
  service.evictions.clear();
  finish(unexpected(backup_tcp));
  EXPECT_EQ(found(), 0U);
  EXPECT_TRUE(service.evictions.empty());
}

TEST_F(ConntrackAuditTest, AResultThatComesWhileTheTableIsNotInSyncIsDropped) {
  ServiceState& service = add_at(web(), 0);
  begin();
  in_sync = false;
  finish(unexpected(backup_tcp));
  EXPECT_EQ(found(), 0U);
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_EQ(audit.next_wakeup(), now + 1s);
  in_sync = true;
  expect_audit_after(1s);
  finish(unexpected(backup_tcp));
  EXPECT_EQ(found(), 1U);
}

TEST_F(ConntrackAuditTest, AnAuditThatGaveWayIsMadeASecondLater) {
  begin();
  finish(); // no complete answer
  EXPECT_EQ(audit.next_wakeup(), now + 1s);
}

TEST_F(ConntrackAuditTest, AnAuditThatFailedIsReportedAndMadeAPeriodLater) {
  begin();
  finish(failure("no"));
  EXPECT_EQ(events_of(outbox, said::failed), 1U);
  EXPECT_EQ(audit.next_wakeup(), now + 60s);
}

// The worker compared with the range as it was; meanwhile a reload narrowed it.
TEST_F(ConntrackAuditTest, AMappingThatNoServiceHasAnyMoreIsLeftAlone) {
  const auto ports = [](std::uint16_t first, std::uint16_t last) { return Vip{address("203.0.113.20"), Protocol::tcp, first, last}; };
  ServiceConfig config = small_service("range", 0);
  config.listen = {ports(5000, 9000)};
  ServiceState& service = add_at(config, 0);
  go(service, decision_for(Destination::none));
  begin_when_idle();
  const Mapping flows{ports(5000, 9000), endpoint("198.18.2.2", 0)};
  EXPECT_FALSE(expects(flows));
  service.config.listen = {ports(5000, 6000)};
  service.loaded.vips = {{ports(5000, 6000), "range"}};
  finish(unexpected(flows));
  EXPECT_EQ(found(), 0U);
}

} // namespace
} // namespace hanat::test
