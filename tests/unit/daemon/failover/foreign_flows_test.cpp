// Flows that are found again although they were evicted: by whom they are made, and what is done with them.
// Not here: what is found for the first time (conntrack_audit_test).
#include "tests/unit/daemon/failover/conntrack_audit_fixture.hpp"

namespace hanat::test {
namespace {

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
  both.unexpected.emplace().all = {{backup_tcp, 1}, {other, 2}};
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

TEST_F(ForeignFlowsTest, AreNotThoseThatTheServiceSOwnServerOpens) {
  begin();
  for (int look = 0; look < 5; ++look) { // a minute behind the last one the server speaks again
    if (look > 0)
      look_for(opened_by_server(backup_udp, 2));
    else
      finish(opened_by_server(backup_udp, 2));
    EXPECT_EQ(service.displaced_until.at(backup_udp), now + 60s) << look;
    ASSERT_EQ(mappings_of(service.evictions, false), std::set{backup_udp}) << look;
    EXPECT_TRUE(run());
    EXPECT_EQ(job().record_by_server, std::vector{backup_udp});
    EXPECT_TRUE(job().record.empty());
    finish();
    evict();
  }
  EXPECT_EQ(found(), 1U) << "it is said once";
  EXPECT_EQ(left_alone(), 0U);
}

TEST_F(ForeignFlowsTest, AreLeftAloneBesideThoseThatTheServerOpens) {
  begin();
  finish(opened_by_server(backup_tcp, 2, 1));
  EXPECT_TRUE(run());
  EXPECT_EQ(job().record, std::vector{backup_tcp}) << "all of them, once";
  finish();
  evict();
  look_for(opened_by_server(backup_tcp, 2, 3));
  EXPECT_EQ(events_of(outbox, "3 flows of"), 1U);
  EXPECT_EQ(left_alone(), 1U);
  EXPECT_EQ(service.unexpected.at(backup_tcp).flows, 3U);
  EXPECT_TRUE(run());
  EXPECT_EQ(job().record_by_server, std::vector{backup_tcp});
  EXPECT_TRUE(job().record.empty());
  finish();
  evict();
}

} // namespace
} // namespace hanat::test
