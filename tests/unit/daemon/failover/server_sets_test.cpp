// When the guard's sets of servers are loaded: at the start, when they change, and again after a refusal. Not here: what they hold
// (decision/server_endpoints_test).
#include "daemon/failover/server_sets.hpp"

#include "tests/unit/daemon/failover/table_sync_fixture.hpp"

namespace hanat::test {
namespace {

class ServerSetsTest : public TableSyncTest {
protected:
  ServerSets sets{table, sync, registry};

  /// One service of two servers, whose traffic is at the primary.
  ServiceState& add_web() {
    ServiceState& web = registry.add("web");
    web.config = small_service("web", 443);
    web.loaded.dnat[web.config->listen.front()] = {endpoint("198.18.1.2", 443), "web primary"};
    return web;
  }
  Calls update() {
    sets.update(now);
    return table.take_calls();
  }
  Change change_with(ServiceState& service, std::vector<Eviction> evictions) {
    Change change{.batch = 0, .service = &service, .decision = {}, .plan = {}};
    change.plan.evictions = std::move(evictions);
    return change;
  }
};

TEST_F(ServerSetsTest, AreLoadedAtTheStartAndWhenTheyChange) {
  ServiceState& web = add_web();
  sets.on_start({}, now);
  EXPECT_EQ(update(), (Calls{"servers4 2", "displaced4 0"}));
  EXPECT_EQ(update(), Calls{});
  sets.on_config_changed();
  EXPECT_EQ(update(), Calls{});
  web.config.edit().servers.pop_back();
  sets.on_config_changed();
  EXPECT_EQ(update(), Calls{"servers4 1"});
}

TEST_F(ServerSetsTest, ADisplacedServerIsLoadedWithTheChangeAndLeavesWhenItsTimeIsOver) {
  ServiceState& web = add_web();
  sets.on_start({}, now);
  update();
  sets.on_applied(change_with(web, {}));
  EXPECT_EQ(update(), Calls{}) << "a change that evicts nothing displaces nobody";
  const Mapping flows{web.config->listen.front(), endpoint("198.18.2.2", 443)};
  for (std::vector<Eviction> evictions : {std::vector{Eviction{}}, std::vector<Eviction>{}}) { // of the change, or of the audit
    web.displaced_until[flows] = now + 60s;
    sets.on_applied(change_with(web, std::move(evictions)));
    EXPECT_EQ(update(), Calls{"displaced4 1"});
    now += 60s;
    sets.on_applied(change_with(web, {}));
    EXPECT_EQ(update(), Calls{"displaced4 0"});
    web.displaced_until.clear();
  }
}

TEST_F(ServerSetsTest, WhatWasDisplacedBeforeARestartStillIs) {
  ServiceState& web = add_web();
  const Vip backup{address("198.18.2.2"), Protocol::tcp, 443};
  sets.on_start({{nat::SetKind::displaced, {{backup, "web"}}}}, now);
  EXPECT_EQ(update(), (Calls{"servers4 2", "displaced4 1"}));
  EXPECT_EQ(web.displaced_until.begin()->second, now + recent_for);
}

TEST_F(ServerSetsTest, ARefusalIsTriedAgain) {
  add_web();
  table.faults["endpoints"] = {std::errc::no_buffer_space};
  sets.on_start({}, now);
  EXPECT_EQ(update(), (Calls{"servers4 2", "displaced4 0"}));
  EXPECT_EQ(update(), Calls{"servers4 2"});
  EXPECT_EQ(update(), Calls{});
}

TEST_F(ServerSetsTest, WhileTheTableIsBusyTheyWait) {
  add_web();
  sets.on_start({}, now);
  thread.slow = true;
  EXPECT_EQ(update(), Calls{});
  EXPECT_TRUE(sync.busy());
  EXPECT_EQ(update(), Calls{});
  thread.join();
  EXPECT_EQ(table.take_calls(), Calls{"servers4 2"});
  thread.slow = false;
  EXPECT_EQ(update(), Calls{"displaced4 0"});
}

TEST_F(ServerSetsTest, ManyChangesAreLoadedInPartsSoThatNoTransactionIsLong) {
  sets.on_start({}, now);
  update();
  EXPECT_FALSE(sets.next_wakeup(now));
  for (std::uint16_t number = 0; number < 300; ++number) {
    ServiceState& service = registry.add("s");
    service.config = small_service("s", static_cast<std::uint16_t>(1 + number));
  }
  sets.on_config_changed();
  EXPECT_EQ(update(), Calls{"servers4 256"}) << "300 ports at each of two servers";
  EXPECT_TRUE(sets.next_wakeup(now));
  EXPECT_EQ(update(), Calls{"servers4 512"});
  EXPECT_EQ(update(), Calls{"servers4 600"});
  EXPECT_FALSE(sets.next_wakeup(now));
  EXPECT_EQ(update(), Calls{});
}

} // namespace
} // namespace hanat::test
