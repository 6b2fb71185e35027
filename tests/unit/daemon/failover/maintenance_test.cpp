// A server out of service: what it does to the traffic, what ends it, and that it follows the server's address over a reload and a restart,
// as an override does. Not here: what is decided (disabled_test), the state file (state_file_test).
#include "daemon/failover/maintenance.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daemon/failover/overrides.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

constexpr std::size_t primary_server = 0, backup_server = 1;

/// The service "web" of a primary and two backups, at its primary, all of them up.
class MaintenanceTest : public ReloadTest {
protected:
  static ServiceConfig three() {
    ServiceConfig config = probed(small_service("web", 443));
    config.servers.push_back(
        {.role = "backup2", .addresses = {planning::endpoint("198.18.3.2", 0)}, .snat = {}, .probes = {probes::ProbeSpec{}}});
    config.on_forced = ServiceConfig{}.on_forced;
    config.up = {.passes = 1, .stable_for = {}};
    return config;
  }
  /// The servers in another order, by their places now; their roles follow the order.
  static ServiceConfig in_order(const std::vector<std::size_t>& order) {
    const ServiceConfig before = three();
    ServiceConfig config = before;
    config.servers.clear();
    for (const std::size_t place : order) {
      config.servers.push_back(before.servers[place]);
      config.servers.back().role = before.servers[config.servers.size() - 1].role;
    }
    return config;
  }
  ServiceState& begin(const State& saved = {}) {
    start({three()}, {}, saved);
    ServiceState& web = service("web");
    for (std::size_t server = 0; server < 3; ++server) judge(web, server, probes::Outcome::pass);
    run_until_idle();
    outbox.events.clear();
    return web;
  }
  /// "web" and "mail", of the same servers and not yet a group, both at their primary.
  std::pair<ServiceConfig, ServiceConfig> begin_two() {
    ServiceConfig web = three(), mail = three();
    mail.name = "mail";
    mail.listen = {{planning::address("203.0.113.20"), Protocol::tcp, 25}};
    start({web, mail});
    for (const char* name : {"web", "mail"})
      for (std::size_t server = 0; server < 3; ++server) judge(service(name), server, probes::Outcome::pass);
    run_until_idle();
    return {web, mail};
  }
  void disable(ServiceState& web, std::size_t server, std::optional<Clock::duration> lasts = {}) {
    Maintenance maintenance{.since = wall_now(), .reason = "new disk", .by = "root"};
    if (lasts) {
      maintenance.until = now + *lasts;
      maintenance.until_wall = maintenance.since + std::chrono::duration_cast<WallTime::duration>(*lasts);
    }
    disable_server(web, server, maintenance, registry, outbox);
    run_until_idle();
  }
  void force(ServiceState& web, std::size_t server, bool until_down = false) {
    begin_override(
        web, {.server = server, .until = {}, .until_wall = {}, .since = wall_now(), .reason = {}, .by = "root", .until_down = until_down},
        registry, outbox);
    run_until_idle();
  }
  static std::size_t drains_of(const ServiceState& web) {
    return static_cast<std::size_t>(
        std::ranges::count_if(web.evictions, [](const Eviction& eviction) { return eviction.drain.has_value(); }));
  }
};

TEST_F(MaintenanceTest, OfTheTargetMovesTheTrafficAndLetsConnectionsDrain) {
  ServiceState& web = begin();
  disable(web, primary_server);
  EXPECT_EQ(web.current, backup_server);
  EXPECT_EQ(web.last_flip->reason, Reason::disabled);
  EXPECT_EQ(web.reason, Reason::disabled);
  EXPECT_EQ(drains_of(web), 1U);
  EXPECT_TRUE(outbox.overrides_changed);
  EXPECT_EQ(events("primary (198.18.1.2) is disabled by root (new disk); `hanatctl enable web primary` ends it"), 1U);
}

TEST_F(MaintenanceTest, OfAnotherServerMovesNothing) {
  ServiceState& web = begin();
  disable(web, backup_server);
  EXPECT_EQ(web.current, primary_server);
  EXPECT_EQ(web.flips, 0U);
  judge(web, primary_server, probes::Outcome::fail);
  run_until_idle();
  EXPECT_EQ(web.current, 2U) << "the failover passes it by";
}

TEST_F(MaintenanceTest, EndsWithAMoveBackThatDrains) {
  ServiceState& web = begin();
  disable(web, primary_server);
  enable_server(web, primary_server, "root", registry, outbox);
  run_until_idle();
  EXPECT_EQ(web.current, primary_server);
  EXPECT_EQ(web.last_flip->reason, Reason::failback);
  EXPECT_EQ(drains_of(web), 1U) << "that of the backup";
  EXPECT_FALSE(web.servers[primary_server].planned);
  EXPECT_EQ(events("primary (198.18.1.2) is enabled again: by root"), 1U);
}

TEST_F(MaintenanceTest, ReturnsAsPlannedWorkAlsoWhenTheServerWasRestartedMeanwhile) {
  ServiceState& web = begin();
  disable(web, primary_server);
  judge(web, primary_server, probes::Outcome::fail);
  run_until_idle();
  enable_server(web, primary_server, "root", registry, outbox);
  run_until_idle();
  EXPECT_EQ(web.current, backup_server);
  judge(web, primary_server, probes::Outcome::pass);
  run_until_idle();
  EXPECT_EQ(web.current, primary_server);
  EXPECT_EQ(drains_of(web), 1U);
}

TEST_F(MaintenanceTest, EndsAtItsTime) {
  ServiceState& web = begin();
  disable(web, primary_server, 30min);
  EXPECT_LE(next_timer(web, now).value(), now + 30min);
  now += 30min - 1ms;
  registry.mark_dirty(web);
  run_until_idle();
  EXPECT_TRUE(web.servers[primary_server].maintenance);
  now += 1ms;
  run_until_idle();
  EXPECT_FALSE(web.servers[primary_server].maintenance);
  EXPECT_EQ(web.current, primary_server);
  EXPECT_EQ(events("primary (198.18.1.2) is enabled again: the time for which it was disabled is over"), 1U);
}

TEST_F(MaintenanceTest, FollowsTheAddressWhenAReloadSwapsRoles) {
  ServiceState& web = begin();
  disable(web, primary_server);
  apply({in_order({1, 0, 2})});
  run_until_idle();
  EXPECT_FALSE(web.servers[0].maintenance);
  EXPECT_TRUE(web.servers[1].maintenance) << "198.18.1.2, which is the backup now";
  EXPECT_EQ(web.current, 0U);
  EXPECT_EQ(web.flips, 1U) << "the traffic stayed where it was";
  EXPECT_EQ(events("primary (198.18.1.2), which is disabled, is backup (198.18.1.2) now: it stays disabled"), 1U);
}

TEST_F(MaintenanceTest, OfAServerThatAReloadRemovesEndsAloud) {
  ServiceState& web = begin();
  disable(web, backup_server);
  apply({in_order({0, 2})});
  run_until_idle();
  EXPECT_TRUE(std::ranges::none_of(web.servers, [](const ServerState& server) { return server.maintenance.has_value(); }));
  EXPECT_EQ(events("backup (198.18.2.2), which root disabled (new disk), is no longer configured"), 1U);
  const ReloadPlan plan = reload.plan(config_of({in_order({0})}), now);
  EXPECT_EQ(plan.warnings.size(), 0U);
  disable(web, 1);
  const ReloadPlan loud = reload.plan(config_of({in_order({0})}), now);
  EXPECT_EQ(loud.warnings.size(), 1U) << "a plan says so before";
}

TEST_F(MaintenanceTest, OfARemovedServiceEndsAloud) {
  ServiceState& web = begin();
  disable(web, backup_server);
  apply({});
  EXPECT_EQ(events("backup (198.18.2.2), which root disabled (new disk), is no longer configured"), 1U);
}

TEST_F(MaintenanceTest, ComesBackAfterARestartWithItsRemainingTime) {
  ServiceState& web = begin();
  disable(web, primary_server, 30min);
  const State saved{.overrides = {}, .maintenance = saved_maintenance(registry.services()), .drains = {}};
  ASSERT_EQ(saved.maintenance.size(), 1U);
  EXPECT_EQ(saved.maintenance[0].server, "primary");
  EXPECT_EQ(saved.maintenance[0].addresses, web.servers[primary_server].addresses);

  struct Next : ReloadTest { // the next hanatd
    void TestBody() override {}
    using ReloadTest::events, ReloadTest::now, ReloadTest::service, ReloadTest::start;
  } next;
  next.start({in_order({1, 0, 2})}, {}, saved);
  const ServerState& server = next.service("web").servers[1];
  ASSERT_TRUE(server.maintenance) << "the roles were swapped meanwhile";
  EXPECT_NEAR(std::chrono::duration<double>(server.maintenance->until.value() - next.now).count(), 1800, 5);
  EXPECT_EQ(server.maintenance->reason, "new disk");
  EXPECT_EQ(next.events("backup (198.18.1.2) stays disabled, by root"), 1U);
  EXPECT_EQ(next.events("is backup (198.18.1.2) now: it stays disabled"), 1U);
}

TEST_F(MaintenanceTest, IsSharedByServicesThatBecomeAGroup) {
  auto [web, mail] = begin_two();
  disable(service("web"), primary_server);
  EXPECT_EQ(service("mail").current, primary_server);
  web.group = mail.group = "both";
  apply({web, mail});
  run_until_idle();
  EXPECT_TRUE(service("mail").servers[primary_server].maintenance);
  EXPECT_EQ(service("mail").current, backup_server);
}

TEST_F(MaintenanceTest, EndsAnOverrideToThatServer) {
  ServiceState& web = begin();
  force(web, 2);
  EXPECT_EQ(web.current, 2U);
  disable(web, 2); // hanatd refuses it by the control socket; a group may bring the two together
  EXPECT_FALSE(web.force);
  EXPECT_EQ(web.current, primary_server);
  EXPECT_EQ(events("the override to backup2 (198.18.3.2) ends: that server is disabled"), 1U);
}

TEST_F(MaintenanceTest, AnOverrideUntilDownEndsWithItsServer) {
  ServiceState& web = begin();
  force(web, backup_server, true);
  EXPECT_EQ(web.current, backup_server);
  judge(web, primary_server, probes::Outcome::fail);
  run_until_idle();
  EXPECT_TRUE(web.force) << "another server";
  judge(web, backup_server, probes::Outcome::fail);
  run_until_idle();
  EXPECT_FALSE(web.force);
  EXPECT_EQ(web.current, 2U);
  EXPECT_EQ(web.last_flip->reason, Reason::failover);
  EXPECT_EQ(events("the override to backup (198.18.2.2) ends: that server is down, and the override was to end then"), 1U);
}

TEST_F(MaintenanceTest, WhatIsAskedDuringACommitIsOfTheNextMove) {
  ServiceState& web = begin();
  web.asked_flows = FlowPolicy{.action = FlowAction::reset, .time = {}};
  Change change{.batch = 0, .service = &web, .decision = {}, .plan = {}, .asked_flows = {}}; // decided before
  record_target(change, outbox);
  EXPECT_TRUE(web.asked_flows);
  change.asked_flows = web.asked_flows;
  record_target(change, outbox);
  EXPECT_FALSE(web.asked_flows);
}

TEST_F(MaintenanceTest, WhatIsAskedForAServerThatRecoversIsOfItsMoveLater) {
  ServiceState& web = begin();
  judge(web, primary_server, probes::Outcome::fail);
  disable(web, primary_server);
  ASSERT_EQ(web.current, backup_server);
  web.asked_flows = FlowPolicy{.action = FlowAction::drain, .time = 7min};
  enable_server(web, primary_server, "root", registry, outbox);
  run_until_idle();
  ASSERT_EQ(web.current, backup_server) << "it is down";
  EXPECT_FALSE(web.asked_flows);
  judge(web, primary_server, probes::Outcome::pass);
  run_until_idle();
  ASSERT_EQ(web.current, primary_server);
  ASSERT_EQ(drains_of(web), 1U);
  const auto drains = [](const Eviction& eviction) { return eviction.drain.has_value(); };
  EXPECT_EQ(std::ranges::find_if(web.evictions, drains)->drain->until, now + 7min);
  EXPECT_FALSE(web.servers[primary_server].planned_flows);
}

TEST_F(MaintenanceTest, AReloadThatEndsAWaitIsAPlannedMove) {
  ServiceConfig manual = three();
  manual.failback.automatic = false;
  start({manual});
  ServiceState& web = service("web");
  for (std::size_t server = 0; server < 3; ++server) judge(web, server, probes::Outcome::pass);
  run_until_idle();
  judge(web, primary_server, probes::Outcome::fail);
  run_until_idle();
  judge(web, primary_server, probes::Outcome::pass);
  run_until_idle();
  ASSERT_EQ(web.current, backup_server);
  apply({three()});
  run_until_idle();
  ASSERT_EQ(web.current, primary_server);
  EXPECT_EQ(web.last_flip->reason, Reason::failback);
  EXPECT_EQ(drains_of(web), 1U);
}

TEST_F(MaintenanceTest, AnOverrideFollowsItsServersAddress) {
  ServiceState& web = begin();
  force(web, backup_server);
  apply({in_order({1, 0, 2})});
  run_until_idle();
  ASSERT_TRUE(web.force);
  EXPECT_EQ(web.force->server, 0U);
  EXPECT_EQ(web.current, 0U);
  EXPECT_EQ(web.flips, 1U) << "the traffic stayed where it was";
  EXPECT_EQ(events("the server of the override, backup (198.18.2.2), is primary (198.18.2.2) now: the override stays with it"), 1U);
  apply({in_order({0, 2})});
  run_until_idle();
  EXPECT_FALSE(web.force);
  EXPECT_EQ(events("the override to primary (198.18.2.2) by root is dropped: that server is no longer configured"), 1U);
}

TEST_F(MaintenanceTest, AnOverrideIsRestoredForItsAddress) {
  SavedOverride saved{.service = "web",
                      .target = "backup",
                      .until = {},
                      .reason = {},
                      .by = "root",
                      .since = wall_now(),
                      .addresses = {planning::endpoint("198.18.3.2", 0)}};
  EXPECT_EQ(begin({.overrides = {saved}, .drains = {}}).force->server, 2U);
}

TEST_F(MaintenanceTest, AnOverrideOfAnOlderHanatdIsRestoredForItsRole) {
  const SavedOverride saved{.service = "web", .target = "backup", .until = {}, .reason = {}, .by = "root", .since = wall_now()};
  EXPECT_EQ(begin({.overrides = {saved}, .drains = {}}).force->server, backup_server);
}

TEST_F(MaintenanceTest, ASwapOfRolesByAReloadIsAPlannedMove) {
  ServiceState& web = begin();
  apply({in_order({1, 0, 2})});
  run_until_idle();
  EXPECT_EQ(web.current, 0U) << "198.18.2.2, the primary now";
  EXPECT_EQ(drains_of(web), 1U) << "on_failback would reset";
}

/// The next hanatd.
struct NextTest : ReloadTest {
  void TestBody() override {}
  using ReloadTest::events, ReloadTest::now, ReloadTest::outbox, ReloadTest::service, ReloadTest::start;
};

TEST_F(MaintenanceTest, OfServicesThatBecomeAGroupTheOneThatEndsLastRules) {
  auto [web, mail] = begin_two();
  disable(service("web"), primary_server, 1h);
  disable(service("mail"), primary_server);
  web.group = mail.group = "both";
  apply({web, mail});
  run_until_idle();
  EXPECT_EQ(service("web").servers[primary_server].maintenance->until, std::nullopt);
  now += 2h;
  registry.mark_dirty(service("web"));
  run_until_idle();
  EXPECT_TRUE(service("web").servers[primary_server].maintenance);
  EXPECT_EQ(events("is enabled again"), 0U);
  outbox.events.clear();
  web.hold = !web.hold;
  apply({web, mail});
  EXPECT_EQ(events("is disabled by"), 0U) << "said once";
}

TEST_F(MaintenanceTest, AtAStartWithoutItsServiceItEndsAloudAndIsForgotten) {
  const SavedMaintenance saved{.service = "shop",
                               .server = "primary",
                               .addresses = {planning::endpoint("10.0.0.1", 80)},
                               .until = {},
                               .reason = "new disk",
                               .by = "ann",
                               .since = wall_now()};
  const SavedOverride pinned{.service = "shop", .target = "backup", .until = {}, .reason = {}, .by = "ann", .since = wall_now()};
  NextTest next;
  next.start({three()}, {}, {.overrides = {pinned}, .maintenance = {saved}, .drains = {}});
  EXPECT_EQ(next.events("primary (10.0.0.1:80), which ann disabled (new disk), is no longer configured"), 1U);
  EXPECT_EQ(next.events("the override to backup by ann is dropped"), 1U);
  EXPECT_TRUE(next.outbox.overrides_changed) << "a server that comes back weeks later is not disabled";
}

TEST_F(MaintenanceTest, AtAStartANeighbourOnTheSameMachineIsNotTakenForIt) {
  const std::vector<Endpoint> gone{planning::endpoint("198.18.1.2", 8080)}; // the primary's machine, another port
  const SavedMaintenance saved{
      .service = "web", .server = "backup", .addresses = gone, .until = {}, .reason = {}, .by = "ann", .since = wall_now()};
  const SavedOverride pinned{
      .service = "web", .target = "backup", .until = {}, .reason = {}, .by = "ann", .since = wall_now(), .addresses = gone};
  NextTest next;
  next.start({three()}, {}, {.overrides = {pinned}, .maintenance = {saved}, .drains = {}});
  EXPECT_FALSE(next.service("web").servers[primary_server].maintenance);
  EXPECT_FALSE(next.service("web").force);
  EXPECT_EQ(next.events("is no longer configured: no server is disabled in its place"), 1U);
}

TEST_F(MaintenanceTest, AtAStartAChangedAddressOfTheServerIsSaid) {
  ServiceConfig config = three();
  const SavedMaintenance saved{.service = "web",
                               .server = "backup",
                               .addresses = config.servers[backup_server].addresses,
                               .until = {},
                               .reason = {},
                               .by = "ann",
                               .since = wall_now()};
  config.servers[backup_server].addresses.push_back(planning::endpoint("fd00::2", 0));
  NextTest next;
  next.start({config}, {}, {.overrides = {}, .maintenance = {saved}, .drains = {}});
  EXPECT_TRUE(next.service("web").servers[backup_server].maintenance);
  EXPECT_EQ(next.events("which is disabled, is backup (198.18.2.2) now: it stays disabled"), 1U);
}

} // namespace
} // namespace hanat::test
