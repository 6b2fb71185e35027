// Which flows of the old target stay for a while, when that ends, and which policy rules.
// Not here: what happens to flows that go at once (desired_state_test).
#include <optional>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat::planning {
namespace {

/// The mappings whose flows stay a while.
std::set<Mapping> staying(const std::vector<Eviction>& evictions) {
  std::set<Mapping> all;
  for (const Eviction& eviction : evictions)
    if (eviction.drain) all.insert(eviction.mappings.begin(), eviction.mappings.end());
  return all;
}
const std::set<Mapping> tcp_of_the_primary{{tcp4, primary4}, {tcp6, primary6}};
const std::set<Mapping> flows_of_the_primary{{tcp4, primary4}, {tcp6, primary6}, {udp4, primary4}};

TEST(Plan, AtAFailoverTcpMayStayButNothingElse) {
  for (const FlowPolicy& policy : {kept_policy, a_minute}) {
    ServiceState service = service_at(Destination::primary);
    service.config.edit().on_failover = policy;
    const Plan result = go(service, Destination::backup);
    ASSERT_EQ(result.evictions.size(), 2U);
    EXPECT_EQ(staying(result.evictions), tcp_of_the_primary);
    EXPECT_EQ(result.evictions[1].drain->until, policy == kept_policy ? std::nullopt : std::optional{moment + 60s});
    EXPECT_EQ(keys_of(result.rules.stale), (std::set<Mapping>{{udp4, primary4}})) << "what stays is not stale";
  }
}

TEST(Plan, AtAPlannedMoveAllMayStayWithTcpApartFromTheRest) {
  for (const Reason reason : {Reason::failback, Reason::forced}) {
    ServiceState service = service_at(Destination::primary);
    ServiceConfig& config = service.config.edit();
    config.on_failback = config.on_forced = a_minute;
    const Plan result = go(service, Destination::backup, reason);
    ASSERT_EQ(result.evictions.size(), 2U);
    EXPECT_EQ(staying(result.evictions), flows_of_the_primary);
    EXPECT_TRUE(result.rules.stale.empty());
    EXPECT_FALSE(result.evictions[0].drain->notified) << "clients without a connection are notified";
    EXPECT_TRUE(result.evictions[1].drain->notified);
  }
}

TEST(Plan, WithoutATargetNothingStays) {
  for (const FlowPolicy& policy : {kept_policy, a_minute}) {
    ServiceState service = service_at(Destination::primary);
    ServiceConfig& config = service.config.edit();
    config.on_failover = config.on_failback = config.on_forced = policy;
    const Plan result = go(service, Destination::none);
    EXPECT_TRUE(staying(result.evictions).empty());
    EXPECT_EQ(keys_of(result.rules.stale), flows_of_the_primary);
  }
}

/// The primary drains its TCP flows, or keeps them, and the backup has the traffic.
ServiceState drained_service(const FlowPolicy& policy, Reason reason) {
  ServiceState service = service_at(Destination::primary);
  ServiceConfig& config = service.config.edit();
  config.on_failover = config.on_failback = config.on_forced = policy;
  service.servers.resize(2);
  const Plan flip = go(service, Destination::backup, reason);
  service.loaded = flip.rules;
  service.evictions = flip.evictions;
  std::erase_if(service.evictions, [](const Eviction& eviction) { return !eviction.drain; });
  service.evictions.front().flip = 7;
  return service;
}

TEST(Plan, ADrainIsOverAtItsTimeAndNotBefore) {
  ServiceState service = drained_service(a_minute, Reason::failover);
  const Plan before = go(service, Destination::backup, Reason::failover, moment + 60s - 1ns);
  EXPECT_TRUE(before.ending.empty());
  EXPECT_TRUE(before.evictions.empty());
  const Plan at = go(service, Destination::backup, Reason::failover, moment + 60s);
  EXPECT_EQ(as_set(at.ending), tcp_of_the_primary);
  ASSERT_EQ(at.evictions.size(), 1U);
  EXPECT_FALSE(at.evictions[0].drain);
  EXPECT_EQ(at.evictions[0].drain_end, DrainEnd::time);
  EXPECT_EQ(at.evictions[0].flip, 7U) << "counted with the flip that began it";
  EXPECT_EQ(keys_of(at.rules.stale), tcp_of_the_primary) << "stale before they are cut";
  EXPECT_TRUE(go(service, Destination::undecided, Reason::failover, moment + 1s).ending.empty());
}

TEST(Plan, ADrainIsVoidWhenItsServerIsTargetAgainEvenAtItsEnd) {
  ServiceState service = drained_service(a_minute, Reason::forced);
  service.config.edit().on_failback = {};
  const Plan back = go(service, Destination::primary, Reason::failback, moment + 60s);
  EXPECT_TRUE(back.ending.empty());
  EXPECT_EQ(as_set(back.returning), flows_of_the_primary);
  EXPECT_EQ(keys_of(back.rules.stale), (std::set<Mapping>{{tcp4, backup4}, {udp4, backup4}}));
}

TEST(Plan, ADrainEndsWithoutATargetAndWithItsServiceAndWithItsListener) {
  for (const FlowPolicy& policy : {kept_policy, a_minute}) {
    ServiceState service = drained_service(policy, Reason::failover);
    const Plan none = go(service, Destination::none, Reason::failover, moment + 1s);
    EXPECT_EQ(as_set(none.ending), tcp_of_the_primary);
    EXPECT_EQ(keys_of(none.rules.stale).size(), 4U) << "the backup's two flows go with them";
    service.config.edit().listen = {tcp4, udp4};
    apply(service, go(service, Destination::backup, Reason::failover, moment + 1s), moment + 1s);
    recorded(service);
    const Plan fewer = go(service, Destination::backup, Reason::failover, moment + 1s);
    EXPECT_EQ(as_set(fewer.ending), (std::set<Mapping>{{tcp6, primary6}}));
    EXPECT_EQ(fewer.evictions.back().drain_end, DrainEnd::given_up);
    EXPECT_EQ(as_set(go(service, Destination::removed, Reason::failover, moment + 1s).ending), tcp_of_the_primary);
  }
}

/// So many fails with this reason that the server is down.
void let_fail(ServerState& server, probes::Reason reason) {
  server.health = Health::down;
  ProbeState& probe = server.probes.emplace_back(
      ProbeState{.probe = nullptr, .id = {}, .window = FailureWindow{DownRule{}, UpRule{}}, .rate = {}, .last = {}});
  for (int fail = 0; fail < 3; ++fail) probe.window.record(probes::Outcome::fail, moment);
  probe.window.evaluate({}, moment);
  probe.last_failure = reason;
}

TEST(Plan, TcpOfASilentServerDoesNotDrainAndNothingElseStaysAtADeadOne) {
  for (const bool silent : {false, true})
    for (const FlowPolicy& policy : {kept_policy, a_minute}) {
      const bool tcp_stays = !silent || policy == kept_policy; // "keep" is the operator's word
      const auto reason = silent ? probes::Reason::timeout : probes::Reason::refused;
      ServiceState service = drained_service(policy, Reason::forced);
      let_fail(service.servers[0], reason);
      const Plan later = go(service, Destination::backup, Reason::failover, moment + 1s);
      EXPECT_EQ(as_set(later.ending), tcp_stays ? (std::set<Mapping>{{udp4, primary4}}) : flows_of_the_primary);
      ServiceState now = service_at(Destination::primary);
      now.config.edit().on_failover = policy;
      now.servers.resize(2);
      let_fail(now.servers[0], reason);
      EXPECT_EQ(staying(go(now, Destination::backup).evictions), tcp_stays ? tcp_of_the_primary : std::set<Mapping>{});
    }
}

TEST(Plan, NoDrainEndsWhileAnOutageIsInDoubt) {
  ServiceState service = drained_service(a_minute, Reason::forced);
  Decision doubted = decision_for(Destination::backup);
  doubted.reason = Reason::outage_doubted;
  EXPECT_EQ(as_set(desired_state(service, doubted, moment + 2min).ending), std::set<Mapping>{});
  EXPECT_EQ(as_set(go(service, Destination::backup, Reason::failover, moment + 2min).ending), flows_of_the_primary);
}

TEST(Plan, FlowsThatDrainOutliveASilenceThatMayBeTheWays) {
  for (const Reason reason : {Reason::forced, Reason::disabled}) {
    ServiceState service = drained_service(a_minute, reason);
    ServerState& primary = service.servers[0];
    let_fail(primary, probes::Reason::timeout);
    WayToServer& way = primary.probes[0].way;
    way.record(probes::fail_result(probes::Reason::timeout, 500ms), moment + 500ms);
    const auto ending = [&] { return as_set(go(service, Destination::backup, reason, moment + 1s).ending); };
    EXPECT_EQ(ending(), std::set<Mapping>{}) << "others may be silent, too";
    primary.silence_check = SilenceCheck{.is_its_own = true};
    EXPECT_EQ(ending(), flows_of_the_primary);
    primary.silence_check = {};
    way.record({.outcome = probes::Outcome::pass, .reason = probes::Reason::connected, .latency = 1ms, .detail = {}}, moment + 900ms);
    EXPECT_EQ(ending(), std::set<Mapping>{}) << "it works, and is only watched before it is up";
    way.record(probes::fail_result(probes::Reason::refused, 1ms), moment + 950ms);
    EXPECT_TRUE(ending().contains({udp4, primary4})) << "it is dead";
  }
}

// A server that is only full

/// The primary is full, its flows stay, and the backup has the traffic.
ServiceState left_full(const FlowPolicy& on_failover) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().on_failover = on_failover;
  service.servers.resize(2);
  service.servers[0].health = Health::full;
  service.servers[1].health = Health::up;
  apply(service, go(service, Destination::backup, Reason::full), moment);
  for (Eviction& eviction : service.evictions) eviction.flip = 7;
  return service;
}

TEST(Plan, AtAFullServerAllFlowsStayWhateverThePolicySays) {
  for (const FlowPolicy& policy : {FlowPolicy{}, kept_policy, a_minute}) {
    const ServiceState service = left_full(policy);
    ASSERT_EQ(service.evictions.size(), 2U) << "TCP apart from the rest";
    EXPECT_EQ(staying(service.evictions), flows_of_the_primary);
    for (const Eviction& eviction : service.evictions) {
      EXPECT_EQ(eviction.drain->until, std::nullopt);
      EXPECT_TRUE(eviction.drain->until_down);
    }
    EXPECT_TRUE(service.loaded.stale.empty());
    EXPECT_TRUE(service.loaded.recent.empty());
  }
}

TEST(Plan, TheFlowsOfAFullServerStayUntilItIsDown) {
  for (const FlowPolicy& policy : {FlowPolicy{}, a_minute})
    for (const Health health : {Health::full, Health::unknown, Health::up}) {
      ServiceState service = left_full(policy);
      service.servers[0].health = health;
      const Plan later = go(service, Destination::backup, Reason::starting, moment + 1h);
      EXPECT_TRUE(later.ending.empty());
      EXPECT_TRUE(later.evictions.empty());
    }
}

TEST(Plan, WhenAFullServerIsDownItsFlowsLeaveAsOnFailoverSays) {
  struct Row {
    FlowPolicy policy;
    probes::Reason reason;
    std::set<Mapping> leaving, draining;
  };
  const std::set<Mapping> udp_of_the_primary{{udp4, primary4}};
  for (const Row& row :
       {Row{{}, probes::Reason::refused, flows_of_the_primary, {}}, Row{{}, probes::Reason::timeout, flows_of_the_primary, {}},
        Row{a_minute, probes::Reason::refused, udp_of_the_primary, tcp_of_the_primary},
        Row{a_minute, probes::Reason::timeout, flows_of_the_primary, {}}, Row{kept_policy, probes::Reason::refused, udp_of_the_primary, {}},
        Row{kept_policy, probes::Reason::timeout, udp_of_the_primary, {}}}) {
    ServiceState service = left_full(row.policy);
    let_fail(service.servers[0], row.reason);
    const Plan later = go(service, Destination::backup, Reason::starting, moment + 1s);
    EXPECT_EQ(keys_of(later.rules.stale), row.leaving);
    EXPECT_EQ(staying(later.evictions), row.draining);
    std::set<Mapping> all = row.leaving;
    all.insert(row.draining.begin(), row.draining.end());
    EXPECT_EQ(as_set(later.ending), all);
    for (const Eviction& eviction : later.evictions) {
      EXPECT_EQ(eviction.flip, 7U);
      if (!eviction.drain) continue;
      EXPECT_EQ(eviction.drain->until, moment + 61s) << "from now on";
      EXPECT_FALSE(eviction.drain->until_down);
    }
    apply(service, later, moment + 1s);
    EXPECT_TRUE(go(service, Destination::backup, Reason::starting, moment + 2s).ending.empty()) << "once";
  }
}

TEST(Plan, TheFlowsOfAFullServerStayWhenItIsTargetAgain) {
  ServiceState service = left_full({});
  service.servers[0].health = Health::up;
  const Plan back = go(service, Destination::primary, Reason::failback, moment + 1s);
  EXPECT_TRUE(back.ending.empty());
  EXPECT_EQ(as_set(back.returning), flows_of_the_primary);
}

TEST(Plan, EachReasonForAFlipHasItsOwnPolicy) {
  struct Row {
    Reason flip_reason;
    FlowPolicy ServiceConfig::*policy;
  };
  for (const Row& row : {Row{Reason::failover, &ServiceConfig::on_failover}, Row{Reason::failback, &ServiceConfig::on_failback},
                         Row{Reason::primary_up, &ServiceConfig::on_forced}, Row{Reason::disabled, &ServiceConfig::on_forced},
                         Row{Reason::forced, &ServiceConfig::on_forced}}) {
    for (const FlowPolicy& others : {FlowPolicy{}, kept_policy}) {
      ServiceState service = service_at(Destination::backup);
      ServiceConfig& config = service.config.edit();
      config.on_failover = config.on_failback = config.on_forced = others;
      config.*row.policy = others == kept_policy ? FlowPolicy{} : kept_policy;
      const Plan result = go(service, Destination::primary, row.flip_reason);
      ASSERT_FALSE(result.evictions.empty());
      EXPECT_EQ(staying(result.evictions).empty(), others == kept_policy) << to_text(row.flip_reason);
    }
  }
}

TEST(Plan, TheFlowsOfARemovedServiceGoInSpiteOfKeep) {
  ServiceState service = service_at(Destination::primary);
  ServiceConfig& config = service.config.edit();
  config.on_failover = config.on_failback = config.on_forced = kept_policy;
  const Plan result = go(service, Destination::removed);
  ASSERT_EQ(result.evictions.size(), 1U);
  EXPECT_FALSE(result.evictions[0].drain);
  EXPECT_EQ(result.evictions[0].stage, CutStage::record);
  EXPECT_TRUE(result.rules.stale.empty());
}

} // namespace
} // namespace hanat::planning
