// What a role means: a standby moves its targets and touches no connection, a gateway that settles drops what it does not know.
#include "daemon/failover/gateway_role.hpp"

#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using Calls = std::vector<std::string>;

class GatewayRoleTest : public testing::Test, protected Flows {
protected:
  FakeTable table;
  FakeCommitThread thread;
  TableSync sync{table, thread, registry, outbox, [this](Change& change, Time) { applied(change); }};
  ConntrackAudit audit{evictions, registry, outbox, [] { return true; }};
  ServerSets servers{table, sync, registry};
  FakeAddresses addresses;
  GatewayRole role{addresses, registry, sync, evictions, audit, servers, outbox};
  PairConfig pair{.address = address("203.0.113.10")};

  void start(nat::Loaded found = {}) {
    table.loaded = nat::Loaded{.state = found.state, .settling = found.settling, .in_order = true};
    sync.start(now);
    role.start(pair, found, now);
    audit.start(1s, now);
  }
  ServiceState& add_web() {
    ServiceState& web = add(small_service("web", 443));
    for (ServerState& server : web.servers) set_health(server, Health::up, now);
    registry.mark_dirty(web);
    return web;
  }
  void set(ServiceState& service, std::size_t server, Health health) {
    set_health(service.servers[server], health, now);
    registry.mark_dirty(service);
  }
  /// As Controller::sync(). Returns the transactions.
  Calls turn() {
    table.calls.clear();
    for (bool again = true; again;) {
      again = false;
      role.run(now);
      if (sync.prepare(now)) {
        sync.apply(decide_dirty(registry, evictions, outbox, now), now);
        for (ServiceState* service : registry.take_dirty())
          if (std::exchange(service->due.followup, false)) registry.mark_dirty(*service), again = true;
      }
    }
    evictions.run(now);
    audit.run(now);
    return table.take_calls();
  }
  Calls take_address(bool here) {
    addresses.here = here;
    role.on_addresses(now);
    return turn();
  }
  static Endpoint target_of(const ServiceState& service) { return service.loaded.dnat.begin()->second.server; }
  bool deletes_or_notifies() const {
    return std::ranges::any_of(worker.jobs, [](const CutJob& one) {
      return !one.cut.empty() || !one.nudge.empty() || !one.cut_recorded.empty() || !one.cut_unconnected.empty() || one.expected;
    });
  }
};

TEST_F(GatewayRoleTest, AloneNothingIsAnyDifferent) {
  sync.start(now);
  role.start(std::nullopt, {}, now);
  ServiceState& web = add_web();
  turn();
  set(web, 0, Health::down);
  turn();
  EXPECT_FALSE(web.loaded.stale.empty());
  EXPECT_EQ(worker.jobs.size(), 1U);
  EXPECT_FALSE(table.loaded->settling);
  EXPECT_EQ(events_of(outbox, "this gateway"), 0U);
}

TEST_F(GatewayRoleTest, AStandbyMovesItsTargetsAndTouchesNoConnection) {
  start();
  ServiceState& web = add_web();
  EXPECT_EQ(turn(), Calls{"change 1, settling"}) << "one transaction";
  EXPECT_EQ(target_of(web), endpoint("198.18.1.2", 443));
  set(web, 0, Health::down);
  EXPECT_EQ(turn(), Calls{"change 1"});
  EXPECT_EQ(target_of(web), endpoint("198.18.2.2", 443));
  EXPECT_EQ(events_of(outbox, said::flipped), 1U);
  set(web, 1, Health::down);
  turn();
  EXPECT_TRUE(web.refused);
  EXPECT_TRUE(web.loaded.dnat.empty());
  EXPECT_TRUE(web.loaded.reject.empty() && web.loaded.stale.empty() && web.loaded.recent.empty());
  now += 1h;
  turn();
  evictions.notify_held(web);
  evictions.on_reconnect(web.config->listen.front(), endpoint("198.18.0.2", 5000));
  turn();
  EXPECT_FALSE(deletes_or_notifies());
  EXPECT_TRUE(web.evictions.empty());
}

TEST_F(GatewayRoleTest, OnAStandbyWhatDrainsIsCountedAndEndsWithoutACut) {
  start();
  ServiceConfig config = small_service("web", 443);
  config.on_failover = {.action = FlowAction::drain, .time = 60s};
  ServiceState& web = add(config);
  for (ServerState& server : web.servers) set_health(server, Health::up, now);
  registry.mark_dirty(web);
  turn();
  set(web, 0, Health::down);
  turn();
  ASSERT_EQ(web.evictions.size(), 1U);
  ASSERT_EQ(worker.jobs.size(), 1U);
  EXPECT_FALSE(job().count.empty());
  finish();
  now += 61s;
  registry.mark_dirty(web);
  turn();
  EXPECT_TRUE(web.evictions.empty());
  EXPECT_FALSE(deletes_or_notifies());
  EXPECT_EQ(events_of(outbox, said::drain_ended), 0U);
}

TEST_F(GatewayRoleTest, OnAStandbyAnEndpointThatAReloadTakesAwayLeavesAtOnce) {
  start();
  ServiceState& web = add_web();
  turn();
  const Vip gone = web.config->listen.front();
  web.config.edit().listen.front().port = 444;
  registry.mark_dirty(web);
  turn();
  EXPECT_FALSE(web.loaded.vips.contains(gone));
  EXPECT_TRUE(web.loaded.dnat.contains(web.config->listen.front()));
  EXPECT_TRUE(web.evictions.empty());
  EXPECT_FALSE(deletes_or_notifies());
}

TEST_F(GatewayRoleTest, ATakeoverEndsNoConnectionOfTheTarget) {
  start();
  ServiceState& web = add_web();
  turn();
  EXPECT_EQ(take_address(true), Calls{}) << "all of it is loaded";
  EXPECT_EQ(role.machine().role(), Role::settling);
  EXPECT_TRUE(sync.is_settling());
  EXPECT_EQ(target_of(web), endpoint("198.18.1.2", 443));
  EXPECT_TRUE(role.settle("root", now));
  EXPECT_EQ(turn(), Calls{"change 0, settled"});
  EXPECT_FALSE(role.settle("root", now)) << "it is settled";
  EXPECT_FALSE(deletes_or_notifies());
}

TEST_F(GatewayRoleTest, WithNothingToSettleItIsOneTransactionWithTheRefusalOfWhoeverIsNotServed) {
  pair.settle = {};
  start();
  ServiceState& web = add_web();
  turn();
  set(web, 0, Health::down);
  set(web, 1, Health::down);
  turn();
  EXPECT_TRUE(web.loaded.reject.empty());
  EXPECT_EQ(take_address(true), Calls{"change 1, settled"});
  EXPECT_FALSE(web.loaded.reject.empty());
}

TEST_F(GatewayRoleTest, ItSettlesNoLongerThanTheLimit) {
  start();
  turn();
  take_address(true);
  EXPECT_EQ(role.next_wakeup(), now + 2s);
  now += 2s;
  EXPECT_EQ(turn(), Calls{"change 0, settled"});
  EXPECT_EQ(events_of(outbox, "settled after 2.0 s, the time limit"), 1U);
}

TEST_F(GatewayRoleTest, TheAuditComesTenSecondsAfterItIsSettled) {
  start();
  add_web();
  turn();
  now += 1h;
  turn();
  take_address(true);
  now += 1s;
  role.settle("root", now);
  turn();
  now += 9'999ms;
  turn();
  EXPECT_TRUE(worker.jobs.empty());
  now += 1ms;
  turn();
  ASSERT_EQ(worker.jobs.size(), 1U);
  EXPECT_NE(job().expected, nullptr);
}

TEST_F(GatewayRoleTest, WhatACutHasBegunEndsWhenTheAddressLeaves) {
  pair.settle = {};
  addresses.here = true;
  start();
  ServiceState& web = add_web();
  turn();
  set(web, 0, Health::down);
  turn();
  ASSERT_EQ(worker.jobs.size(), 1U);
  ASSERT_FALSE(web.loaded.stale.empty());
  EXPECT_EQ(take_address(false), Calls{"change 1, settling"}) << "one transaction";
  EXPECT_TRUE(worker.cancelled);
  EXPECT_TRUE(web.loaded.stale.empty() && web.loaded.recent.empty());
  finish();
  now += 1h;
  turn();
  EXPECT_EQ(worker.jobs.size(), 1U);
  EXPECT_TRUE(web.evictions.empty());
  EXPECT_EQ(target_of(web), endpoint("198.18.2.2", 443));
  EXPECT_EQ(take_address(true), Calls{"change 0, settled"}) << "and nothing of it comes back";
}

TEST_F(GatewayRoleTest, ARestartGoesOnWhereItWas) {
  nat::Loaded found;
  found.state.vips[{address("203.0.113.10"), Protocol::tcp, 443}] = "web";
  addresses.here = true;
  start(found);
  EXPECT_EQ(role.machine().role(), Role::active);
  EXPECT_EQ(turn(), Calls{});
}

TEST_F(GatewayRoleTest, ARestartOfWhatWasStandbyOrSettledSettles) {
  nat::Loaded found;
  found.state.vips[{address("203.0.113.10"), Protocol::tcp, 443}] = "web";
  found.settling = true;
  addresses.here = true;
  start(found);
  EXPECT_EQ(role.machine().role(), Role::settling);
}

TEST_F(GatewayRoleTest, AtABootItSettles) {
  addresses.here = true;
  start();
  EXPECT_EQ(role.machine().role(), Role::settling);
}

TEST_F(GatewayRoleTest, AReloadAddsThePairAndEndsIt) {
  sync.start(now);
  role.start(std::nullopt, {}, now);
  turn();
  addresses.here = true;
  role.configure(pair, now);
  EXPECT_EQ(role.machine().role(), Role::active) << "it had the traffic";
  EXPECT_EQ(addresses.watched, pair.address);
  EXPECT_EQ(turn(), Calls{});
  take_address(false);
  EXPECT_TRUE(evictions.is_silent() && sync.is_settling());
  role.configure(std::nullopt, now);
  EXPECT_EQ(turn(), Calls{"change 0, settled"});
  EXPECT_FALSE(evictions.is_silent());
  EXPECT_EQ(addresses.watched, std::nullopt);
  EXPECT_EQ(events_of(outbox, "no longer one of a pair"), 1U);
}

TEST_F(GatewayRoleTest, AReloadMayNameAnotherAddress) {
  start();
  turn();
  pair.address = address("203.0.113.11");
  addresses.here = true;
  role.configure(pair, now);
  EXPECT_EQ(role.machine().role(), Role::settling) << "it was standby";
  pair.settle = 500ms;
  role.configure(pair, now);
  EXPECT_EQ(role.next_wakeup(), now + 500ms);
}

TEST_F(GatewayRoleTest, InAPairTheGuardKnowsServersOfEveryProtocol) {
  start();
  ServiceState& dns = add(small_service("dns", 53, Protocol::udp));
  registry.mark_dirty(dns);
  servers.on_start({}, now);
  servers.update(now);
  EXPECT_THAT(table.take_calls(), Contains("servers4 2"));
  role.configure(std::nullopt, now);
  servers.update(now);
  EXPECT_THAT(table.take_calls(), Contains("servers4 0"));
}

TEST_F(GatewayRoleTest, ARefusedSwitchIsTriedAgain) {
  start();
  table.faults["change"] = {std::errc::no_buffer_space};
  EXPECT_EQ(turn(), Calls{"change 0, settling"});
  EXPECT_FALSE(sync.is_settling());
  now += 1s;
  EXPECT_THAT(turn(), Contains("change 0, settling"));
  EXPECT_TRUE(sync.is_settling());
}

} // namespace
} // namespace hanat::test
