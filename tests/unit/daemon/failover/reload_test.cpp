// A reload: what differs changes and nothing else; endpoints change hands with their flows, and services that are gone give up theirs.
// Not here: reading a configuration (daemon/config), ranges of other borders (tests/netns).
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

/// The services run for a while: at their primaries, nothing on its way out.
class RunningReloadTest : public ReloadTest {
protected:
  void run_services(const std::vector<ServiceConfig>& services) {
    start(services);
    for (const auto& one : registry.services()) judge(*one, 0, probes::Outcome::pass);
    settle_flows();
    outbox = {};
  }
  static Mapping flows_of(const ServiceState& one) {
    return {one.config->listen.front(), one.loaded.dnat.at(one.config->listen.front()).server};
  }
};

const ServiceConfig mail = small_service("mail", 25);
const ServiceConfig site = small_service("site", 80);

TEST_F(RunningReloadTest, TheNamesOfWhatChangedAreReturned) {
  run_services({probed(mail), probed(site)});
  ServiceConfig changed = probed(site);
  changed.on_none = OnNone::drop;
  const Reloaded result = apply({changed, small_service("fresh", 81)});
  EXPECT_EQ(result.added, Names{"fresh"});
  EXPECT_EQ(result.changed, Names{"site"});
  EXPECT_EQ(result.removed, Names{"mail"});
}

TEST_F(RunningReloadTest, WhatStaysTheSameIsNotTouched) {
  run_services({probed(mail), probed(site)});
  const auto scheduled = scheduler.scheduled.size();
  const Reloaded result = apply({probed(site), probed(mail)});
  EXPECT_TRUE(result.added.empty() && result.changed.empty() && result.removed.empty());
  EXPECT_TRUE(registry.dirty().empty());
  EXPECT_EQ(scheduler.scheduled.size(), scheduled);
}

TEST_F(RunningReloadTest, ARemovedServiceIsNotProbedAndItsFlowsAreCut) {
  run_services({probed(mail)});
  const Mapping flows = flows_of(service("mail"));
  apply({});
  EXPECT_TRUE(scheduler.scheduled.empty());
  EXPECT_EQ(registry.find("mail"), nullptr);
  EXPECT_EQ(settle_flows(), std::set{flows});
  EXPECT_TRUE(registry.services().empty());
  EXPECT_FALSE(is_unexpected(flows)) << "they may be of an operator's own rule by now";
}

TEST_F(RunningReloadTest, ARemovedServiceTakesItsOverrideWithIt) {
  run_services({probed(mail)});
  service("mail").force = Override{.server = 1, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root"};
  apply({});
  EXPECT_TRUE(outbox.overrides_changed);
  EXPECT_EQ(outbox.events.size(), 1U);
}

TEST_F(RunningReloadTest, OfAnEndpointThatIsGivenUpOnlyTheFlowsThatStandAreCut) {
  ServiceConfig config = probed(web());
  run_services({config});
  config.listen = {udp4, tcp6};
  apply({config});
  run_until_idle();
  EXPECT_TRUE(service("web").loaded.vips.contains(tcp4)) << "until its flows are recorded";
  EXPECT_TRUE(run());
  EXPECT_EQ(as_set(job().record), (std::set{primary_tcp, backup_tcp}));
  CutResult result;
  result.recorded = std::make_shared<const nat::RecordedFlows>();
  const auto recorded = result.recorded;
  finish(result);
  EXPECT_FALSE(run()) << "not while new flows still come";
  run_until_idle();
  EXPECT_FALSE(service("web").loaded.vips.contains(tcp4));
  EXPECT_TRUE(service("web").loaded.stale.empty());
  EXPECT_TRUE(run());
  EXPECT_EQ(job().recorded, std::set{recorded});
  EXPECT_EQ(as_set(job().cut_recorded), (std::set{primary_tcp, backup_tcp}));
  EXPECT_TRUE(job().cut.empty() && job().cut_unconnected.empty());
  EXPECT_EQ(job().nudge, (std::set{primary_tcp, backup_tcp}));
  finish(deleted(primary_tcp, 3));
  now += 1s;
  EXPECT_TRUE(run()) << "once more, and meanwhile its servers open no flows";
  EXPECT_EQ(job().recorded, std::set{recorded});
  EXPECT_TRUE(job().nudge.empty()) << "each client is notified once";
  finish();
  EXPECT_TRUE(service("web").evictions.empty());
  EXPECT_EQ(service("web").totals.cut.tcp, 3U);
  EXPECT_TRUE(settle_flows().empty());
  EXPECT_FALSE(is_unexpected(primary_tcp));
}

TEST_F(RunningReloadTest, AnEndpointThatChangesHandsKeepsItsFlows) {
  run_services({probed(mail)});
  const Mapping flows = flows_of(service("mail"));
  service("mail").recent_until[flows.vip] = now + 17s;
  ServiceConfig renamed = probed(mail);
  renamed.name = "smtp";
  apply({renamed});
  EXPECT_EQ(service("smtp").current, 0U);
  EXPECT_TRUE(service("smtp").loaded.dnat.contains(flows.vip));
  EXPECT_EQ(service("smtp").recent_until.at(flows.vip), now + 17s);
  judge(service("smtp"), 0, probes::Outcome::pass);
  EXPECT_FALSE(settle_flows().contains(flows));
  EXPECT_EQ(registry.services().size(), 1U);
  EXPECT_EQ(service("smtp").flips, 0U);
}

TEST_F(RunningReloadTest, AnEndpointThatMovedAMomentAgoIsStillResetWithItsNewService) {
  run_services({probed(mail)});
  const Vip vip = mail.listen.front();
  service("mail").loaded.recent[vip] = "mail";
  ServiceConfig renamed = probed(mail);
  renamed.name = "smtp";
  apply({renamed});
  EXPECT_EQ(service("smtp").recent_until.at(vip), now + 60s);
}

TEST_F(RunningReloadTest, FlowsOnTheirWayOutGoOnWithTheNewService) {
  run_services({probed(mail), probed(site)});
  const Mapping flows = flows_of(service("mail"));
  judge(service("mail"), 0, probes::Outcome::fail);
  judge(service("mail"), 1, probes::Outcome::pass);
  run_until_idle();
  EXPECT_TRUE(run()); // the worker is on them
  ServiceConfig wider = probed(site);
  wider.listen.push_back(flows.vip);
  apply({wider});
  EXPECT_TRUE(mappings_of(service("site").evictions, false).contains(flows));
  finish(deleted(flows, 3));
  EXPECT_EQ(service("site").totals.cut.tcp, 3U);
  settle_flows();
  EXPECT_TRUE(service("site").evictions.empty());
  EXPECT_EQ(registry.services().size(), 1U);
}

TEST_F(RunningReloadTest, AServiceOfTheSameNameIsAnotherOneThanItsTombstone) {
  run_services({probed(mail)});
  const Mapping flows = flows_of(service("mail"));
  apply({});
  apply({small_service("mail", 26)});
  ASSERT_NE(tombstone("mail"), nullptr);
  EXPECT_NE(tombstone("mail"), registry.find("mail"));
  EXPECT_TRUE(settle_flows().contains(flows));
  EXPECT_EQ(tombstone("mail"), nullptr);
  ASSERT_NE(registry.find("mail"), nullptr);
}

TEST_F(RunningReloadTest, TheTargetIsTheSameServerInAnotherOrder) {
  run_services({probed(mail)});
  judge(service("mail"), 1, probes::Outcome::pass);
  ServiceConfig config = probed(mail);
  std::swap(config.servers[0].addresses, config.servers[1].addresses);
  config.failback.automatic = false;
  apply({config});
  EXPECT_EQ(service("mail").current, 1U);
  EXPECT_EQ(service("mail").servers[1].health, Health::up); // and so is its health
  run_until_idle();
  EXPECT_EQ(service("mail").flips, 0U);
}

/// Nothing has failed and nothing has come back: the reload moves the traffic.
TEST_F(RunningReloadTest, ASwapOfRolesMovesTheTrafficForTheReasonConfiguration) {
  run_services({probed(mail)});
  judge(service("mail"), 1, probes::Outcome::pass);
  now += 1min;
  judge(service("mail"), 1, probes::Outcome::pass);
  run_until_idle();
  ServiceConfig config = probed(mail);
  std::swap(config.servers[0].addresses, config.servers[1].addresses);
  apply({config});
  run_until_idle();
  EXPECT_EQ(service("mail").current, 0U);
  EXPECT_EQ(service("mail").last_flip.value().reason, Reason::configuration);
  EXPECT_EQ(service("mail").reason, Reason::primary_up);
  EXPECT_FALSE(service("mail").servers[0].placed) << "it is done";

  judge(service("mail"), 0, probes::Outcome::fail);
  run_until_idle();
  apply({probed(mail)}); // and back, while the server that becomes the backup is down
  run_until_idle();
  EXPECT_EQ(service("mail").current, 0U);
  apply({config});
  run_until_idle();
  EXPECT_EQ(service("mail").current, 1U);
  now += 1min;
  for (int times = 0; times < 2; ++times, now += 1min) judge(service("mail"), 0, probes::Outcome::pass);
  run_until_idle();
  EXPECT_EQ(service("mail").current, 0U);
  EXPECT_EQ(service("mail").last_flip.value().reason, Reason::failback) << "it was down, and is up again";
}

TEST_F(RunningReloadTest, AnOverrideFollowsItsRole) {
  ServiceConfig config = probed(mail);
  ServerConfig third = config.servers[1];
  third.role = "backup2";
  third.addresses = {endpoint("198.18.3.2", 0)};
  config.servers.push_back(third);
  run_services({config});
  service("mail").force = Override{.server = 2, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root"};
  std::swap(config.servers[1], config.servers[2]);
  apply({config});
  ASSERT_TRUE(service("mail").force);
  EXPECT_EQ(service("mail").force->server, 1U);
  EXPECT_FALSE(outbox.overrides_changed);
  config.servers.erase(config.servers.begin() + 1);
  apply({config});
  EXPECT_FALSE(service("mail").force);
  EXPECT_TRUE(outbox.overrides_changed);
}

TEST_F(RunningReloadTest, ANewPeriodOfTheAuditIsTaken) {
  start({});
  Config config;
  config.reconcile = 1s;
  reload.apply(config, now);
  EXPECT_EQ(audit.next_wakeup(), now + 1s);
}

TEST_F(RunningReloadTest, NewRulesHoldForProbesThatStay) {
  run_services({probed(mail)});
  ServiceConfig config = probed(mail);
  config.down.fails = 1;
  const std::size_t scheduled = scheduler.scheduled.size();
  apply({config});
  EXPECT_EQ(scheduler.scheduled.size(), scheduled);
  ServiceState& one = service("mail");
  health.on_probe_result(one.servers[0].probes.front().id,
                         {.outcome = probes::Outcome::fail, .reason = probes::Reason::refused, .latency = {}, .detail = {}}, now);
  EXPECT_EQ(one.servers[0].health, Health::down);
}

TEST_F(RunningReloadTest, ServicesThatBecomeAGroupShareTheNewestOverride) {
  run_services({probed(mail), probed(site)});
  service("site").force = Override{.server = 1, .until = {}, .until_wall = {}, .since = wall_now(), .reason = {}, .by = "root"};
  ServiceConfig one = probed(mail), two = probed(site);
  one.group = two.group = "both";
  apply({one, two});
  ASSERT_TRUE(service("mail").force);
  EXPECT_EQ(service("mail").force->server, 1U);
  run_until_idle();
  EXPECT_EQ(service("mail").current, 1U);
  EXPECT_EQ(service("site").current, 1U);
}

} // namespace
} // namespace hanat::test
