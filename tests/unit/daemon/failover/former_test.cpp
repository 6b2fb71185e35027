// A reload takes the target away: it serves on until a server of the new configuration is up, and then the traffic moves once. Not here:
// new probes of a server that stays (held_probes_test), what is decided (decision/former_test).
#include "daemon/failover/former.hpp"

#include "daemon/decision/reconfiguration.hpp"
#include "daemon/failover/maintenance.hpp"
#include "daemon/failover/overrides.hpp"
#include "daemon/report/make_status.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

using probes::Outcome;

class Former : public ReloadTest {
protected:
  static constexpr const char *serves_on = "serves on until", *kept = "keeps it as long as its old probes pass";
  const Endpoint old_address = endpoint("198.18.1.2", 0);

  static ServiceConfig site(const char* primary = "198.18.1.2", const char* backup = "198.18.2.2", const char* name = "site",
                            std::uint16_t port = 80) {
    ServiceConfig config = probed(small_service(name, port));
    config.servers[0].addresses = {endpoint(primary, 0)};
    config.servers[1].addresses = {endpoint(backup, 0)};
    return config;
  }
  /// All are up, and the primary has the traffic.
  void run_services(std::vector<ServiceConfig> services) {
    start(std::move(services));
    for (const auto& each : registry.services())
      for (std::size_t server = 0; server < each->servers.size(); ++server) judge(*each, server, Outcome::pass);
    settle_flows();
    outbox = {};
  }
  void reload_as(std::vector<ServiceConfig> services) {
    apply(std::move(services));
    run_until_idle();
  }
  /// "site" and "mail" are a group, and a reload gives the primary of one of them another address.
  void replace_target_in_group() {
    ServiceConfig a = site(), b = site("198.18.1.2", "198.18.2.2", "mail", 25);
    a.group = b.group = "both";
    run_services({a, b});
    ServiceConfig next = site("198.18.3.2");
    next.group = "both";
    reload_as({next, b});
  }
  ServiceState& one() { return service("site"); }
  void answer(std::size_t server, Outcome outcome) {
    judge(one(), server, outcome);
    run_until_idle();
  }
  Endpoint loaded(const char* name = "site") {
    const ServiceState& of = service(name);
    const auto target = of.loaded.dnat.find(of.config->listen.front());
    return target == of.loaded.dnat.end() ? Endpoint{} : target->second.server;
  }
  Endpoint at(const char* address) { return endpoint(address, 80); }
  void wait(Clock::duration time) {
    now += time;
    run_until_idle();
  }
};

TEST_F(Former, ServesUntilTheNewPrimaryIsStableAndThenTheTrafficMovesOnce) {
  run_services({site()});
  const probes::ProbeId old_probe = one().servers[0].probes[0].id;
  ServiceConfig next = site("198.18.3.2");
  next.on_forced = {.action = FlowAction::drain, .time = 60s};
  reload_as({next});
  EXPECT_EQ(target_name(one()), "former");
  EXPECT_EQ(one().reason, Reason::configuration);
  EXPECT_EQ(loaded(), at("198.18.1.2"));
  EXPECT_EQ(events(serves_on), 1U);
  EXPECT_EQ(one().servers[2].probes[0].id, old_probe);
  EXPECT_EQ(report(one(), now).servers[2].role, "former");
  EXPECT_TRUE(report(one(), now).servers[2].former_since);
  EXPECT_TRUE(is_configured_as(one(), next)) << "it is no part of the configuration";
  answer(0, Outcome::pass);
  EXPECT_EQ(loaded(), at("198.18.1.2")) << "another server works: it has to be stable";
  EXPECT_EQ(one().flips, 0U);
  wait(next.up.stable_for);
  EXPECT_EQ(target_name(one()), "primary");
  EXPECT_EQ(loaded(), at("198.18.3.2"));
  EXPECT_EQ(one().flips, 1U);
  EXPECT_EQ(one().last_flip.value().reason, Reason::configuration);
  EXPECT_EQ(one().last_flip.value().from, "former");
  EXPECT_TRUE(std::ranges::any_of(one().evictions, [](const Eviction& eviction) { return eviction.drain.has_value(); }));
  EXPECT_EQ(one().servers.size(), 2U);
  EXPECT_EQ(one().config->servers.size(), 2U);
  EXPECT_FALSE(scheduler.scheduled.contains(old_probe));
  EXPECT_EQ(scheduler.scheduled.size(), 2U);
  wait(20s);
  EXPECT_EQ(one().flips, 1U);
}

TEST_F(Former, OfAWrongAddressStaysAsLongAsItsOldProbesPass) {
  run_services({site()});
  judge(one(), 1, Outcome::fail);
  reload_as({site("198.18.3.2")});
  answer(0, Outcome::fail);
  EXPECT_EQ(target_name(one()), "former");
  EXPECT_EQ(events(kept), 1U) << "once, and loudly";
  answer(0, Outcome::fail);
  EXPECT_EQ(events(kept), 1U);
  EXPECT_EQ(one().flips, 0U);
  answer(2, Outcome::fail);
  EXPECT_EQ(target_name(one()), "none") << "it is given up as any server";
  EXPECT_TRUE(one().refused);
  wait(10s);
  judge(one(), 2, Outcome::pass);
  run_until_idle();
  EXPECT_EQ(target_name(one()), "former") << "and nothing else has come up";
  EXPECT_EQ(one().last_flip.value().reason, Reason::recovered);
}

TEST_F(Former, GoesToTheBackupWhenTheNewPrimaryIsDown) {
  run_services({site()});
  reload_as({site("198.18.3.2")});
  EXPECT_EQ(loaded(), at("198.18.1.2")) << "the primary comes first, and is unknown";
  answer(0, Outcome::fail);
  EXPECT_EQ(target_name(one()), "backup");
  EXPECT_EQ(one().last_flip.value().reason, Reason::configuration);
  EXPECT_EQ(one().servers.size(), 2U);
  EXPECT_EQ(events(kept), 0U);
}

TEST_F(Former, OfAListThatOnlyLostItMovesAtOnce) {
  run_services({site()});
  ServiceConfig next = site();
  next.servers.erase(next.servers.begin());
  next.servers[0].role = "primary";
  next.on_forced = {.action = FlowAction::drain, .time = 60s};
  reload_as({next});
  EXPECT_EQ(loaded(), at("198.18.2.2")) << "it is up already";
  EXPECT_EQ(one().last_flip.value().reason, Reason::configuration);
  EXPECT_EQ(one().servers.size(), 1U);
  EXPECT_TRUE(std::ranges::any_of(one().evictions, [](const Eviction& eviction) { return eviction.drain.has_value(); }));
}

TEST_F(Former, IsTheServerAgainWhenTheFileIsCorrected) {
  run_services({site()});
  const probes::ProbeId old_probe = one().servers[0].probes[0].id;
  judge(one(), 1, Outcome::fail);
  reload_as({site("198.18.3.2")});
  answer(0, Outcome::fail);
  reload_as({site("198.18.4.2")});
  EXPECT_EQ(target_name(one()), "former");
  EXPECT_EQ(one().servers.size(), 3U) << "never a second one";
  EXPECT_EQ(one().servers[2].probes[0].id, old_probe);
  EXPECT_EQ(events(serves_on), 1U);
  reload_as({site()});
  EXPECT_EQ(target_name(one()), "primary");
  EXPECT_EQ(one().servers.size(), 2U);
  EXPECT_EQ(one().servers[0].probes[0].id, old_probe);
  EXPECT_EQ(one().servers[0].health, Health::up);
  EXPECT_EQ(one().flips, 0U);
  EXPECT_EQ(scheduler.scheduled.size(), 2U);
}

TEST_F(Former, IsOnlyTheTarget) {
  run_services({site()});
  reload_as({site("198.18.1.2", "198.18.4.2")});
  EXPECT_EQ(target_name(one()), "primary") << "the backup's address moves nothing";
  EXPECT_EQ(one().servers.size(), 2U);
  EXPECT_EQ(one().flips, 0U);
}

TEST_F(Former, MayBeABackup) {
  run_services({site()});
  answer(0, Outcome::fail);
  ASSERT_EQ(target_name(one()), "backup");
  reload_as({site("198.18.1.2", "198.18.4.2")});
  EXPECT_EQ(target_name(one()), "former");
  EXPECT_EQ(loaded(), at("198.18.2.2"));
  answer(1, Outcome::pass);
  wait(5s);
  EXPECT_EQ(target_name(one()), "backup");
  EXPECT_EQ(loaded(), at("198.18.4.2"));
}

TEST_F(Former, WaitsForTheServerOfAnOverrideButNotForALaterOne) {
  run_services({site()});
  begin_override(one(), {.server = 0, .until = {}, .until_wall = {}, .since = wall_now() - 1h, .reason = {}, .by = "root"}, registry,
                 outbox);
  run_until_idle();
  ServiceConfig next = site();
  next.servers[0].addresses = {endpoint("198.18.1.2", 8'080)}; // the same machine: the override follows it there
  reload_as({next});
  ASSERT_TRUE(one().force);
  EXPECT_EQ(target_name(one()), "former");
  answer(0, Outcome::fail);
  EXPECT_EQ(target_name(one()), "former") << "the backup is up, and the override says otherwise";
  begin_override(one(), {.server = 1, .until = {}, .until_wall = {}, .since = wall_now() + 1h, .reason = {}, .by = "root"}, registry,
                 outbox);
  run_until_idle();
  EXPECT_EQ(target_name(one()), "backup");
  EXPECT_EQ(one().reason, Reason::forced);
}

TEST_F(Former, DoesNotLeaveForADisabledServer) {
  run_services({site()});
  disable_server(one(), 1, {.since = wall_now(), .reason = {}, .by = "root"}, registry, outbox);
  reload_as({site("198.18.3.2")});
  answer(0, Outcome::fail);
  EXPECT_EQ(target_name(one()), "former");
  enable_server(one(), 1, "root", registry, outbox);
  run_until_idle();
  EXPECT_EQ(target_name(one()), "backup");
}

TEST_F(Former, AnOverrideOfARemovedTargetIsDroppedAsEver) {
  run_services({site()});
  begin_override(one(), {.server = 0, .until = {}, .until_wall = {}, .since = wall_now(), .reason = {}, .by = "root"}, registry, outbox);
  run_until_idle();
  reload_as({site("198.18.3.2")});
  EXPECT_FALSE(one().force) << "nobody forces what is configured no more";
  EXPECT_EQ(target_name(one()), "former");
}

TEST_F(Former, KeepsTheTrafficWhileAnOutageIsInDoubt) {
  run_services({site()});
  reload_as({site("198.18.3.2")});
  for (int times = 0; times < 3; ++times)
    for (const ServerState& server : one().servers)
      health.on_probe_result(server.probes[0].id,
                             {.outcome = Outcome::fail, .reason = probes::Reason::timeout, .latency = 100ms, .detail = {}}, now);
  run_until_idle();
  EXPECT_EQ(one().servers[2].health, Health::down);
  EXPECT_EQ(target_name(one()), "former");
  EXPECT_EQ(one().reason, Reason::outage_doubted);
  judge(one(), 2, Outcome::pass);
  run_until_idle();
  EXPECT_EQ(target_name(one()), "former");
  EXPECT_EQ(one().flips, 0U);
}

TEST_F(Former, IsNotHeldAgainstByWhatAReloadDid) {
  run_services({site()});
  one().servers[0].damping.gained(now);
  reload_as({site("198.18.3.2")});
  answer(0, Outcome::pass);
  wait(5s);
  reload_as({site()});
  answer(0, Outcome::pass);
  wait(5s);
  EXPECT_EQ(target_name(one()), "primary");
  EXPECT_EQ(one().servers[0].damping.level(flap_rule(one().config), now), 0U);
}

TEST_F(Former, IsSharedByAGroup) {
  replace_target_in_group();
  for (const char* name : {"site", "mail"}) {
    EXPECT_EQ(target_name(service(name)), "former");
    EXPECT_EQ(service(name).servers.size(), 3U);
  }
  EXPECT_EQ(loaded("mail"), endpoint("198.18.1.2", 25));
  answer(0, Outcome::pass);
  wait(5s);
  for (const char* name : {"site", "mail"}) {
    EXPECT_EQ(target_name(service(name)), "primary");
    EXPECT_EQ(service(name).servers.size(), 2U);
  }
  EXPECT_EQ(service("site").flips, 1U);
  EXPECT_EQ(service("mail").flips, 0U) << "its traffic has not moved";
  EXPECT_EQ(scheduler.scheduled.size(), 4U);
}

TEST_F(Former, OfAGroupIsGivenUpWhenItDiesForOneMember) {
  replace_target_in_group();
  for (std::size_t server : {0U, 2U}) judge(service("mail"), server, Outcome::fail);
  run_until_idle();
  for (const char* name : {"site", "mail"}) EXPECT_EQ(target_name(service(name)), "backup");
}

TEST_F(Former, OfAGroupIsLeftWhenItsServerIsDisabledInOneMember) {
  replace_target_in_group();
  EXPECT_TRUE(has_other_usable(service("mail"), 0));
  for (const char* name : {"site", "mail"}) judge(service(name), 1, Outcome::fail);
  EXPECT_FALSE(has_other_usable(service("mail"), 0)) << "the former target is the same server";
  for (const char* name : {"site", "mail"})
    disable_server(service(name), 0, {.since = wall_now(), .reason = {}, .by = "root"}, registry, outbox);
  answer(0, Outcome::fail);
  for (const char* name : {"site", "mail"}) EXPECT_EQ(target_name(service(name)), "none");
  for (const char* name : {"site", "mail"}) enable_server(service(name), 0, "root", registry, outbox);
  run_until_idle();
  for (const char* name : {"site", "mail"}) EXPECT_NE(target_name(service(name)), "none");
}

TEST_F(Former, IsNoneWhereTheTrafficIsOnlyObserved) {
  ServiceConfig observed = site();
  observed.mode = Mode::observe;
  run_services({observed});
  observed.servers[0].addresses = {endpoint("198.18.3.2", 0)};
  reload_as({observed});
  EXPECT_FALSE(former_of(one()));
}

TEST_F(Former, IsNotRememberedByARestart) {
  nat::TableState state;
  const Vip vip = site().listen.front();
  state.vips[vip] = "site";
  state.dnat[vip] = {.server = at("198.18.1.2"), .comment = "site primary"};
  start({site("198.18.3.2")}, state);
  run_until_idle();
  EXPECT_FALSE(former_of(one()));
  EXPECT_EQ(loaded(), at("198.18.1.2")) << "until the new configuration has decided";
}

TEST_F(Former, KeepsARemovedListenerNoLonger) {
  ServiceConfig two = site();
  two.listen.push_back({two.listen[0].address, Protocol::tcp, 81});
  run_services({two});
  reload_as({site("198.18.3.2")});
  EXPECT_EQ(target_name(one()), "former");
  settle_flows();
  EXPECT_FALSE(one().loaded.vips.contains(two.listen[1]));
}

TEST_F(Former, LosesItsPlaceWithItsService) {
  run_services({site()});
  reload_as({site("198.18.3.2")});
  reload_as({});
  settle_flows();
  EXPECT_TRUE(registry.services().empty());
  EXPECT_TRUE(scheduler.scheduled.empty());
}

TEST_F(Former, OfAPlanServesOn) {
  run_services({site()});
  const ReloadPlan plan = reload.plan(config_of({site("198.18.3.2")}), now);
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(plan.changes[0].serves_on, "198.18.1.2");
  EXPECT_FALSE(plan.changes[0].move);
  EXPECT_EQ(plan.changes[0].probes, (ProbesPlan{.kept = 2, .started = 1, .ended = 0}));
  EXPECT_TRUE(std::ranges::any_of(plan.warnings, [](const std::string& text) { return text.find(serves_on) != std::string::npos; }));
}

} // namespace
} // namespace hanat::test
