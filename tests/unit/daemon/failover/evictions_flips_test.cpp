// Several flips of a service at once, cuts that are undone, and endpoints that change hands: each flow is counted for the flip that caused
// its eviction. Not here: the stages (evictions_test).
#include "daemon/failover/evictions.hpp"

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

class EvictionsFlipsTest : public testing::Test, protected Flows {
protected:
  /// A third server, so that one may move on without a way back.
  ServiceState& add_three() {
    ServiceConfig config = web();
    config.servers.push_back({.role = "backup2", .addresses = {endpoint("198.18.3.2", 0)}, .snat = {}, .probes = {}});
    return add_at(config, 0);
  }
  /// The job that is due ends with this result.
  void work(CutResult result = {}) {
    EXPECT_TRUE(run());
    finish(std::move(result));
  }
  static CutResult nudged(const Mapping& mapping, std::uint64_t clients, const Mapping& other, std::uint64_t others) {
    CutResult result;
    result.nudged = {{mapping, clients}, {other, others}};
    return result;
  }
  std::size_t events(const char* words) const { return events_of(outbox, words); }
};

TEST_F(EvictionsFlipsTest, EachFlowCountsForTheFlipThatCausedItsEviction) {
  ServiceState& service = add_three();
  go(service, to_server(1));
  work(deleted(primary_udp, 2));
  go(service, to_server(2));
  ASSERT_TRUE(service.earlier_flips.contains(1));
  work(deleted(backup_udp, 3));
  work(nudged(primary_tcp, 4, backup_tcp, 5));
  now += 1s;
  work(deleted(primary_tcp, 7));

  const Flip& first = service.earlier_flips.at(1);
  const Flip& second = *service.last_flip;
  EXPECT_EQ(first.cut, (nat::CutCount{.tcp = 7, .udp = 2, .sctp = 0}));
  EXPECT_EQ(first.nudged, 4U);
  EXPECT_EQ(second.number, 2U);
  EXPECT_EQ(second.cut, (nat::CutCount{.tcp = 0, .udp = 3, .sctp = 0}));
  EXPECT_EQ(second.nudged, 5U);
  EXPECT_TRUE(first.cutting && second.cutting);
  EXPECT_EQ(service.totals.cut.total(), 12U);
  EXPECT_EQ(service.totals.nudged, 9U);

  now += 1s;
  work();
  EXPECT_TRUE(service.evictions.empty());
  EXPECT_TRUE(service.earlier_flips.empty()); // closed, and forgotten
  EXPECT_FALSE(service.last_flip->cutting);
  EXPECT_EQ(events(said::cut), 2U); // one a flip
}

TEST_F(EvictionsFlipsTest, AFlipWhoseCutHasEndedIsNotRememberedBehindTheNext) {
  ServiceState& service = add_three();
  go(service, to_server(1));
  service.evictions.clear(); // at its end
  go(service, to_server(2));
  EXPECT_TRUE(service.earlier_flips.empty());
}

TEST_F(EvictionsFlipsTest, ACutThatIsUndoneBeforeItBeganClosesItsFlip) {
  ServiceState& service = add_at(web(), 0);
  go(service, to_server(1));
  EXPECT_EQ(events(said::cut_void), 0U);
  go(service, to_server(0));
  EXPECT_EQ(events(said::cut_void), 1U);
  EXPECT_TRUE(service.earlier_flips.empty());
  EXPECT_EQ(service.last_flip->number, 2U);
  EXPECT_TRUE(service.last_flip->cutting); // of the backup's flows
}

TEST_F(EvictionsFlipsTest, ACutThatIsUndoneWhileItsJobRunsClosesItsFlip) {
  ServiceState& service = add_at(web(), 0);
  go(service, to_server(1));
  EXPECT_TRUE(run());
  EXPECT_TRUE(evictions.delays(service, desired_state(service, to_server(0), now)));
  finish(deleted(primary_udp, 1)); // cancelled, but one was gone already
  EXPECT_EQ(service.last_flip->cut.udp, 1U);
  go(service, to_server(0));
  EXPECT_EQ(events(said::cut_void), 1U);
  EXPECT_TRUE(service.earlier_flips.empty());
}

TEST_F(EvictionsFlipsTest, AFlipThatCutsNothingIsNotCutting) {
  ServiceConfig config = web();
  config.on_failover = kept_policy;
  config.listen = {tcp4};
  ServiceState& service = add_at(config, 0);
  go(service, to_server(1));
  EXPECT_FALSE(service.last_flip->cutting);
}

TEST_F(EvictionsFlipsTest, AnEndpointThatChangesHandsTakesItsEvictionsAlong) {
  ServiceState& from = add_at(small_service("old", 80), 0);
  ServiceState& to = add(small_service("new", 81));
  const Vip vip = from.config->listen.front();
  const Mapping flows{vip, from.loaded.dnat.at(vip).server};
  go(from, to_server(1));
  evictions.transfer(from, to, vip, now);
  EXPECT_TRUE(from.evictions.empty());
  EXPECT_FALSE(from.last_flip->cutting); // nothing of it is left
  EXPECT_EQ(mappings_of(to.evictions, false), std::set{flows});
  work(deleted(flows, 2));
  EXPECT_EQ(to.totals.cut.tcp, 2U);
  EXPECT_EQ(from.totals.cut.tcp, 0U);
}

TEST_F(EvictionsFlipsTest, AJobUnderWayGoesOnWhenItsEndpointChangesHands) {
  ServiceState& from = add_at(small_service("old", 80), 0);
  ServiceState& to = add(small_service("new", 81));
  const Vip vip = from.config->listen.front();
  const Mapping flows{vip, from.loaded.dnat.at(vip).server};
  go(from, to_server(1));
  EXPECT_TRUE(run());
  evictions.transfer(from, to, vip, now);
  EXPECT_FALSE(run());
  finish(deleted(flows, 2));
  EXPECT_TRUE(from.evictions.empty());
  EXPECT_FALSE(from.last_flip->cutting);
  EXPECT_EQ(to.totals.cut.tcp, 2U);
  ASSERT_EQ(to.evictions.size(), 1U);
  EXPECT_EQ(to.evictions.front().stage, CutStage::notify_clients); // the first stage is done
  EXPECT_FALSE(to.evictions.front().in_job);
  EXPECT_TRUE(run());
  EXPECT_EQ(job().nudge, std::set{flows});
}

TEST_F(EvictionsFlipsTest, OtherEndpointsStayWhereTheyAre) {
  ServiceState& from = add_at(web(), 0);
  ServiceState& to = add(small_service("new", 81));
  go(from, to_server(1));
  evictions.transfer(from, to, tcp4, now);
  EXPECT_EQ(mappings_of(from.evictions, false), (std::set<Mapping>{primary_udp, primary_tcp6}));
  EXPECT_EQ(mappings_of(to.evictions, false), std::set{primary_tcp});
  EXPECT_TRUE(from.last_flip->cutting);
}

TEST_F(EvictionsFlipsTest, ADrainThatChangesHandsIsCountedAnew) {
  ServiceConfig config = web();
  config.on_failover = kept_policy;
  config.listen = {tcp4, tcp6};
  ServiceState& from = add_at(config, 0);
  ServiceState& to = add(small_service("new", 81));
  go(from, to_server(1));
  work(); // notified
  EXPECT_TRUE(run());
  CutResult result;
  result.counted = nat::Flows{{primary_tcp, 3}, {primary_tcp6, 4}};
  finish(result);
  ASSERT_EQ(from.evictions.front().drain->left, 7U);
  outbox.drains_changed = false;
  evictions.transfer(from, to, tcp4, now);
  EXPECT_TRUE(outbox.drains_changed);
  for (const ServiceState* service : {&from, &to}) {
    ASSERT_EQ(service->evictions.size(), 1U);
    EXPECT_EQ(service->evictions.front().drain->left, std::nullopt);
    EXPECT_EQ(service->evictions.front().drain->most, 0U);
  }
}

TEST(Subtract, TheRestOfARangeStays) {
  const Endpoint server = endpoint("198.18.1.2", 0);
  const auto range = [&](std::uint16_t first, std::uint16_t last) {
    return Mapping{{address("203.0.113.10"), Protocol::tcp, first, last}, server};
  };
  std::vector<Mapping> mappings{range(5000, 9000), primary_tcp, backup_tcp};
  subtract(mappings, std::vector{range(6000, 7000), backup_tcp});
  EXPECT_EQ(as_set(mappings), (std::set<Mapping>{range(5000, 5999), range(7001, 9000), primary_tcp}));
  subtract(mappings, std::vector{range(100, 200)});
  EXPECT_EQ(mappings.size(), 3U);
}

} // namespace
} // namespace hanat::test
