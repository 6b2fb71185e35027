// A reload changes probes: the verdict of the old ones stands until the new ones have passed. Not here: other changes of a reload
// (reload_test), targets that are configured no more (former_test).
#include "daemon/decision/reconfiguration.hpp"
#include "daemon/report/make_status.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

using probes::Outcome;

class HeldProbes : public ReloadTest {
protected:
  static constexpr const char* failing = "has not passed since the reload";

  static ServiceConfig site(Clock::duration timeout = 500ms) {
    ServiceConfig config = probed(small_service("site", 80));
    for (ServerConfig& server : config.servers) server.probes[0].timeout = timeout;
    return config;
  }
  /// Both are up, and the primary has the traffic.
  void run_site() {
    start({site()});
    for (const std::size_t server : {0U, 1U}) judge(one(), server, Outcome::pass);
    settle_flows();
    outbox = {};
  }
  ServiceState& one() { return service("site"); }
  ServerState& primary() { return one().servers[0]; }
  void answer(probes::ProbeId probe, Outcome outcome, int times = 1) {
    const auto reason = outcome == Outcome::pass ? probes::Reason::connected : probes::Reason::wrong_answer;
    for (; times > 0; --times) health.on_probe_result(probe, {.outcome = outcome, .reason = reason, .latency = {}, .detail = {}}, now);
    run_until_idle();
  }
  probes::ProbeId fresh(std::size_t server = 0, std::size_t probe = 0) { return one().servers[server].new_probes.value().probes[probe].id; }
};

TEST_F(HeldProbes, DecideOnWhileTheNewOnesFail) {
  run_site();
  const probes::ProbeId old = primary().probes[0].id;
  apply({site(200ms)});
  run_until_idle();
  EXPECT_EQ(scheduler.scheduled.size(), 4U) << "old and new ones of both servers";
  answer(fresh(), Outcome::fail, 2);
  EXPECT_EQ(events(failing), 0U);
  answer(fresh(), Outcome::fail, 10);
  EXPECT_EQ(events(failing), 1U) << "once, and loudly";
  EXPECT_EQ(primary().health, Health::up);
  EXPECT_EQ(one().current, 0U);
  EXPECT_EQ(one().flips, 0U);
  const ServerStatus status = report(one(), now).servers[0];
  ASSERT_TRUE(status.new_probes);
  EXPECT_TRUE(status.new_probes->failing);
  EXPECT_EQ(status.new_probes->probes[0].last.value().reason, "wrong-answer");
  answer(old, Outcome::fail, 3);
  EXPECT_EQ(primary().health, Health::down) << "a server that dies is found by them";
  EXPECT_EQ(one().current, 1U);
}

TEST_F(HeldProbes, EndWhenTheNewOnesPass) {
  run_site();
  const probes::ProbeId old = primary().probes[0].id;
  apply({site(200ms)});
  const probes::ProbeId next = fresh();
  answer(next, Outcome::fail, 3);
  answer(next, Outcome::pass);
  EXPECT_FALSE(primary().new_probes);
  EXPECT_FALSE(scheduler.scheduled.contains(old));
  EXPECT_EQ(primary().probes[0].id, next);
  EXPECT_EQ(primary().health, Health::up);
  EXPECT_EQ(events("decide from now on"), 1U);
  answer(next, Outcome::fail, 2);
  EXPECT_EQ(one().flips, 0U) << "fails of before count no more";
  answer(next, Outcome::fail);
  EXPECT_EQ(one().current, 1U);
}

TEST_F(HeldProbes, StayWhenTheFileIsCorrected) {
  run_site();
  const auto before = primary().probes[0].id;
  apply({site(200ms)});
  answer(fresh(), Outcome::fail, 5);
  answer(fresh(1), Outcome::fail, 5);
  apply({site()});
  run_until_idle();
  EXPECT_FALSE(primary().new_probes);
  EXPECT_EQ(primary().probes[0].id, before);
  EXPECT_EQ(scheduler.scheduled.size(), 2U);
  EXPECT_EQ(one().flips, 0U);
  EXPECT_EQ(primary().health, Health::up);
}

TEST_F(HeldProbes, WaitForEachNewOneToPass) {
  run_site();
  ServiceConfig two = site(200ms);
  two.servers[0].probes.push_back(two.servers[0].probes[0]);
  two.servers[0].probes[1].timeout = 300ms;
  apply({two});
  answer(fresh(0, 0), Outcome::pass);
  EXPECT_TRUE(primary().new_probes);
  answer(fresh(0, 0), Outcome::fail);
  answer(fresh(0, 1), Outcome::pass);
  EXPECT_TRUE(primary().new_probes) << "the last result of each counts";
  answer(fresh(0, 0), Outcome::pass);
  EXPECT_FALSE(primary().new_probes);
  EXPECT_EQ(primary().probes.size(), 2U);
  EXPECT_EQ(primary().probes[0].probe->spec.timeout, 200ms) << "in the order of the configuration";
}

TEST_F(HeldProbes, AreAddedToOnesThatStay) {
  run_site();
  const probes::ProbeId kept = primary().probes[0].id;
  ServiceConfig more = site();
  more.servers[0].probes.insert(more.servers[0].probes.begin(), more.servers[0].probes[0]);
  more.servers[0].probes[0].timeout = 300ms;
  apply({more});
  EXPECT_EQ(primary().probes.size(), 1U);
  answer(fresh(), Outcome::pass);
  EXPECT_EQ(primary().probes[1].id, kept);
  EXPECT_EQ(primary().health, Health::up);
}

TEST_F(HeldProbes, OfAServerThatIsNotUpTheNewOnesRuleAtOnce) {
  run_site();
  judge(one(), 1, Outcome::fail);
  run_until_idle();
  apply({site(200ms)});
  EXPECT_FALSE(one().servers[1].new_probes);
  EXPECT_EQ(one().servers[1].probes[0].probe->spec.timeout, 200ms);
}

TEST_F(HeldProbes, OutliveASecondReload) {
  run_site();
  const probes::ProbeId old = primary().probes[0].id;
  apply({site(200ms)});
  answer(fresh(), Outcome::fail, 3);
  apply({site(300ms)});
  run_until_idle();
  EXPECT_EQ(primary().probes[0].id, old);
  EXPECT_EQ(primary().new_probes.value().probes.size(), 1U);
  EXPECT_EQ(primary().new_probes.value().probes[0].probe->spec.timeout, 300ms);
  EXPECT_FALSE(primary().new_probes.value().reported) << "it is another one";
  answer(fresh(), Outcome::fail, 3);
  EXPECT_EQ(events(failing), 2U);
  const probes::ProbeId waiting = fresh();
  ServiceConfig other = site(300ms);
  other.on_none = OnNone::drop;
  apply({other});
  EXPECT_EQ(fresh(), waiting);
  EXPECT_TRUE(primary().new_probes.value().reported) << "the same one";
  EXPECT_EQ(one().flips, 0U);
  EXPECT_EQ(scheduler.scheduled.size(), 4U);
}

TEST_F(HeldProbes, DecideAlsoThatTheServerIsBackAndTheNewOnesWaitAsUsual) {
  run_site();
  const probes::ProbeId old = primary().probes[0].id;
  apply({site(200ms)});
  answer(old, Outcome::fail, 3);
  answer(fresh(), Outcome::fail, 3);
  ASSERT_EQ(one().current, 1U);
  answer(fresh(), Outcome::pass, 2);
  EXPECT_FALSE(primary().new_probes);
  EXPECT_EQ(primary().health, Health::down) << "it has to be stable first";
  now += one().config->up.stable_for;
  run_until_idle();
  EXPECT_EQ(primary().health, Health::up);
}

TEST_F(HeldProbes, AreForgottenWithTheirService) {
  run_site();
  apply({site(200ms)});
  apply({});
  EXPECT_TRUE(scheduler.scheduled.empty());
  EXPECT_TRUE(paths.watched.empty());
}

TEST_F(HeldProbes, OfOneMemberHoldForTheWholeGroup) {
  ServiceConfig a = site(), b = probed(small_service("mail", 25));
  a.group = b.group = "both";
  start({a, b});
  for (const char* name : {"site", "mail"})
    for (const std::size_t server : {0U, 1U}) judge(service(name), server, Outcome::pass);
  settle_flows();
  ServiceConfig changed = site(200ms);
  changed.group = "both";
  apply({changed, b});
  answer(fresh(), Outcome::fail, 5);
  EXPECT_EQ(service("site").current, 0U);
  EXPECT_EQ(service("mail").current, 0U);
  judge(service("mail"), 0, Outcome::fail);
  run_until_idle();
  EXPECT_EQ(service("site").current, 1U) << "one that is down for a member is down for all";
}

TEST_F(HeldProbes, ThePlanNamesTheirServers) {
  run_site();
  const ReloadPlan plan = reload.plan(config_of({site(200ms)}), now);
  ASSERT_EQ(plan.changes.size(), 1U);
  EXPECT_EQ(plan.changes[0].held, (Names{"primary", "backup"}));
  EXPECT_EQ(plan.changes[0].probes, (ProbesPlan{.kept = 2, .started = 2, .ended = 0}));
  EXPECT_FALSE(plan.changes[0].move);
  ASSERT_EQ(plan.warnings.size(), 1U);
  EXPECT_NE(plan.warnings[0].find("the old ones decide for primary, backup"), std::string::npos) << plan.warnings[0];
}

} // namespace
} // namespace hanat::test
