// Flows by server: which mappings are looked for, and the sums. Not here: what conntrack has (tests/netns/nat/conntrack).
#include "daemon/report/make_connections.hpp"

#include <gmock/gmock.h>

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

class MakeConnections : public testing::Test, protected Flows {
protected:
  ServiceState& web = add_at(small_service("web", 443), 1);
  const Vip vip{address("203.0.113.20"), Protocol::tcp, 443};
  const Mapping at_primary{vip, endpoint("198.18.1.2", 443)}, at_backup{vip, endpoint("198.18.2.2", 443)},
      elsewhere{vip, endpoint("198.18.9.9", 443)};

  ConnectionsReport report(const nat::FlowList& flows) {
    for (ServerState& server : web.servers) set_health(server, Health::up, now);
    return make_connections(web, registry.services(), flows, 1ms, now);
  }
  static nat::FlowCounts established(std::uint64_t number) {
    nat::FlowCounts counts;
    counts.by_state[static_cast<std::size_t>(nat::FlowState::established)] = number;
    return counts;
  }
};

TEST_F(MakeConnections, LooksForTheFlowsOfAllServersAndOfThoseOnTheirWayOut) {
  EXPECT_THAT(hanat::mappings_of(web), testing::UnorderedElementsAre(at_primary, at_backup));
  evictions.add(web, {.mappings = {elsewhere}, .comment = "web old", .due = now});
  EXPECT_THAT(hanat::mappings_of(web), testing::UnorderedElementsAre(at_primary, at_backup, elsewhere));
}

TEST_F(MakeConnections, AddsUpByServerAndMarksTheTarget) {
  nat::FlowList flows;
  flows.counts[at_primary] = established(1);
  flows.counts[at_primary].by_state[static_cast<std::size_t>(nat::FlowState::closing)] = 5;
  flows.counts[at_backup] = established(200);
  flows.counts[at_backup].opened_by_server = 3;
  flows.counts[elsewhere] = established(7);
  flows.flows.push_back({.mapping = at_backup,
                         .vip = endpoint("203.0.113.20", 443),
                         .client = endpoint("198.18.0.2", 40000),
                         .state = nat::FlowState::established});
  const ConnectionsReport made = report(flows);
  ASSERT_EQ(made.servers.size(), 3U);
  EXPECT_EQ(made.servers[0].role, "primary");
  EXPECT_EQ(made.servers[0].counts.live(), 1U);
  EXPECT_EQ(made.servers[0].counts.total(), 6U);
  EXPECT_FALSE(made.servers[0].target);
  EXPECT_TRUE(made.servers[1].target);
  EXPECT_EQ(made.servers[1].counts.opened_by_server, 3U);
  EXPECT_EQ(made.servers[2].role, "") << "it is no server of the service";
  EXPECT_EQ(made.servers[2].counts.established, 7U);
  ASSERT_EQ(made.list.size(), 1U);
  EXPECT_EQ(made.list[0].listen, "203.0.113.20:443/tcp");
  EXPECT_EQ(made.list[0].server, "backup");
}

TEST_F(MakeConnections, MarksWhatLeavesWhatIsDisabledAndWhoElseUsesTheServer) {
  evictions.add(web, {.mappings = {at_primary}, .comment = "web primary", .drain = Drain{.until = now + 30s, .since = now}, .due = now});
  add_at(small_service("mail", 25), 0);
  web.servers[1].maintenance.emplace();
  const ConnectionsReport made = report({});
  EXPECT_EQ(made.servers[0].leaving, "drain");
  EXPECT_NEAR(made.servers[0].ends_in_s.value(), 30, 0.1);
  EXPECT_THAT(made.servers[0].also_target_of, testing::ElementsAre("mail"));
  EXPECT_THAT(made.servers[1].also_target_of, testing::IsEmpty());
  EXPECT_FALSE(made.servers[0].disabled);
  EXPECT_TRUE(made.servers[1].disabled);
  EXPECT_FALSE(made.observed);
  web.shadow.emplace();
  EXPECT_TRUE(report({}).observed);
}

} // namespace
} // namespace hanat::test
