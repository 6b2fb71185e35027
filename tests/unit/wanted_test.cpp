// What the kernel should hold for a service: every transition of its fate, and what holds for any sequence of them.
#include "daemon/wanted.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time moment{1'000s};

Address address(const char* text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}
Endpoint endpoint(const char* where, std::uint16_t port) { return {address(where), port}; }

const Vip tcp4{address("203.0.113.10"), Protocol::tcp, 443};
const Vip udp4{address("203.0.113.10"), Protocol::udp, 443};
const Vip tcp6{address("2001:db8::10"), Protocol::tcp, 443};
const std::array every_vip{tcp4, udp4, tcp6};

// The primary serves both families on a port of its own; the backup only IPv4, on the listener's port.
const Endpoint primary4 = endpoint("198.18.1.2", 8443);
const Endpoint primary6 = endpoint("fd00:1::2", 8443);
const Endpoint backup4 = endpoint("198.18.2.2", 443);

Service web() {
  Service service;
  service.name = "web";
  service.listen.assign(every_vip.begin(), every_vip.end());
  service.servers = {
      {.role = "primary", .addresses = {primary4, primary6}, .snat = {nat::SnatKind::masquerade, {}}, .probes = {}},
      {.role = "backup", .addresses = {endpoint("198.18.2.2", 0)}, .snat = {nat::SnatKind::address, address("198.18.2.1")}, .probes = {}}};
  return service;
}

enum class Fate : std::uint8_t { undecided, primary, backup, none, removed };
constexpr std::array fates{Fate::undecided, Fate::primary, Fate::backup, Fate::none, Fate::removed};
const char* word(Fate fate) { return std::array{"undecided", "primary", "backup", "none", "removed"}.at(static_cast<std::size_t>(fate)); }

std::map<Vip, nat::Target> targets_of(Fate fate) {
  switch (fate) {
  case Fate::primary: return {{tcp4, {primary4, "web primary"}}, {udp4, {primary4, "web primary"}}, {tcp6, {primary6, "web primary"}}};
  case Fate::backup: return {{tcp4, {backup4, "web backup"}}, {udp4, {backup4, "web backup"}}};
  case Fate::undecided:
  case Fate::none:
  case Fate::removed: return {};
  }
  return {};
}

/// What the kernel holds for the service once nothing is on its way any more; of an undecided one, when nothing was adopted.
nat::Rules settled(Fate fate) {
  nat::Rules rules;
  if (fate == Fate::removed) return rules;
  for (const Vip& vip : every_vip) rules.known[vip] = "web";
  rules.target = targets_of(fate);
  if (fate == Fate::none)
    for (const Vip& vip : every_vip) rules.refused[vip] = {nat::Refusal::reject, "web"};
  for (const auto& [vip, target] : targets_of(Fate::primary))
    rules.source[{vip, target.server}] = {{nat::SnatKind::masquerade, {}}, "web primary"};
  for (const auto& [vip, target] : targets_of(Fate::backup))
    rules.source[{vip, target.server}] = {{nat::SnatKind::address, address("198.18.2.1")}, "web backup"};
  return rules;
}

RunningService service_at(Fate fate) {
  RunningService service;
  service.config = web();
  service.loaded = settled(fate);
  return service;
}

Decision decision_for(Fate fate, Why flip_why = Why::failover) {
  switch (fate) {
  case Fate::undecided: return {};
  case Fate::primary: return {Place::server, 0, Why::primary_up, flip_why, std::nullopt};
  case Fate::backup: return {Place::server, 1, Why::failover, flip_why, std::nullopt};
  case Fate::none:
  case Fate::removed: return {Place::none, 0, Why::none_fit, Why::none_fit, std::nullopt};
  }
  return {};
}

/// As the gateway does it: no listeners, no servers, and a decision for nobody.
void remove(RunningService& service) {
  service.removed = true;
  service.config.listen.clear();
  service.config.servers.clear();
}

Wanted go(RunningService& service, Fate fate, Why flip_why = Why::failover, Time when = moment) {
  if (fate == Fate::removed) remove(service);
  return wanted(service, decision_for(fate, flip_why), when);
}

/// What changes for a virtual endpoint between two sets of targets.
struct Moves {
  std::set<Mapping> leaving, arriving, untranslated_before;
};
Moves moves_between(const std::map<Vip, nat::Target>& from, const std::map<Vip, nat::Target>& to) {
  Moves moves;
  for (const Vip& vip : every_vip) {
    const bool had = from.contains(vip);
    const bool has = to.contains(vip);
    if (had && has && from.at(vip).server == to.at(vip).server) continue;
    if (had) moves.leaving.insert({vip, from.at(vip).server});
    if (has) moves.arriving.insert({vip, to.at(vip).server});
    if (has && !had) moves.untranslated_before.insert({vip, {vip.address, vip.port}});
  }
  return moves;
}

std::set<Mapping> as_set(const std::vector<Mapping>& mappings) { return {mappings.begin(), mappings.end()}; }
std::set<Mapping> mappings_of(const std::vector<Departure>& departures, bool untranslated) {
  std::set<Mapping> all;
  for (const Departure& departure : departures)
    if (departure.untranslated == untranslated) all.insert(departure.mappings.begin(), departure.mappings.end());
  return all;
}
std::set<Mapping> keys_of(const std::map<Mapping, std::string>& stale) {
  std::set<Mapping> keys;
  for (const auto& [mapping, comment] : stale) keys.insert(mapping);
  return keys;
}

void expect_transition(Fate from, Fate to) {
  SCOPED_TRACE(std::string{word(from)} + " -> " + word(to));
  RunningService service = service_at(from);
  const auto old_targets = targets_of(from);
  const auto new_targets = to == Fate::undecided ? old_targets : targets_of(to); // undecided: what is loaded stays
  const Moves moves = moves_between(old_targets, new_targets);
  const std::string old_comment = from == Fate::primary ? "web primary" : "web backup";

  nat::Rules rules = settled(to);
  rules.target = new_targets;
  for (const Mapping& mapping : moves.leaving) rules.stale[mapping] = old_comment;
  const Wanted result = go(service, to);
  EXPECT_EQ(result.rules, rules);
  EXPECT_EQ(mappings_of(result.departures, false), moves.leaving);
  EXPECT_EQ(mappings_of(result.departures, true), moves.untranslated_before);
  EXPECT_EQ(result.departures.size(), std::size_t{!moves.leaving.empty()} + std::size_t{!moves.untranslated_before.empty()});
  EXPECT_EQ(as_set(result.returning), moves.arriving);
  EXPECT_EQ(result.moves, !moves.leaving.empty() && to != Fate::removed);
  for (const Departure& departure : result.departures) {
    EXPECT_EQ(departure.comment, departure.untranslated ? "web" : old_comment);
    EXPECT_FALSE(departure.drain);
    EXPECT_EQ(departure.stage, CutStage::datagrams);
    EXPECT_EQ(departure.due, moment);
    EXPECT_FALSE(departure.in_job);
  }
}

TEST(Wanted, EveryTransitionGivesItsRulesAndLetsTheOldFlowsGo) {
  for (const Fate from : fates)
    for (const Fate to : fates) expect_transition(from, to);
}

// ---- ranges of ports

Vip ports_of(std::uint16_t port, std::uint16_t last) {
  return {.address = tcp4.address, .protocol = Protocol::tcp, .port = port, .last = last};
}
const Endpoint primary_machine = endpoint("198.18.1.2", 0), backup_machine = endpoint("198.18.2.2", 0);

/// On its primary, with everything loaded.
RunningService ranged(const Vip& listen) {
  RunningService service;
  service.config.name = "web";
  service.config.listen = {listen};
  service.config.servers = {{.role = "primary", .addresses = {primary_machine}, .snat = {}, .probes = {}},
                            {.role = "backup", .addresses = {backup_machine}, .snat = {}, .probes = {}}};
  service.servers.resize(2);
  service.loaded.known[listen] = "web";
  service.loaded.target[listen] = {primary_machine, "web primary"};
  service.loaded.hold[{listen, primary_machine}] = "web primary";
  return service;
}

TEST(Wanted, ARangeMovesAsOneEndpointWhoseFlowsKeepTheirPort) {
  RunningService service = ranged(ports_of(1, 65'535));
  const Wanted result = go(service, Fate::backup);
  EXPECT_EQ(result.rules.target.at(ports_of(1, 65'535)).server, backup_machine);
  const Mapping old{ports_of(1, 65'535), primary_machine};
  EXPECT_EQ(keys_of(result.rules.stale), std::set{old});
  EXPECT_EQ(mappings_of(result.departures, false), std::set{old});
  EXPECT_TRUE(result.moves);
}

TEST(Wanted, OfANarrowerRangeOnlyTheRestDeparts) {
  RunningService service = ranged(ports_of(2'000, 9'000));
  service.config.listen = {ports_of(3'000, 8'999)};
  const Wanted result = go(service, Fate::primary);
  const Mapping below{ports_of(2'000, 2'999), primary_machine}, above{ports_of(9'000, 0), endpoint("198.18.1.2", 9'000)};
  EXPECT_EQ(mappings_of(result.departures, false), (std::set{below, above}));
  EXPECT_EQ(keys_of(result.rules.stale), (std::set{below, above}));
  EXPECT_TRUE(result.rules.hold.empty()) << "the kernel takes no two ranges that overlap";
}

TEST(Wanted, OfAnotherRangeOnAnotherServerEverythingDeparts) {
  RunningService service = ranged(ports_of(2'000, 9'000));
  service.config.listen = {ports_of(3'000, 9'999)};
  const Wanted result = go(service, Fate::backup);
  EXPECT_EQ(mappings_of(result.departures, false), (std::set{Mapping{ports_of(2'000, 9'000), primary_machine}}));
}

TEST(Wanted, WhatIsStaleIsNeverATargetWhateverItsBorders) {
  RunningService service = ranged(ports_of(3'000, 9'999));
  service.departures.push_back({.id = 1, .mappings = {{ports_of(2'000, 9'000), primary_machine}}, .comment = "web primary"});
  EXPECT_EQ(keys_of(go(service, Fate::primary).rules.stale), (std::set{Mapping{ports_of(2'000, 2'999), primary_machine}}));
}

TEST(Wanted, PortsThatAnotherServiceHasTakenDepartNowhere) {
  RunningService service = ranged(ports_of(2'000, 9'000));
  service.taken = {ports_of(1, 4'000), ports_of(8'000, 65'535)};
  const Wanted result = go(service, Fate::removed);
  EXPECT_EQ(mappings_of(result.departures, false), (std::set{Mapping{ports_of(4'001, 7'999), primary_machine}}));
  EXPECT_TRUE(result.rules.hold.empty());
}

TEST(Wanted, AServerWithoutAnAddressOfTheFamilyLeavesThatEndpointWithoutTarget) {
  RunningService service = service_at(Fate::primary);
  const Wanted result = go(service, Fate::backup);
  EXPECT_TRUE(result.rules.known.contains(tcp6));
  EXPECT_FALSE(result.rules.target.contains(tcp6));
  EXPECT_FALSE(result.rules.refused.contains(tcp6));
  EXPECT_TRUE(result.rules.stale.contains({tcp6, primary6})) << "its flows leave with the others";
}

TEST(Wanted, ASourceOfAnotherFamilyIsLeftOut) {
  RunningService service = service_at(Fate::primary);
  service.config.servers[0].snat = {nat::SnatKind::address, address("198.18.1.1")};
  const Wanted result = go(service, Fate::primary);
  EXPECT_TRUE(result.rules.source.contains({tcp4, primary4}));
  EXPECT_FALSE(result.rules.source.contains({tcp6, primary6}));
  service.config.servers[0].snat = {};
  EXPECT_FALSE(go(service, Fate::primary).rules.source.contains({tcp4, primary4})) << "no translation, no element";
}

TEST(Wanted, OnNoneDropAnswersNobody) {
  RunningService service = service_at(Fate::backup);
  service.config.on_none = OnNone::drop;
  const Wanted result = go(service, Fate::none);
  ASSERT_EQ(result.rules.refused.size(), every_vip.size());
  for (const auto& [vip, refused] : result.rules.refused) EXPECT_EQ(refused.refusal, nat::Refusal::drop);
}

const FlowPolicy kept_policy{.fate = FlowFate::keep, .time = {}};
const FlowPolicy a_minute{.fate = FlowFate::drain, .time = 60s};

/// The mappings of the departures that stay a while.
std::set<Mapping> staying(const std::vector<Departure>& departures) {
  std::set<Mapping> all;
  for (const Departure& departure : departures)
    if (departure.drain) all.insert(departure.mappings.begin(), departure.mappings.end());
  return all;
}
const std::set<Mapping> streams_of_the_primary{{tcp4, primary4}, {tcp6, primary6}};
const std::set<Mapping> flows_of_the_primary{{tcp4, primary4}, {tcp6, primary6}, {udp4, primary4}};

TEST(Wanted, AtAFailoverStreamsMayStayButNeverDatagrams) {
  for (const FlowPolicy& policy : {kept_policy, a_minute}) {
    RunningService service = service_at(Fate::primary);
    service.config.on_failover = policy;
    const Wanted result = go(service, Fate::backup);
    ASSERT_EQ(result.departures.size(), 2U);
    EXPECT_EQ(staying(result.departures), streams_of_the_primary);
    EXPECT_EQ(result.departures[1].drain->until, policy == kept_policy ? std::nullopt : std::optional{moment + 60s});
    EXPECT_EQ(keys_of(result.rules.stale), (std::set<Mapping>{{udp4, primary4}})) << "what stays is not stale";
  }
}

TEST(Wanted, AtAPlannedMoveDatagramsMayStayTooApartFromStreams) {
  for (const Why why : {Why::failback, Why::forced}) {
    RunningService service = service_at(Fate::primary);
    service.config.on_failback = service.config.on_forced = a_minute;
    const Wanted result = go(service, Fate::backup, why);
    ASSERT_EQ(result.departures.size(), 2U);
    EXPECT_EQ(staying(result.departures), flows_of_the_primary);
    EXPECT_TRUE(result.rules.stale.empty());
    EXPECT_FALSE(result.departures[0].drain->told) << "clients without a connection are to be told";
    EXPECT_TRUE(result.departures[1].drain->told);
  }
}

TEST(Wanted, WithoutAServerNothingStays) {
  for (const FlowPolicy& policy : {kept_policy, a_minute}) {
    RunningService service = service_at(Fate::primary);
    service.config.on_failover = service.config.on_failback = service.config.on_forced = policy;
    const Wanted result = go(service, Fate::none);
    EXPECT_TRUE(staying(result.departures).empty());
    EXPECT_EQ(keys_of(result.rules.stale), flows_of_the_primary);
  }
}

/// The primary drained its streams, or keeps them, and the backup has the traffic.
RunningService drained_service(const FlowPolicy& policy, Why why) {
  RunningService service = service_at(Fate::primary);
  service.config.on_failover = service.config.on_failback = service.config.on_forced = policy;
  service.servers.resize(2);
  const Wanted flip = go(service, Fate::backup, why);
  service.loaded = flip.rules;
  service.departures = flip.departures;
  std::erase_if(service.departures, [](const Departure& departure) { return !departure.drain; });
  service.departures.front().flip = 7;
  return service;
}

TEST(Wanted, ADrainIsOverAtItsTimeAndNotBefore) {
  RunningService service = drained_service(a_minute, Why::failover);
  const Wanted before = go(service, Fate::backup, Why::failover, moment + 60s - 1ns);
  EXPECT_TRUE(before.ending.empty());
  EXPECT_TRUE(before.departures.empty());
  const Wanted at = go(service, Fate::backup, Why::failover, moment + 60s);
  EXPECT_EQ(as_set(at.ending), streams_of_the_primary);
  ASSERT_EQ(at.departures.size(), 1U);
  EXPECT_FALSE(at.departures[0].drain);
  EXPECT_EQ(at.departures[0].drain_end, DrainEnd::time);
  EXPECT_EQ(at.departures[0].flip, 7U) << "counted with the flip that began it";
  EXPECT_EQ(keys_of(at.rules.stale), streams_of_the_primary) << "stale before they are cut";
  EXPECT_TRUE(go(service, Fate::undecided, Why::failover, moment + 1s).ending.empty());
}

TEST(Wanted, ADrainIsVoidWhenItsServerIsTargetAgainEvenAtItsEnd) {
  RunningService service = drained_service(a_minute, Why::forced);
  service.config.on_failback = {};
  const Wanted back = go(service, Fate::primary, Why::failback, moment + 60s);
  EXPECT_TRUE(back.ending.empty());
  EXPECT_EQ(as_set(back.returning), flows_of_the_primary);
  EXPECT_EQ(keys_of(back.rules.stale), (std::set<Mapping>{{tcp4, backup4}, {udp4, backup4}}));
}

TEST(Wanted, ADrainEndsWithoutATargetAndWithItsServiceAndWithItsListener) {
  for (const FlowPolicy& policy : {kept_policy, a_minute}) {
    RunningService service = drained_service(policy, Why::failover);
    const Wanted none = go(service, Fate::none, Why::failover, moment + 1s);
    EXPECT_EQ(as_set(none.ending), streams_of_the_primary);
    EXPECT_EQ(keys_of(none.rules.stale).size(), 4U) << "the backup's two flows go with them";
    service.config.listen = {tcp4, udp4};
    const Wanted fewer = go(service, Fate::backup, Why::failover, moment + 1s);
    EXPECT_EQ(as_set(fewer.ending), (std::set<Mapping>{{tcp6, primary6}}));
    EXPECT_EQ(fewer.departures.back().drain_end, DrainEnd::given_up);
    EXPECT_EQ(as_set(go(service, Fate::removed, Why::failover, moment + 1s).ending), streams_of_the_primary);
  }
}

/// So many abnormal answers with this reason that the server is down.
void let_fail(RunningServer& server, probes::Reason reason) {
  server.health = Health::down;
  RunningQuestion& question = server.questions.emplace_back(
      RunningQuestion{.question = nullptr, .id = {}, .window = Window{DownRule{}, UpRule{}}, .pace = {}, .last = {}});
  for (int answer = 0; answer < 3; ++answer) question.window.record(probes::Outcome::abnormal, moment);
  question.window.assess({}, moment);
  question.last_abnormal = reason;
}

TEST(Wanted, OfAServerThatAnswersNothingStreamsDoNotDrainAndOfADeadOneNoDatagramStays) {
  for (const bool silent : {false, true})
    for (const FlowPolicy& policy : {kept_policy, a_minute}) {
      const bool streams_stay = !silent || policy == kept_policy; // "keep" is the operator's word
      const auto reason = silent ? probes::Reason::timeout : probes::Reason::refused;
      RunningService service = drained_service(policy, Why::forced);
      let_fail(service.servers[0], reason);
      const Wanted later = go(service, Fate::backup, Why::failover, moment + 1s);
      EXPECT_EQ(as_set(later.ending), streams_stay ? (std::set<Mapping>{{udp4, primary4}}) : flows_of_the_primary);
      RunningService now = service_at(Fate::primary);
      now.config.on_failover = policy;
      now.servers.resize(2);
      let_fail(now.servers[0], reason);
      EXPECT_EQ(staying(go(now, Fate::backup).departures), streams_stay ? streams_of_the_primary : std::set<Mapping>{});
    }
}

TEST(Wanted, EachReasonForAFlipHasItsOwnPolicy) {
  struct Row {
    Why flip_why;
    FlowPolicy Service::*policy;
  };
  for (const Row& row : {Row{Why::failover, &Service::on_failover}, Row{Why::primary_up, &Service::on_failover},
                         Row{Why::failback, &Service::on_failback}, Row{Why::forced, &Service::on_forced}}) {
    for (const FlowPolicy& others : {FlowPolicy{}, kept_policy}) {
      RunningService service = service_at(Fate::backup);
      service.config.on_failover = service.config.on_failback = service.config.on_forced = others;
      service.config.*row.policy = others == kept_policy ? FlowPolicy{} : kept_policy;
      const Wanted result = go(service, Fate::primary, row.flip_why);
      ASSERT_FALSE(result.departures.empty());
      EXPECT_EQ(staying(result.departures).empty(), others == kept_policy) << to_text(row.flip_why);
    }
  }
}

TEST(Wanted, TheFlowsOfARemovedServiceGoInSpiteOfKeep) {
  RunningService service = service_at(Fate::primary);
  service.config.on_failover = service.config.on_failback = service.config.on_forced = kept_policy;
  const Wanted result = go(service, Fate::removed);
  ASSERT_EQ(result.departures.size(), 1U);
  EXPECT_FALSE(result.departures[0].drain);
  EXPECT_EQ(result.rules.stale.size(), 3U);
  EXPECT_TRUE(result.rules.known.empty());
}

TEST(Wanted, AMovedEndpointIsNamedUntilItsTimeAndNotAtIt) {
  RunningService service = service_at(Fate::primary);
  service.moved_until = {{tcp4, moment + 10s}, {udp4, moment + 10s}, {tcp6, moment + 20s}};
  EXPECT_EQ(go(service, Fate::primary).rules.moved.size(), 2U) << "only TCP has an invalid state to look for";
  EXPECT_EQ(go(service, Fate::primary, Why::failover, moment + 10s).rules.moved, (std::map<Vip, std::string>{{tcp6, "web"}}));
  EXPECT_TRUE(go(service, Fate::primary, Why::failover, moment + 20s).rules.moved.empty());
}

TEST(Wanted, AnUnfinishedDepartureKeepsItsStaleKeys) {
  RunningService service = service_at(Fate::backup);
  service.departures.push_back({.mappings = {{tcp4, primary4}, {udp4, primary4}}, .comment = "web primary"});
  service.departures.push_back({.mappings = {{tcp6, {tcp6.address, tcp6.port}}}, .comment = "web", .untranslated = true});
  const Wanted result = go(service, Fate::backup);
  EXPECT_EQ(result.rules.stale, (std::map<Mapping, std::string>{{{tcp4, primary4}, "web primary"}, {{udp4, primary4}, "web primary"}}))
      << "flows that never were translated have no key";
  EXPECT_TRUE(result.departures.empty());
}

TEST(Wanted, AServerThatReturnsIsNotStaleInTheSameChange) {
  RunningService service = service_at(Fate::backup);
  service.departures.push_back({.mappings = {{tcp4, primary4}, {udp4, primary4}, {tcp6, primary6}}, .comment = "web primary"});
  const Wanted result = go(service, Fate::primary, Why::failback);
  EXPECT_EQ(keys_of(result.rules.stale), (std::set<Mapping>{{tcp4, backup4}, {udp4, backup4}}));
  EXPECT_EQ(as_set(result.returning), (std::set<Mapping>{{tcp4, primary4}, {udp4, primary4}, {tcp6, primary6}}));
}

TEST(Wanted, AnEndpointThatIsNoLongerListenedOnLeavesAlone) {
  RunningService service = service_at(Fate::primary);
  service.config.listen = {tcp4, udp4};
  const Wanted result = go(service, Fate::primary);
  EXPECT_EQ(mappings_of(result.departures, false), (std::set<Mapping>{{tcp6, primary6}}));
  EXPECT_TRUE(result.rules.moved.empty()) << "not in the flip itself";
  EXPECT_FALSE(result.rules.known.contains(tcp6));
  EXPECT_FALSE(result.moves) << "no endpoint that stays went anywhere";
}

TEST(Wanted, AServerThatGetsAnotherAddressIsAnotherServer) {
  RunningService service = service_at(Fate::primary);
  service.config.servers[0].addresses[0] = endpoint("198.18.1.9", 8443);
  const Wanted result = go(service, Fate::primary);
  EXPECT_EQ(mappings_of(result.departures, false), (std::set<Mapping>{{tcp4, primary4}, {udp4, primary4}}));
  EXPECT_TRUE(result.moves);
}

TEST(Wanted, AServerThatOnlyGetsAnotherNameKeepsItsFlows) {
  RunningService service = service_at(Fate::primary);
  service.config.servers[0].role = "backup2";
  const Wanted result = go(service, Fate::primary);
  EXPECT_TRUE(result.departures.empty());
  EXPECT_FALSE(result.moves);
  EXPECT_EQ(result.rules.target.at(tcp4).comment, "web backup2");
}

TEST(Wanted, TargetsOfSeveralServersLeaveByServer) {
  RunningService service = service_at(Fate::primary);
  service.loaded.target[udp4] = {backup4, "web backup"};
  const Wanted result = go(service, Fate::none);
  ASSERT_EQ(result.departures.size(), 2U);
  EXPECT_EQ(result.departures[0].comment, "web backup");
  EXPECT_EQ(as_set(result.departures[0].mappings), (std::set<Mapping>{{udp4, backup4}}));
  EXPECT_EQ(result.departures[1].comment, "web primary");
  EXPECT_EQ(as_set(result.departures[1].mappings), (std::set<Mapping>{{tcp4, primary4}, {tcp6, primary6}}));
}

/// What the gateway does once the kernel has taken a change.
void apply(RunningService& service, const Wanted& change, Time when) {
  for (Departure& old : service.departures)
    std::erase_if(old.mappings, [&](const Mapping& mapping) {
      return std::ranges::count(change.returning, mapping) + std::ranges::count(change.ending, mapping) != 0;
    });
  std::erase_if(service.departures, [](const Departure& departure) { return departure.mappings.empty(); });
  for (const Departure& departure : change.departures) {
    service.departures.push_back(departure);
    if (departure.untranslated || departure.drain) continue;
    for (const Mapping& mapping : departure.mappings) service.moved_until[mapping.vip] = when + moved_for;
  }
  service.loaded = change.rules;
}

/// What holds for every wanted state, however it came about.
void expect_sane(const Wanted& result) {
  const nat::Rules& rules = result.rules;
  for (const auto& [mapping, comment] : rules.stale) {
    const auto target = rules.target.find(mapping.vip);
    EXPECT_FALSE(target != rules.target.end() && target->second.server == mapping.server) << "stale, and target: " << comment;
    EXPECT_NE(mapping, untranslated(mapping.vip));
  }
  for (const auto& [vip, target] : rules.target) {
    EXPECT_TRUE(rules.known.contains(vip));
    EXPECT_FALSE(rules.refused.contains(vip));
    EXPECT_EQ(vip.address.family(), target.server.address.family());
    EXPECT_NE(target.server.port, 0);
  }
  for (const auto& [vip, refused] : rules.refused) EXPECT_TRUE(rules.known.contains(vip));
  for (const auto& [vip, comment] : rules.moved) EXPECT_EQ(vip.protocol, Protocol::tcp);
}

TEST(Wanted, WhatMovedIsLoadedRightAfterTheFlip) {
  RunningService service = service_at(Fate::primary);
  apply(service, go(service, Fate::backup), moment);
  const Wanted rest = go(service, Fate::backup);
  EXPECT_EQ(rest.rules.moved, (std::map<Vip, std::string>{{tcp4, "web"}, {tcp6, "web"}}));
  EXPECT_EQ(rest.rules.stale, service.loaded.stale);
  EXPECT_TRUE(rest.departures.empty());
  EXPECT_FALSE(rest.moves);
}

/// The primary has the traffic, and this is known of the servers.
RunningService watched(Health primary, Health backup) {
  RunningService service = service_at(Fate::primary);
  service.servers.resize(2);
  service.servers[0].health = primary;
  service.servers[1].health = backup;
  return service;
}
const std::map<Mapping, std::string> hold_of_the_primary{{{tcp4, primary4}, "web primary"}};
const std::map<Mapping, std::string> hold_of_the_backup{{{tcp4, backup4}, "web backup"}};

TEST(Wanted, ARefusalIsHeldWhereAnotherServerMayDo) {
  for (const Health primary : {Health::unknown, Health::up, Health::down})
    for (const Health backup : {Health::unknown, Health::up}) {
      RunningService service = watched(primary, backup);
      EXPECT_EQ(go(service, Fate::primary).rules.hold, hold_of_the_primary) << "of TCP only; of IPv6 the backup has no address";
      EXPECT_EQ(go(service, Fate::undecided).rules.hold, hold_of_the_primary) << "adopted";
    }
  RunningService alone = watched(Health::up, Health::down);
  EXPECT_TRUE(go(alone, Fate::primary).rules.hold.empty());
  RunningService grouped = watched(Health::up, Health::up);
  grouped.servers[1].elsewhere.health = Health::down;
  EXPECT_TRUE(go(grouped, Fate::primary).rules.hold.empty()) << "the backup would not do for the whole group";
}

TEST(Wanted, NothingIsHeldWhereItIsOffOrAnOperatorPinsTheTarget) {
  RunningService off = watched(Health::up, Health::up);
  off.config.hold = false;
  EXPECT_TRUE(go(off, Fate::primary).rules.hold.empty());
  RunningService pinned = watched(Health::up, Health::up);
  pinned.force.emplace();
  EXPECT_TRUE(go(pinned, Fate::primary).rules.hold.empty());
}

TEST(Wanted, TheHoldFollowsRightBehindTheFlip) {
  RunningService service = watched(Health::down, Health::up);
  service.loaded.hold = hold_of_the_primary;
  Wanted flip = go(service, Fate::backup);
  EXPECT_EQ(flip.rules.hold, hold_of_the_primary) << "not in the flip itself";
  service.loaded = flip.rules;
  EXPECT_TRUE(go(service, Fate::backup).rules.hold.empty()) << "the primary is down: nobody else would do";
  service.servers[0].health = Health::unknown;
  EXPECT_EQ(go(service, Fate::backup).rules.hold, hold_of_the_backup);
  service.loaded.hold = hold_of_the_backup;
  flip = go(service, Fate::removed);
  service.servers.clear();
  service.loaded = flip.rules;
  EXPECT_TRUE(go(service, Fate::removed).rules.hold.empty());
}

TEST(Wanted, HoldsItsPromisesOverRandomLives) {
  for (unsigned seed = 0; seed < 700 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 dice{seed};
    const auto pick = [&](int number) { return std::uniform_int_distribution{0, number - 1}(dice); };
    RunningService service = service_at(Fate::removed);
    Time when = moment;
    for (int step = 0; step < 12; ++step) {
      when += pick(40) * 1s;
      service.config = web(); // a service that was removed may be configured anew
      service.removed = false;
      service.config.on_none = pick(2) == 0 ? OnNone::refuse : OnNone::drop;
      for (FlowPolicy* policy : {&service.config.on_failover, &service.config.on_failback, &service.config.on_forced})
        *policy = std::array{FlowPolicy{}, a_minute, kept_policy}.at(static_cast<std::size_t>(pick(3)));
      if (!service.departures.empty() && pick(3) == 0) service.departures.erase(service.departures.begin()); // its cut is done
      const Fate fate = fates.at(static_cast<std::size_t>(pick(5)));
      const Why flip_why = std::array{Why::failover, Why::failback, Why::forced}.at(static_cast<std::size_t>(pick(3)));
      const auto old_targets = service.loaded.target;
      const Wanted change = go(service, fate, flip_why, when);
      expect_sane(change);
      const Moves moves = moves_between(old_targets, change.rules.target);
      std::set<Mapping> going = moves.leaving;
      going.insert(change.ending.begin(), change.ending.end());
      EXPECT_EQ(mappings_of(change.departures, false), going);
      EXPECT_EQ(as_set(change.returning), moves.arriving);
      apply(service, change, when);
      for (const Departure& departure : service.departures)
        for (const Mapping& mapping : departure.mappings)
          EXPECT_EQ(change.rules.stale.contains(mapping), !departure.drain && !departure.untranslated);
      const Wanted again = go(service, fate, flip_why, when);
      nat::Rules without_rest = again.rules; // a flip leaves `moved` to the next look
      std::erase_if(without_rest.moved, [&](const auto& entry) { return !change.rules.moved.contains(entry.first); });
      EXPECT_TRUE(without_rest == change.rules);
      EXPECT_TRUE(again.departures.empty());
      EXPECT_TRUE(again.returning.empty());
      EXPECT_TRUE(again.ending.empty());
      EXPECT_FALSE(again.moves);
    }
  }
}

TEST(Wanted, NothingIsLeftOfARemovedServiceWhenItsFlowsAreGone) {
  RunningService service = service_at(Fate::primary);
  apply(service, go(service, Fate::removed), moment);
  EXPECT_FALSE(go(service, Fate::removed, Why::failover, moment + 1s).rules.empty());
  service.departures.clear();
  EXPECT_FALSE(go(service, Fate::removed, Why::failover, moment + moved_for - 1ns).rules.empty()) << "leftovers are answered for a minute";
  EXPECT_TRUE(go(service, Fate::removed, Why::failover, moment + moved_for).rules.empty());
}

TEST(Frozen, KeepsWhateverIsLoadedExceptWhatIsHeld) {
  for (const Fate fate : {Fate::primary, Fate::backup, Fate::none}) {
    SCOPED_TRACE(word(fate));
    RunningService service = service_at(fate);
    service.loaded.hold[{tcp4, primary4}] = "web primary";
    service.servers.resize(2);
    for (RunningServer& server : service.servers) server.health = Health::down;
    const Wanted stays = frozen(service, moment);
    EXPECT_EQ(stays.rules, settled(fate));
    EXPECT_TRUE(stays.departures.empty());
    EXPECT_TRUE(stays.returning.empty());
    EXPECT_FALSE(stays.moves);
  }
}

TEST(Frozen, LoadsNothingWhereNothingIs) {
  RunningService service;
  service.config = web();
  EXPECT_TRUE(frozen(service, moment).rules.empty());
}

TEST(Frozen, FlowsOfAnEarlierFlipGoToTheirEnd) {
  RunningService service = service_at(Fate::primary);
  apply(service, go(service, Fate::backup), moment);
  const nat::Rules flipped = service.loaded;
  ASSERT_FALSE(flipped.stale.empty());
  EXPECT_EQ(frozen(service, moment).rules.stale, flipped.stale);
  EXPECT_FALSE(frozen(service, moment).rules.moved.empty());
  service.departures.clear(); // cut
  EXPECT_TRUE(frozen(service, moment).rules.stale.empty());
  EXPECT_EQ(frozen(service, moment + moved_for).rules, settled(Fate::backup));
}

TEST(Frozen, AnEndpointThatIsNotListenedOnAnyMoreIsGivenUp) {
  RunningService service = service_at(Fate::primary);
  service.config.listen = {tcp4, tcp6};
  const Wanted change = frozen(service, moment);
  EXPECT_FALSE(change.rules.known.contains(udp4));
  EXPECT_FALSE(change.rules.target.contains(udp4));
  EXPECT_FALSE(change.rules.source.contains({udp4, primary4}));
  ASSERT_EQ(change.departures.size(), 1U);
  EXPECT_EQ(change.departures[0].mappings, (std::vector{Mapping{udp4, primary4}}));
  EXPECT_TRUE(change.rules.target.contains(tcp4));
}

TEST(Wanted, IsPure) {
  const RunningService service = service_at(Fate::primary);
  for (const Fate fate : fates)
    EXPECT_EQ(wanted(service, decision_for(fate), moment).rules, wanted(service, decision_for(fate), moment).rules);
  EXPECT_EQ(service.loaded, settled(Fate::primary));
}

} // namespace
} // namespace hanat
