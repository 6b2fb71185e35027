// What the kernel should hold for a service: every transition, refusals, held refusals, and a service that is only observed.
// Not here: ranges of ports, drains, random histories (the files beside this one).
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/daemon/decision/plan_fixture.hpp"

namespace hanat::planning {
namespace {

void keep(const Vip& vip, const nat::TableState& loaded, nat::TableState& rules) {
  rules.vips[vip] = loaded.vips.at(vip);
  if (loaded.dnat.contains(vip)) rules.dnat[vip] = loaded.dnat.at(vip);
  for (const auto& [mapping, source] : loaded.snat)
    if (mapping.vip == vip) rules.snat[mapping] = source;
}

void expect_transition(Destination from, Destination to) {
  SCOPED_TRACE(std::string{word(from)} + " -> " + word(to));
  ServiceState service = service_at(from);
  const auto old_targets = targets_of(from);
  const auto new_targets = to == Destination::undecided ? old_targets : targets_of(to); // undecided: what is loaded stays
  const Moves moves = moves_between(old_targets, new_targets);
  const std::string old_comment = from == Destination::primary ? "web primary" : "web backup";

  nat::TableState rules = settled(to);
  rules.dnat = new_targets;
  const bool gives_up = to == Destination::removed;
  if (gives_up && !moves.leaving.empty()) // until the flows are recorded
    for (const Mapping& mapping : moves.leaving) keep(mapping.vip, settled(from), rules);
  if (!gives_up)
    for (const Mapping& mapping : moves.leaving) rules.stale[mapping] = old_comment;
  const Plan result = go(service, to);
  EXPECT_EQ(result.rules, rules);
  EXPECT_EQ(mappings_of(result.evictions, false), moves.leaving);
  EXPECT_EQ(mappings_of(result.evictions, true), moves.untranslated_before);
  EXPECT_EQ(result.evictions.size(), std::size_t{!moves.leaving.empty()} + std::size_t{!moves.untranslated_before.empty()});
  EXPECT_EQ(as_set(result.returning), moves.arriving);
  EXPECT_EQ(result.moves, !moves.leaving.empty() && to != Destination::removed);
  for (const Eviction& eviction : result.evictions) {
    EXPECT_EQ(eviction.comment, eviction.untranslated || gives_up ? "web" : old_comment);
    EXPECT_FALSE(eviction.drain);
    EXPECT_EQ(eviction.stage, gives_up ? CutStage::record : CutStage::cut_non_tcp);
    EXPECT_TRUE(eviction.exact == gives_up && eviction.given_up == gives_up);
    EXPECT_EQ(eviction.due, moment);
    EXPECT_FALSE(eviction.in_job);
  }
}

TEST(Plan, EveryTransitionGivesItsRulesAndLetsTheOldFlowsGo) {
  for (const Destination from : destinations)
    for (const Destination to : destinations) expect_transition(from, to);
}

TEST(Plan, AServerWithoutAnAddressOfTheFamilyLeavesThatEndpointWithoutTarget) {
  ServiceState service = service_at(Destination::primary);
  const Plan result = go(service, Destination::backup);
  EXPECT_TRUE(result.rules.vips.contains(tcp6));
  EXPECT_FALSE(result.rules.dnat.contains(tcp6));
  EXPECT_FALSE(result.rules.reject.contains(tcp6));
  EXPECT_TRUE(result.rules.stale.contains({tcp6, primary6})) << "its flows leave with the others";
}

TEST(Plan, ASourceOfAnotherFamilyIsLeftOut) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().servers[0].snat = {nat::SnatKind::address, address("198.18.1.1")};
  const Plan result = go(service, Destination::primary);
  EXPECT_TRUE(result.rules.snat.contains({tcp4, primary4}));
  EXPECT_FALSE(result.rules.snat.contains({tcp6, primary6}));
  service.config.edit().servers[0].snat = {};
  EXPECT_FALSE(go(service, Destination::primary).rules.snat.contains({tcp4, primary4})) << "no translation, no element";
}

TEST(Plan, OnNoneDropAnswersNobody) {
  ServiceState service = service_at(Destination::backup);
  service.config.edit().on_none = OnNone::drop;
  const Plan result = go(service, Destination::none);
  ASSERT_EQ(result.rules.reject.size(), every_vip.size());
  for (const auto& [vip, refused] : result.rules.reject) EXPECT_EQ(refused.refusal, nat::Refusal::drop);
}

TEST(Plan, WhileAnOutageIsInDoubtNothingLeavesAndNewFlowsMayBeRefused) {
  ServiceState service = service_at(Destination::primary);
  for (const ServerConfig& server : service.config->servers)
    service.servers.push_back({.role = server.role, .addresses = server.addresses, .probes = {}});
  for (ServerState& server : service.servers) server.health = Health::down;
  const Eviction draining{.mappings = {{tcp4, backup4}}, .comment = "web backup", .drain = Drain{.until = moment + 10s, .since = moment}};
  service.evictions.push_back(draining);
  Decision decision{
      .kind = TargetKind::server, .server = 0, .reason = Reason::outage_doubted, .flip_reason = Reason::outage_doubted, .failback_at = {}};
  const Plan waits = desired_state(service, decision, moment);
  EXPECT_EQ(waits.rules, settled(Destination::primary));
  EXPECT_TRUE(waits.evictions.empty()) << "nor does a drain end because its server is down";
  decision.refuse_new = true;
  const Plan refuses = desired_state(service, decision, moment);
  EXPECT_EQ(refuses.rules.dnat, waits.rules.dnat);
  ASSERT_EQ(refuses.rules.reject.size(), every_vip.size());
  for (const auto& [vip, refused] : refuses.rules.reject) EXPECT_EQ(refused.refusal, nat::Refusal::reject_new);
  EXPECT_TRUE(refuses.evictions.empty());
  EXPECT_FALSE(refuses.moves);
}

TEST(Plan, AnEndpointIsRecentUntilItsTimeAndNotAtIt) {
  ServiceState service = service_at(Destination::primary);
  service.recent_until = {{tcp4, moment + 10s}, {udp4, moment + 10s}, {tcp6, moment + 20s}};
  EXPECT_EQ(go(service, Destination::primary).rules.recent.size(), 2U) << "only TCP has an invalid state to look for";
  EXPECT_EQ(go(service, Destination::primary, Reason::failover, moment + 10s).rules.recent, (RareMap<Vip, std::string>{{tcp6, "web"}}));
  EXPECT_TRUE(go(service, Destination::primary, Reason::failover, moment + 20s).rules.recent.empty());
}

TEST(Plan, AnUnfinishedEvictionKeepsItsStaleKeys) {
  ServiceState service = service_at(Destination::backup);
  service.evictions.push_back({.mappings = {{tcp4, primary4}, {udp4, primary4}}, .comment = "web primary"});
  service.evictions.push_back({.mappings = {{tcp6, {tcp6.address, tcp6.port}}}, .comment = "web", .untranslated = true});
  const Plan result = go(service, Destination::backup);
  EXPECT_EQ(result.rules.stale, (RareMap<Mapping, std::string>{{{tcp4, primary4}, "web primary"}, {{udp4, primary4}, "web primary"}}))
      << "flows that never were translated have no key";
  EXPECT_TRUE(result.evictions.empty());
}

TEST(Plan, AServerThatReturnsIsNotStaleInTheSameChange) {
  ServiceState service = service_at(Destination::backup);
  service.evictions.push_back({.mappings = {{tcp4, primary4}, {udp4, primary4}, {tcp6, primary6}}, .comment = "web primary"});
  const Plan result = go(service, Destination::primary, Reason::failback);
  EXPECT_EQ(keys_of(result.rules.stale), (std::set<Mapping>{{tcp4, backup4}, {udp4, backup4}}));
  EXPECT_EQ(as_set(result.returning), (std::set<Mapping>{{tcp4, primary4}, {udp4, primary4}, {tcp6, primary6}}));
}

TEST(Plan, AnEndpointThatIsNoLongerListenedOnLeavesAlone) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().listen = {tcp4, udp4};
  const Plan result = go(service, Destination::primary);
  EXPECT_EQ(mappings_of(result.evictions, false), (std::set<Mapping>{{tcp6, primary6}}));
  EXPECT_TRUE(result.rules.recent.empty()) << "not in the flip itself";
  EXPECT_TRUE(result.rules.vips.contains(tcp6) && result.rules.dnat.contains(tcp6)) << "until its flows are recorded";
  apply(service, result, moment);
  EXPECT_TRUE(go(service, Destination::primary).rules.dnat.contains(tcp6));
  recorded(service);
  const Plan then = go(service, Destination::primary);
  EXPECT_FALSE(then.rules.vips.contains(tcp6) || then.rules.dnat.contains(tcp6) || then.rules.snat.contains({tcp6, primary6}));
  EXPECT_TRUE(then.evictions.empty());
  EXPECT_TRUE(then.rules.stale.empty()) << "the next flow may be somebody else's";
  EXPECT_FALSE(result.moves || then.moves) << "no endpoint that stays went anywhere";
}

TEST(Plan, AnUnfinishedEvictionOfAnEndpointThatIsGivenUpGoesOnWithoutItsStaleKeys) {
  ServiceState service = service_at(Destination::backup);
  service.evictions.push_back({.mappings = {{tcp4, primary4}, {udp4, primary4}}, .comment = "web primary"});
  service.evictions.push_back({.mappings = {untranslated(udp4)}, .comment = "web", .untranslated = true});
  service.config.edit().listen = {tcp4, tcp6};
  const Plan result = go(service, Destination::backup);
  EXPECT_EQ(keys_of(result.rules.stale), (std::set<Mapping>{{tcp4, primary4}}));
  EXPECT_EQ(as_set(result.ending), (std::set<Mapping>{{udp4, primary4}, untranslated(udp4)}));
  EXPECT_EQ(mappings_of(result.evictions, false), (std::set<Mapping>{{udp4, primary4}, {udp4, backup4}}));
}

TEST(Plan, AnEndpointThatIsListenedOnAgainIsNotGivenUp) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().listen = {tcp4, udp4};
  apply(service, go(service, Destination::primary), moment);
  recorded(service);
  service.config.edit().listen = {tcp4, udp4, tcp6};
  const Plan again = go(service, Destination::primary);
  EXPECT_EQ(as_set(again.ending), (std::set<Mapping>{{tcp6, primary6}}));
  EXPECT_TRUE(again.rules.dnat.contains(tcp6));
  EXPECT_TRUE(again.evictions.empty());
}

TEST(Plan, AServerThatGetsAnotherAddressIsAnotherServer) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().servers[0].addresses[0] = endpoint("198.18.1.9", 8443);
  const Plan result = go(service, Destination::primary);
  EXPECT_EQ(mappings_of(result.evictions, false), (std::set<Mapping>{{tcp4, primary4}, {udp4, primary4}}));
  EXPECT_TRUE(result.moves);
}

TEST(Plan, AServerThatOnlyGetsAnotherNameKeepsItsFlows) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().servers[0].role = "backup2";
  const Plan result = go(service, Destination::primary);
  EXPECT_TRUE(result.evictions.empty());
  EXPECT_FALSE(result.moves);
  EXPECT_EQ(result.rules.dnat.at(tcp4).comment, "web backup2");
}

TEST(Plan, TargetsOfSeveralServersLeaveByServer) {
  ServiceState service = service_at(Destination::primary);
  service.loaded.dnat[udp4] = {backup4, "web backup"};
  const Plan result = go(service, Destination::none);
  ASSERT_EQ(result.evictions.size(), 2U);
  EXPECT_EQ(result.evictions[0].comment, "web backup");
  EXPECT_EQ(as_set(result.evictions[0].mappings), (std::set<Mapping>{{udp4, backup4}}));
  EXPECT_EQ(result.evictions[1].comment, "web primary");
  EXPECT_EQ(as_set(result.evictions[1].mappings), (std::set<Mapping>{{tcp4, primary4}, {tcp6, primary6}}));
}

TEST(Plan, RecentIsLoadedRightAfterTheFlip) {
  ServiceState service = service_at(Destination::primary);
  apply(service, go(service, Destination::backup), moment);
  const Plan rest = go(service, Destination::backup);
  EXPECT_EQ(rest.rules.recent, (RareMap<Vip, std::string>{{tcp4, "web"}, {tcp6, "web"}}));
  EXPECT_EQ(rest.rules.stale, service.loaded.stale);
  EXPECT_TRUE(rest.evictions.empty());
  EXPECT_FALSE(rest.moves);
}

/// The primary has the traffic, and this is known of the servers.
ServiceState watched(Health primary, Health backup) {
  ServiceState service = service_at(Destination::primary);
  service.servers.resize(2);
  service.servers[0].health = primary;
  service.servers[1].health = backup;
  return service;
}
const std::map<Mapping, std::string> hold_of_the_primary{{{tcp4, primary4}, "web primary"}, {{udp4, primary4}, "web primary"}};
const std::map<Mapping, std::string> hold_of_the_backup{{{tcp4, backup4}, "web backup"}, {{udp4, backup4}, "web backup"}};

TEST(Plan, ARefusalIsHeldWhereAnotherServerMayDo) {
  for (const Health primary : {Health::unknown, Health::up, Health::down})
    for (const Health backup : {Health::unknown, Health::up}) {
      ServiceState service = watched(primary, backup);
      EXPECT_EQ(go(service, Destination::primary).rules.hold, hold_of_the_primary) << "of IPv6 the backup has no address";
      EXPECT_EQ(go(service, Destination::undecided).rules.hold, hold_of_the_primary) << "adopted";
    }
  ServiceState alone = watched(Health::up, Health::down);
  EXPECT_TRUE(go(alone, Destination::primary).rules.hold.empty());
  ServiceState grouped = watched(Health::up, Health::up);
  grouped.servers[1].group_view = Candidate{.health = Health::down};
  EXPECT_TRUE(go(grouped, Destination::primary).rules.hold.empty()) << "the backup is not up for the whole group";
}

TEST(Plan, NothingIsHeldWhereItIsOffOrAnOperatorPinsTheTarget) {
  ServiceState off = watched(Health::up, Health::up);
  off.config.edit().hold = false;
  EXPECT_TRUE(go(off, Destination::primary).rules.hold.empty());
  ServiceState pinned = watched(Health::up, Health::up);
  pinned.force.emplace();
  EXPECT_TRUE(go(pinned, Destination::primary).rules.hold.empty());
  pinned.force->drill = true;
  EXPECT_EQ(go(pinned, Destination::primary).rules.hold, hold_of_the_primary) << "it ends with its server";
}

TEST(Plan, TheHoldFollowsRightBehindTheFlip) {
  ServiceState service = watched(Health::down, Health::up);
  service.loaded.hold = hold_of_the_primary;
  Plan flip = go(service, Destination::backup);
  EXPECT_EQ(flip.rules.hold, hold_of_the_primary) << "not in the flip itself";
  service.loaded = flip.rules;
  EXPECT_TRUE(go(service, Destination::backup).rules.hold.empty()) << "the primary is down: nobody else would do";
  service.servers[0].health = Health::unknown;
  EXPECT_EQ(go(service, Destination::backup).rules.hold, hold_of_the_backup);
  service.loaded.hold = hold_of_the_backup;
  flip = go(service, Destination::removed);
  service.servers.clear();
  service.loaded = flip.rules;
  EXPECT_TRUE(go(service, Destination::removed).rules.hold.empty());
}

TEST(Plan, WhatAnOldServerRefusesIsHeldUntilItsUdpFlowsAreCut) {
  ServiceState service = watched(Health::down, Health::up);
  service.loaded.hold = hold_of_the_primary;
  apply(service, go(service, Destination::backup), moment);
  ASSERT_FALSE(service.evictions.empty());
  const std::map<Mapping, std::string> hold_of_udp{{{udp4, primary4}, "web primary"}};
  service.loaded.hold = hold_of_the_primary;
  EXPECT_EQ(go(service, Destination::backup).rules.hold, hold_of_udp);
  service.evictions.clear();
  EXPECT_TRUE(go(service, Destination::backup).rules.hold.empty());
}

TEST(Plan, NothingIsLeftOfARemovedServiceWhenItsFlowsAreGone) {
  ServiceState service = service_at(Destination::primary);
  apply(service, go(service, Destination::removed), moment);
  EXPECT_FALSE(go(service, Destination::removed, Reason::failover, moment + 1s).rules.dnat.empty());
  recorded(service);
  apply(service, go(service, Destination::removed), moment);
  EXPECT_TRUE(service.loaded.dnat.empty() && service.loaded.vips.empty());
  service.evictions.clear();
  EXPECT_FALSE(go(service, Destination::removed, Reason::failover, moment + recent_for - 1ns).rules.empty())
      << "leftovers are answered for a minute";
  EXPECT_TRUE(go(service, Destination::removed, Reason::failover, moment + recent_for).rules.empty());
}

TEST(PlanObserve, KeepsWhateverIsLoadedExceptWhatIsHeld) {
  for (const Destination to : {Destination::primary, Destination::backup, Destination::none}) {
    SCOPED_TRACE(word(to));
    ServiceState service = service_at(to);
    service.loaded.hold[{tcp4, primary4}] = "web primary";
    service.servers.resize(2);
    for (ServerState& server : service.servers) server.health = Health::down;
    const Plan stays = plan_observe(service, moment);
    EXPECT_EQ(stays.rules, settled(to));
    EXPECT_TRUE(stays.evictions.empty());
    EXPECT_TRUE(stays.returning.empty());
    EXPECT_FALSE(stays.moves);
  }
}

TEST(PlanObserve, LoadsNothingWhereNothingIs) {
  ServiceState service;
  service.config = web();
  EXPECT_TRUE(plan_observe(service, moment).rules.empty());
}

TEST(PlanObserve, FlowsOfAnEarlierFlipGoToTheirEnd) {
  ServiceState service = service_at(Destination::primary);
  apply(service, go(service, Destination::backup), moment);
  const nat::TableState flipped = service.loaded;
  ASSERT_FALSE(flipped.stale.empty());
  EXPECT_EQ(plan_observe(service, moment).rules.stale, flipped.stale);
  EXPECT_FALSE(plan_observe(service, moment).rules.recent.empty());
  service.evictions.clear(); // cut
  EXPECT_TRUE(plan_observe(service, moment).rules.stale.empty());
  EXPECT_EQ(plan_observe(service, moment + recent_for).rules, settled(Destination::backup));
}

TEST(PlanObserve, AnEndpointThatIsNotListenedOnAnyMoreIsGivenUp) {
  ServiceState service = service_at(Destination::primary);
  service.config.edit().listen = {tcp4, tcp6};
  const Plan change = plan_observe(service, moment);
  EXPECT_EQ(change.rules, service.loaded) << "until its flows are recorded";
  ASSERT_EQ(change.evictions.size(), 1U);
  EXPECT_EQ(as_set(change.evictions[0].mappings), (std::set<Mapping>{{udp4, primary4}, {udp4, backup4}}));
  apply(service, change, moment);
  recorded(service);
  const nat::TableState then = plan_observe(service, moment).rules;
  EXPECT_FALSE(then.vips.contains(udp4) || then.dnat.contains(udp4) || then.snat.contains({udp4, primary4}));
  EXPECT_TRUE(then.dnat.contains(tcp4));
}

TEST(Plan, IsPure) {
  const ServiceState service = service_at(Destination::primary);
  for (const Destination to : destinations)
    EXPECT_EQ(desired_state(service, decision_for(to), moment).rules, desired_state(service, decision_for(to), moment).rules);
  EXPECT_EQ(service.loaded, settled(Destination::primary));
}

TEST(Plan, AServiceThatIsRemovedWhileItRefusesClientsStaysUntilTheRestOfItsCutIsRecorded) {
  ServiceState service = service_at(Destination::primary);
  apply(service, go(service, Destination::none), moment);
  const Plan removed = go(service, Destination::removed);
  EXPECT_EQ(removed.rules.vips.size(), every_vip.size()) << "else flows of somebody else's would be recorded, too";
  apply(service, removed, moment);
  recorded(service);
  EXPECT_TRUE(go(service, Destination::removed).rules.vips.empty());
}

TEST(Plan, AServiceThatIsRemovedDuringACutResetsTheClientsThatAreBeingAskedUntilTheyAreRecorded) {
  ServiceState service = service_at(Destination::primary);
  apply(service, go(service, Destination::backup), moment);
  const auto asked = service.loaded.stale;
  ASSERT_TRUE(asked.contains({tcp4, primary4}));
  const Plan removed = go(service, Destination::removed);
  EXPECT_EQ(removed.rules.stale, asked) << "the answer of a client that was asked a moment ago would be lost";
  apply(service, removed, moment);
  recorded(service);
  EXPECT_TRUE(go(service, Destination::removed).rules.stale.empty()) << "what comes now may be somebody else's";
}

} // namespace
} // namespace hanat::planning
