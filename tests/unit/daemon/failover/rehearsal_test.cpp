// A plan is what the reload then does: names, keys, probes, moves of traffic and flows, for a thousand random edits. Not here: how a reload
// works (reload_test), which keys there are (config/key_values_test).
#include "daemon/failover/rehearsal.hpp"

#include <random>
#include <tuple>

#include "daemon/config/key_values.hpp"
#include "daemon/config/probe_targets.hpp"
#include "daemon/failover/overrides.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

using Moves = std::multiset<std::tuple<std::string, std::string, std::string, std::string>>; // service, from, to, why
using OldFlows = std::set<std::tuple<std::string, std::string, std::string, bool>>;          // service, flows, server, at once

class RehearsalTest : public ReloadTest {
protected:
  std::mt19937 random;
  Config config;

  unsigned below(unsigned bound) { return static_cast<unsigned>(random() % bound); }
  bool chance(unsigned percent) { return below(100) < percent; }

  static ServiceConfig any_service(const std::string& name, std::uint16_t port) {
    ServiceConfig service = probed(small_service(name, port));
    service.on_forced = ServiceConfig{}.on_forced;
    return service;
  }

  void edit_servers(ServiceConfig& service) {
    switch (below(6)) {
    case 0:
    case 5: std::swap(service.servers[0].addresses, service.servers[1].addresses); break;
    case 1: service.servers[below(2)].addresses = {endpoint(chance(50) ? "198.18.3.2" : "198.18.4.2", 0)}; break;
    case 2:
      if (service.servers.size() == 2)
        service.servers.push_back(
            {.role = "backup2", .addresses = {endpoint("198.18.5.2", 0)}, .snat = {}, .probes = service.servers[0].probes});
      else
        service.servers.pop_back();
      break;
    case 3: service.servers[below(2)].snat.kind = chance(50) ? nat::SnatKind::masquerade : nat::SnatKind::none; break;
    default:
      for (ServerConfig& server : service.servers) server.probes[0].timeout = 100ms * (1 + below(3));
    }
  }
  void edit_service(ServiceConfig& service) {
    switch (below(8)) {
    case 0: service.down.fails = 1 + below(4); break;
    case 1: service.up.passes = 1 + below(4); break;
    case 2: service.on_forced = chance(50) ? FlowPolicy{} : a_minute; break;
    case 3: service.on_failover = chance(50) ? FlowPolicy{} : a_minute; break;
    case 4: service.on_none = chance(50) ? OnNone::refuse : OnNone::keep; break;
    case 5: service.failback.automatic = chance(50); break;
    default: edit_servers(service);
    }
  }
  /// Endpoints change hands; services come, go, and join a group.
  void edit() {
    static constexpr std::array names{"one", "two", "three", "four"};
    auto& services = config.services;
    switch (below(7)) {
    case 0:
      if (!services.empty()) services.erase(services.begin() + below(static_cast<unsigned>(services.size())));
      break;
    case 1: {
      const std::string name = names.at(below(4));
      const auto port = static_cast<std::uint16_t>(1 + below(6));
      const auto has = [&](const ServiceConfig& one) { return one.name == name || one.listen.front().port == port; };
      if (std::ranges::none_of(services, has)) services.push_back(any_service(name, port));
      break;
    }
    case 2:
      if (services.size() > 1) std::swap(services[0].edit().listen, services[1].edit().listen);
      break;
    case 4:
      for (Shared<ServiceConfig>& service : services) service.edit().group = service->group.empty() && chance(50) ? "g" : "";
      break;
    case 3: config.reconcile = std::chrono::seconds{30 + below(3)}; break;
    default:
      if (!services.empty()) edit_service(services[below(static_cast<unsigned>(services.size()))].edit());
    }
  }
  /// As read_group has it: the services of a group have the same number of servers, and other keys alike.
  void check_groups() {
    const ServiceConfig* first = nullptr;
    for (Shared<ServiceConfig>& shared : config.services) {
      if (shared->group.empty()) continue;
      ServiceConfig& service = shared.edit();
      if (first == nullptr) first = &service;
      if (service.servers.size() != first->servers.size()) service.group.clear();
      service.on_none = first->on_none;
      service.failback = first->failback;
    }
  }
  void between_reloads() {
    for (const auto& one : registry.services()) {
      if (one->removed) continue;
      for (std::size_t server = 0; server < one->servers.size(); ++server)
        if (chance(60)) judge(*one, server, chance(80) ? probes::Outcome::pass : probes::Outcome::fail);
      if (chance(60)) judge_new(*one);
      ServiceState* self = one.get(); // an operator forces a group as a whole
      const unsigned server = below(static_cast<unsigned>(configured_servers(*one).size()));
      const bool begins = chance(35), ends = chance(20);
      for (ServiceState* member : registry.group_of(self)) {
        if (begins)
          begin_override(*member, {.server = server, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root"}, registry,
                         outbox);
        if (ends) end_override(*member, "root", registry, outbox);
      }
    }
    now += std::chrono::milliseconds{below(20'000)};
    const auto is_pending = [](const auto& one) { return one->force && !one->shadow && one->current != std::optional{one->force->server}; };
    for (int turn = 0; turn < 3 || (turn < 30 && std::ranges::any_of(registry.services(), is_pending)); ++turn) {
      if (turn >= 3) now += std::chrono::seconds{1}; // a move that waits for the end of a cut is no reload's
      run_until_idle();
      while (run()) finish();
      run_until_idle();
    }
    outbox = {};
  }

  /// New probes of each server pass, or fail for ever.
  void judge_new(ServiceState& one) {
    for (std::size_t server = 0; server < one.servers.size(); ++server) {
      const bool pass = chance(50);
      for (int times = 0; times < 3 && one.servers[server].new_probes; ++times)
        health.on_probe_result(one.servers[server].new_probes->probes.back().id,
                               {.outcome = pass ? probes::Outcome::pass : probes::Outcome::fail,
                                .reason = pass ? probes::Reason::connected : probes::Reason::refused,
                                .latency = {},
                                .detail = {}},
                               now);
    }
  }

  /// Verdicts and targets that stand until something new has shown that it works.
  void check_held(const ReloadPlan& plan) {
    for (const ServicePlan& change : plan.changes) {
      const ServiceState* one = registry.find(change.service);
      if (one == nullptr || change.change == "moved") continue;
      Names held;
      for (const ServerState& server : one->servers)
        if (server.new_probes) held.push_back(server.role);
      EXPECT_EQ(held, change.held);
      if (!one->config->group.empty()) continue; // one that is configured may be a former target, too
      const bool serves_on = former_of(*one) && one->current == former_of(*one);
      EXPECT_EQ(serves_on ? to_text(one->servers.back().addresses.front()) : "", change.serves_on);
      holds += held.size();
      formers += serves_on ? 1 : 0;
    }
  }

  std::size_t holds = 0, formers = 0, firsts = 0;

  std::set<probes::ProbeId> probe_ids() const {
    std::set<probes::ProbeId> ids;
    for (const auto& [id, scheduled] : scheduler.scheduled) ids.insert(id);
    return ids;
  }
  static Moves moves_of(const ReloadPlan& plan) {
    Moves moves;
    for (const ServicePlan& change : plan.changes)
      if (change.move) moves.emplace(change.service, change.move->from, change.move->to, change.move->why);
    return moves;
  }
  static std::set<std::pair<std::string, std::string>> take_overs_of(const ReloadPlan& plan) {
    std::set<std::pair<std::string, std::string>> all;
    for (const ServicePlan& change : plan.changes)
      if (change.take_over) all.emplace(change.service, change.take_over->target);
    return all;
  }
  static OldFlows flows_of(const ReloadPlan& plan) {
    OldFlows all;
    for (const ServicePlan& change : plan.changes)
      for (const FlowsPlan& flows : change.flows) all.emplace(change.service, flows.flows, flows.server, flows.action == "reset");
    return all;
  }
  /// What the table is given right behind the reload.
  void check_turn(const ReloadPlan& plan) {
    OldFlows flows;
    registry.run_due(now);
    const std::size_t events_before = outbox.events.size();
    for (Change& change : decide_dirty(registry, evictions, outbox, now)) {
      for (const Eviction& eviction : change.plan.evictions)
        if (!eviction.untranslated && !eviction.drain_end && !eviction.mappings.empty())
          flows.emplace(change.service->config->name, eviction.comment, to_text(eviction.mappings.front().server), !eviction.drain);
      applied(change);
    }
    registry.take_dirty();
    Moves moves;
    std::set<std::pair<std::string, std::string>> first;
    for (std::size_t index = events_before; index < outbox.events.size(); ++index) {
      const Event& event = outbox.events[index];
      if (const auto* flip = std::get_if<events::Flipped>(&event.what))
        moves.emplace(event.service, flip->flip.from, flip->flip.to, flip->flip.why);
      if (const auto* target = std::get_if<events::FirstTarget>(&event.what))
        first.emplace(event.service, target->to ? target->to->role : "none");
    }
    EXPECT_EQ(moves, moves_of(plan));
    EXPECT_EQ(first, take_overs_of(plan));
    firsts += first.size();
    EXPECT_EQ(flows, flows_of(plan));
    for (const auto& one : registry.services()) registry.mark_dirty(*one);
  }
  void check_probes(const ReloadPlan& plan, const std::set<probes::ProbeId>& before) {
    const std::set<probes::ProbeId> after = probe_ids();
    std::uint64_t started = 0, ended = 0;
    for (const ServicePlan& change : plan.changes) {
      started += change.probes.started;
      ended += change.probes.ended;
    }
    const auto really = static_cast<std::uint64_t>(std::ranges::count_if(after, [&](auto id) { return !before.contains(id); }));
    const bool serves_on = std::ranges::any_of(plan.changes, [](const ServicePlan& change) { return !change.serves_on.empty(); });
    if (serves_on)
      EXPECT_LE(started, really) << "the others of its group probe a former target, too";
    else
      EXPECT_EQ(started, really);
    EXPECT_EQ(ended, static_cast<std::uint64_t>(std::ranges::count_if(before, [&](auto id) { return !after.contains(id); })));
  }
  static void check_names(const ReloadPlan& plan, const Reloaded& done) {
    const auto named = [&](const char* change) {
      Names names;
      for (const ServicePlan& one : plan.changes)
        if (one.change == change) names.push_back(one.service);
      return names;
    };
    EXPECT_EQ(named("added"), done.added);
    EXPECT_EQ(named("changed"), done.changed);
    EXPECT_EQ(named("removed"), done.removed);
    Names settings;
    for (const KeyChange& key : plan.settings) settings.push_back(key.key);
    EXPECT_EQ(settings, done.settings);
  }
};

TEST_F(RehearsalTest, IsWhatTheReloadThenDoesForAThousandRandomEdits) {
  std::size_t moved = 0, drained = 0, changed = 0;
  for (unsigned number = 0; number < 1'000 && !HasFailure(); ++number) {
    random.seed(number);
    between_reloads();
    for (unsigned edits = 1 + below(3); edits > 0; --edits) edit();
    check_groups();
    const Services* const same = &registry.services();
    const std::set<probes::ProbeId> before = probe_ids();
    const std::size_t slice = number % 2 == 0 ? 1 : 64; // divided as far as it can be, or hardly
    const ReloadPlan plan = reload.plan(config, now, slice);
    ASSERT_EQ(reload.plan(config, now, slice), plan) << "it changes nothing";
    EXPECT_EQ(&registry.services(), same);
    EXPECT_EQ(probe_ids(), before);
    const Reloaded done = reload.apply(config, now, slice);
    check_names(plan, done);
    check_probes(plan, before);
    check_held(plan);
    check_turn(plan);
    moved += moves_of(plan).size();
    drained += static_cast<std::size_t>(std::ranges::count_if(flows_of(plan), [](const auto& flows) { return !std::get<3>(flows); }));
    changed += plan.changes.size();
    if (HasFailure()) ADD_FAILURE() << "edit " << number;
  }
  EXPECT_GT(changed, 600U);
  EXPECT_GT(holds, 50U);
  EXPECT_GE(formers, 3U);
  EXPECT_GT(moved, 20U);
  EXPECT_GT(drained, 1U);
  EXPECT_GT(firsts, 1U);
}

TEST_F(RehearsalTest, OfTheSameConfigurationIsEmpty) {
  start({any_service("web", 443)});
  config.services = {any_service("web", 443)};
  const ReloadPlan plan = reload.plan(config, now);
  EXPECT_EQ(plan.services, 1U);
  EXPECT_TRUE(plan.changes.empty());
  EXPECT_TRUE(plan.warnings.empty());
}

TEST_F(RehearsalTest, NamesKeysProbesMovesAndWarnings) {
  start({any_service("web", 443)});
  judge(service("web"), 0, probes::Outcome::pass);
  judge(service("web"), 1, probes::Outcome::pass);
  run_until_idle();
  begin_override(service("web"), {.server = 1, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root"}, registry, outbox);
  run_until_idle();
  outbox = {};
  config.services = {any_service("web", 443)};
  ServiceConfig& edited = config.services[0].edit();
  edited.down.fails = 2;
  edited.on_forced = a_minute;
  edited.servers.pop_back();
  const ReloadPlan plan = reload.plan(config, now);
  ASSERT_EQ(plan.changes.size(), 1U);
  const ServicePlan& web = plan.changes[0];
  EXPECT_EQ(web.change, "changed");
  EXPECT_EQ(web.probes, (ProbesPlan{.kept = 2, .started = 0, .ended = 0})) << "until the traffic has left the backup";
  EXPECT_NE(std::ranges::find(web.keys, KeyChange{.key = "down", .before = "3 in 10s", .after = "2 in 10s"}), web.keys.end());
  EXPECT_NE(std::ranges::find(web.keys, "backup", &KeyChange::key), web.keys.end());
  ASSERT_TRUE(web.move);
  EXPECT_EQ(web.move->to, "primary");
  EXPECT_FALSE(web.flows.empty());
  EXPECT_TRUE(std::ranges::any_of(plan.warnings, [](const std::string& text) {
    return text.find("override to backup (198.18.2.2) by root is dropped") != std::string::npos;
  }));

  evictions.set_silent(true);
  const ReloadPlan standby = reload.plan(config, now);
  ASSERT_EQ(standby.changes.size(), 1U);
  EXPECT_TRUE(standby.changes[0].flows.empty()) << "they are the active gateway's";
  EXPECT_TRUE(
      std::ranges::any_of(standby.warnings, [](const std::string& text) { return text.find("is the standby") != std::string::npos; }));
}

/// A service that nothing is loaded for begins with nobody's traffic: that is no move, and the greatest change of all.
TEST_F(RehearsalTest, OfTheEndOfModeObserveSaysWhereTheTrafficBegins) {
  ServiceConfig web = any_service("web", 443);
  web.mode = Mode::observe;
  start({web});
  run_until_idle();
  config.services = {web};
  config.services[0].edit().mode = Mode::automatic;
  const auto take_over = [&] {
    const ReloadPlan plan = reload.plan(config, now);
    EXPECT_EQ(plan.changes.size(), 1U);
    EXPECT_FALSE(plan.changes.at(0).move || plan.changes.at(0).observed);
    return plan.changes.at(0).take_over.value_or(TakeOverPlan{});
  };
  EXPECT_EQ(take_over(), (TakeOverPlan{.target = "none", .address = "", .why = "starting"}));
  judge(service("web"), 0, probes::Outcome::fail);
  judge(service("web"), 1, probes::Outcome::fail);
  EXPECT_EQ(take_over(), (TakeOverPlan{.target = "none", .address = "", .why = "no-server-up"}));
  judge(service("web"), 1, probes::Outcome::pass);
  now += 1min;
  judge(service("web"), 1, probes::Outcome::pass);
  EXPECT_EQ(take_over(), (TakeOverPlan{.target = "backup", .address = "198.18.2.2", .why = "failover"}));
  judge(service("web"), 0, probes::Outcome::pass);
  now += 1min;
  judge(service("web"), 0, probes::Outcome::pass);
  EXPECT_EQ(take_over(), (TakeOverPlan{.target = "primary", .address = "198.18.1.2", .why = "primary-up"}));

  reload.apply(config, now);
  run_until_idle();
  config.services[0].edit().mode = Mode::observe;
  const ReloadPlan back = reload.plan(config, now);
  ASSERT_EQ(back.changes.size(), 1U);
  EXPECT_TRUE(back.changes[0].observed);
  EXPECT_FALSE(back.changes[0].move || back.changes[0].take_over);

  reload.apply(config, now); // what is loaded stays
  run_until_idle();
  config.services[0].edit().mode = Mode::automatic;
  EXPECT_EQ(take_over().target, "primary") << "it goes on there, by hanatd's decisions again";
}

TEST_F(RehearsalTest, OfTheRemovalOfAnObservedServiceTellsOfNoTakeOver) {
  ServiceConfig web = any_service("web", 443);
  web.mode = Mode::observe;
  start({web});
  run_until_idle();
  const auto expect_removal = [&] {
    const ReloadPlan plan = reload.plan({}, now);
    ASSERT_EQ(plan.changes.size(), 1U);
    EXPECT_EQ(plan.changes[0].change, "removed");
    EXPECT_FALSE(plan.changes[0].take_over);
  };
  expect_removal();
  judge(service("web"), 0, probes::Outcome::pass);
  now += 1min;
  judge(service("web"), 0, probes::Outcome::pass);
  expect_removal();
}

} // namespace
} // namespace hanat::test
