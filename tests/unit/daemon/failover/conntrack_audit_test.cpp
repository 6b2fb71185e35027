// The comparison of conntrack with the targets: which flows are expected, when it is made, and what is done with the others.
// Not here: what comes back (foreign_flows_test), reading conntrack (tests/netns/nat), matching an entry
// (nat/conntrack/expected_flows_test).
#include "tests/unit/daemon/failover/conntrack_audit_fixture.hpp"

namespace hanat::test {
namespace {

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
  EXPECT_EQ(service.recent_until.at(tcp4), now + 3s) << "the target has not moved";
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

TEST_F(ConntrackAuditTest, WhatMovedAMomentAgoStaysRecentAsLong) {
  ServiceState& service = add_at(web(), 0);
  begin();
  service.recent_until[tcp4] = now + 40s;
  finish(unexpected(backup_tcp));
  EXPECT_EQ(service.recent_until.at(tcp4), now + 40s);
}

TEST_F(ConntrackAuditTest, FlowsOfEachServerAreEvictedApart) {
  ServiceState& service = add_at(web(), 0);
  begin();
  const Mapping unknown_flow{tcp4, endpoint("198.18.9.9", 443)};
  CutResult result;
  result.unexpected.emplace().all = {{backup_tcp, 1}, {backup_udp, 2}, {unknown_flow, 4}, {untranslated(tcp6), 8}};
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
  service.config.edit().listen = {ports(5000, 6000)};
  service.loaded.vips = {{ports(5000, 6000), "range"}};
  finish(unexpected(flows));
  EXPECT_EQ(found(), 0U);
}

} // namespace
} // namespace hanat::test
