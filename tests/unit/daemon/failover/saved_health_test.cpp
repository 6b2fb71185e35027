// What a restart makes of verdicts, windows and penalties of before. Not here: their file (state/health_file_test), the daemon itself
// (netns/daemon/restart_test).
#include "daemon/failover/saved_health.hpp"

#include <memory>

#include <gmock/gmock.h>

#include "daemon/failover/overrides.hpp"
#include "tests/unit/daemon/failover/reload_fixture.hpp"

namespace hanat::test {
namespace {

using testing::HasSubstr;

/// One run of hanatd.
class OneRun final : public ReloadTest {
public:
  using Flows::evictions, Flows::now, Flows::outbox, Flows::registry;
  using ReloadTest::health, ReloadTest::judge, ReloadTest::run_until_idle, ReloadTest::service, ReloadTest::start;
  void TestBody() override {}
};

class RestartTest : public testing::Test {
protected:
  Time now{5'000s};
  WallTime wall{std::chrono::milliseconds{1'769'853'600'000}};
  std::string boot = "one";
  std::vector<ServiceConfig> services{probed(web())};
  std::unique_ptr<OneRun> run = std::make_unique<OneRun>();

  static ServiceConfig probed(ServiceConfig config) {
    for (ServerConfig& server : config.servers) server.probes = {probes::ProbeSpec{}};
    return config;
  }
  ServiceState& web_service() { return run->service("web"); }
  ServerState& primary() { return web_service().servers[0]; }
  ServerState& backup() { return web_service().servers[1]; }

  void SetUp() override {
    run->now = now;
    run->start(services);
    judge(0, probes::Outcome::pass);
    judge(1, probes::Outcome::pass);
  }
  void judge(std::size_t server, probes::Outcome outcome) {
    run->judge(web_service(), server, outcome);
    run->run_until_idle();
  }
  /// One result of each of a server's probes.
  void result(std::size_t server, probes::Outcome outcome) {
    const auto reason = outcome == probes::Outcome::pass ? probes::Reason::connected : probes::Reason::refused;
    for (const ProbeState& probe : web_service().servers[server].probes)
      run->health.on_probe_result(probe.id, {.outcome = outcome, .reason = reason, .latency = {}, .detail = {}}, now);
    run->run_until_idle();
  }
  void pass_time(Clock::duration time) {
    run->now = now += time;
    wall += std::chrono::duration_cast<std::chrono::milliseconds>(time);
  }
  EarlierRun saved() const {
    EarlierRun earlier{.health = {}, .boot = {}, .wall = {}, .targets = {}};
    earlier.health.stamp = {.boot = boot, .wall = wall, .steady = now};
    for (const auto& service : run->registry.services()) earlier.health.services[service->config->name] = saved_health(*service);
    return earlier;
  }
  /// The kernel keeps what is loaded.
  void start_after(Clock::duration pause, EarlierRun earlier) {
    const nat::TableState loaded = web_service().loaded;
    pass_time(pause);
    earlier.boot = boot;
    earlier.wall = wall;
    auto next = std::make_unique<OneRun>();
    next->now = now;
    next->start(services, loaded, {}, earlier);
    run = std::move(next);
  }
  void restart(Clock::duration pause = 2s) {
    start_after(pause, saved());
    run->run_until_idle();
  }
  static std::set<Mapping> flows_of(const std::vector<SavedDrain>& drains) {
    std::set<Mapping> flows;
    for (const SavedDrain& drain : drains) flows.insert(drain.flows.begin(), drain.flows.end());
    return flows;
  }
  std::string last_message() const {
    for (auto event = run->outbox.events.rbegin(); event != run->outbox.events.rend(); ++event)
      if (const auto* message = std::get_if<events::Message>(&event->what)) return message->text;
    return {};
  }
};

TEST_F(RestartTest, TargetSinceAndVerdictsAreWhatTheyWere) {
  judge(0, probes::Outcome::fail);
  ASSERT_EQ(target_name(web_service()), "backup");
  web_service().since = wall - std::chrono::hours{3};
  restart();
  EXPECT_EQ(target_name(web_service()), "backup");
  EXPECT_EQ(web_service().reason, Reason::failover);
  EXPECT_EQ(web_service().since, wall - 2s - std::chrono::hours{3});
  EXPECT_EQ(primary().health, Health::down);
  EXPECT_EQ(backup().health, Health::up);
  EXPECT_EQ(web_service().flips, 0U);
  EXPECT_EQ(events_of(run->outbox, said::is_down), 0U) << "it was told before";
  EXPECT_THAT(last_message(), HasSubstr("the verdicts of 2.0 s ago go on for 1 service;"));
  EXPECT_EQ(primary().probes[0].last->reason, probes::Reason::refused);
  EXPECT_EQ(primary().probes[0].last_at, now - 2s);
  EXPECT_EQ(primary().probes[0].last_failure, probes::Reason::refused);
}

TEST_F(RestartTest, WhatIsSavedAfterwardsIsTheSame) {
  judge(0, probes::Outcome::fail);
  const EarlierRun before = saved();
  start_after(0s, before);
  run->run_until_idle();
  EXPECT_EQ(saved().health.services, before.health.services);
}

TEST_F(RestartTest, AFailureWindowGoesOn) {
  result(0, probes::Outcome::fail);
  pass_time(2s);
  result(0, probes::Outcome::fail);
  restart();
  EXPECT_EQ(primary().health, Health::up);
  EXPECT_EQ(primary().probes[0].window.fails(now), 2U);
  EXPECT_TRUE(primary().probes[0].window.in_burst()) << "it is probed at once, and fast";
  result(0, probes::Outcome::fail);
  EXPECT_EQ(primary().health, Health::down);
  EXPECT_EQ(target_name(web_service()), "backup") << "which was up, and is better than none";
}

TEST_F(RestartTest, FailsThatAreTooOldByNowDoNotCount) {
  result(0, probes::Outcome::fail);
  result(0, probes::Outcome::fail);
  restart(web().down.within);
  result(0, probes::Outcome::fail);
  EXPECT_EQ(primary().health, Health::up);
  EXPECT_EQ(target_name(web_service()), "primary");
}

TEST_F(RestartTest, AServerThatIsRecoveringGoesOnAndTimeInWhichNobodyLookedDoesNotCount) {
  judge(0, probes::Outcome::fail);
  result(0, probes::Outcome::pass);
  pass_time(1s);
  result(0, probes::Outcome::pass);
  pass_time(1s);
  restart(20s);
  EXPECT_EQ(recovery_of(primary(), now).value().lasts, 2s);
  EXPECT_EQ(recovery_of(primary(), now).value().passes, 2U);
  result(0, probes::Outcome::pass);
  EXPECT_EQ(target_name(web_service()), "backup");
  pass_time(web().up.stable_for - 2s);
  result(0, probes::Outcome::pass);
  EXPECT_EQ(target_name(web_service()), "primary");
}

TEST_F(RestartTest, VerdictsThatAreTooOldAreVoid) {
  judge(0, probes::Outcome::fail);
  const WallTime since = web_service().since;
  restart(verdicts_last + 1s);
  EXPECT_EQ(primary().health, Health::unknown);
  EXPECT_EQ(backup().health, Health::unknown);
  EXPECT_EQ(web_service().since, since);
  EXPECT_EQ(web_service().reason, Reason::adopted);
  EXPECT_EQ(primary().probes[0].last_at, now - verdicts_last - 1s) << "shown with its age";
  EXPECT_THAT(last_message(), HasSubstr("the saved verdicts are 61 s old, more than 60 s: all servers are probed anew"));
}

TEST_F(RestartTest, AProbeOfOtherValuesIsAnotherOne) {
  judge(0, probes::Outcome::fail);
  services[0].servers[0].probes[0].timeout += 1ms;
  restart();
  EXPECT_EQ(primary().health, Health::unknown);
  EXPECT_EQ(primary().probes[0].last, std::nullopt);
  EXPECT_EQ(backup().health, Health::up);
}

TEST_F(RestartTest, AServerOfAnotherAddressIsAnotherOne) {
  judge(0, probes::Outcome::fail);
  services[0].servers[0].addresses.back().port = 9'999;
  restart();
  EXPECT_EQ(primary().health, Health::unknown);
  EXPECT_EQ(backup().health, Health::up);
}

TEST_F(RestartTest, AfterABootVerdictsAreVoidAndPenaltiesAreNot) {
  judge(0, probes::Outcome::fail);
  primary().damping = FlapDamping{{.gained_at = now, .level = 3, .lost_at = now}};
  EarlierRun earlier = saved();
  boot = "two";
  wall += std::chrono::minutes{4};
  now = Time{30s}; // the steady clock begins anew
  start_after(0s, earlier);
  EXPECT_EQ(primary().health, Health::unknown);
  EXPECT_EQ(primary().probes[0].last, std::nullopt);
  EXPECT_EQ(primary().damping.record(), (FlapRecord{.gained_at = {}, .level = 3, .lost_at = now - 4min}));
  EXPECT_THAT(last_message(), HasSubstr("has booted since"));
}

TEST_F(RestartTest, APenaltyIsForgivenByItsOwnTimeAlone) {
  const FlapRule rule = flap_rule(web());
  primary().damping = FlapDamping{{.gained_at = {}, .level = 2, .lost_at = now}};
  const auto forgiven = primary().damping.forgiven_at(rule, now);
  restart(verdicts_last * 3);
  EXPECT_EQ(primary().damping.forgiven_at(rule, now), forgiven);
  EXPECT_TRUE(primary().flapping_logged);
  restart(rule.limit * 2);
  EXPECT_EQ(primary().damping.level(rule, now), 0U);
}

TEST_F(RestartTest, AClockThatWentBackVoidsVerdictsAndSaysSo) {
  judge(0, probes::Outcome::fail);
  primary().damping = FlapDamping{{.gained_at = {}, .level = 1, .lost_at = now - 10s}};
  EarlierRun earlier = saved();
  earlier.health.stamp.steady += 1h; // of a later time than now
  start_after(1s, earlier);
  EXPECT_EQ(primary().health, Health::unknown);
  EXPECT_LE(primary().damping.record().lost_at, now);
  EXPECT_THAT(last_message(), HasSubstr("clock shows a time before"));

  earlier = saved();
  boot = "two";
  wall -= std::chrono::hours{24 * 365};
  start_after(1s, earlier);
  EXPECT_EQ(primary().health, Health::unknown);
  EXPECT_THAT(last_message(), HasSubstr("clock shows a time before"));
}

TEST_F(RestartTest, WhereTheTableSaysSomethingElseACrashCameBeforeTheWrite) {
  EarlierRun before_flip = saved();
  judge(0, probes::Outcome::fail);
  ASSERT_EQ(target_name(web_service()), "backup");
  start_after(2s, before_flip);
  run->run_until_idle();
  EXPECT_EQ(target_name(web_service()), "backup") << "the primary of the file was up";
  EXPECT_EQ(primary().health, Health::unknown);
  result(0, probes::Outcome::pass);
  EXPECT_EQ(target_name(web_service()), "backup") << "stable_for as ever";
}

TEST_F(RestartTest, ADrainThatACrashKeptOutOfItsFileGoesOnAllTheSame) {
  services[0].on_forced = {.action = FlowAction::drain, .time = 60s};
  restart();
  result(0, probes::Outcome::pass);
  EXPECT_TRUE(run->evictions.saved_drains().empty());
  EarlierRun before_move = saved();
  begin_override(web_service(), {.server = 1, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root"}, run->registry,
                 run->outbox);
  run->run_until_idle();
  ASSERT_EQ(target_name(web_service()), "backup");
  const auto drains = run->evictions.saved_drains();
  ASSERT_FALSE(drains.empty());
  start_after(1s, before_move);
  EXPECT_EQ(flows_of(run->evictions.saved_drains()), flows_of(drains));
  before_move.boot = boot;
  before_move.wall = wall;
  EXPECT_EQ(unsaved_drains(before_move, {.overrides = {}, .drains = {}}, run->registry, now).size(), 1U);
  EXPECT_EQ(unsaved_drains(before_move, {.overrides = {}, .drains = drains}, run->registry, now).size(), 0U) << "it is in its file";
}

TEST_F(RestartTest, SinceIsOfTheHistoryWhereTheFileHasNone) {
  judge(0, probes::Outcome::fail);
  EarlierRun earlier{.health = {}, .boot = {}, .wall = {}, .targets = {{"web", {.target = "backup", .since = wall - 1h}}}};
  start_after(2s, earlier);
  EXPECT_EQ(web_service().since, wall - 2s - 1h);
  EXPECT_EQ(last_message(), "") << "of a first start nothing is told";
  earlier.targets["web"].target = "primary"; // of before a flip that was not written
  start_after(2s, earlier);
  EXPECT_EQ(web_service().since, WallTime{});
}

TEST_F(RestartTest, NothingMovesToAServerThatWasUpBeforeItHasPassedAgain) {
  services[0].failback.automatic = false;
  restart();
  judge(0, probes::Outcome::fail);
  judge(0, probes::Outcome::pass);
  pass_time(web().up.stable_for);
  judge(0, probes::Outcome::pass);
  ASSERT_EQ(target_name(web_service()), "backup");
  ASSERT_EQ(primary().health, Health::up);
  services[0].failback.automatic = true; // it might go back at once
  restart();
  EXPECT_EQ(primary().health, Health::up);
  EXPECT_EQ(target_name(web_service()), "backup");
  result(0, probes::Outcome::fail);
  EXPECT_EQ(target_name(web_service()), "backup");
  result(0, probes::Outcome::pass);
  EXPECT_EQ(target_name(web_service()), "primary");
}

TEST_F(RestartTest, InDoubtOfAnOutageTheTargetIsProbedAnew) {
  judge(0, probes::Outcome::fail);
  judge(1, probes::Outcome::fail);
  EarlierRun earlier = saved();
  earlier.health.services["web"].why = to_text(Reason::outage_doubted);
  start_after(1s, earlier);
  EXPECT_EQ(primary().health, Health::unknown);
  EXPECT_EQ(backup().health, Health::unknown);
}

TEST_F(RestartTest, ClientsWhoWereRefusedStaySo) {
  judge(0, probes::Outcome::fail);
  judge(1, probes::Outcome::fail);
  ASSERT_TRUE(web_service().refused);
  restart();
  EXPECT_TRUE(web_service().refused);
  EXPECT_EQ(web_service().reason, Reason::no_server_up);
  judge(1, probes::Outcome::pass);
  EXPECT_EQ(target_name(web_service()), "backup");
}

TEST_F(RestartTest, InModeObserveWhatItWouldDoGoesOn) {
  services[0].mode = Mode::observe;
  start_after(1s, saved());
  *web_service().shadow = {.placement = {.current = 1, .refused = false}, .reason = Reason::failover, .begun = true};
  start_after(1s, saved());
  EXPECT_EQ(placement(web_service()).current, 1U);
  EXPECT_TRUE(web_service().shadow.value().begun);
  EXPECT_EQ(target_name(web_service()), "primary") << "what the kernel does";
}

TEST_F(RestartTest, OnlyWhatChangesIsSavedAnew) {
  run->outbox.health_changed.clear();
  for (int times = 0; times < 5; ++times) result(0, probes::Outcome::pass);
  EXPECT_TRUE(run->outbox.health_changed.empty());
  result(0, probes::Outcome::fail);
  EXPECT_EQ(run->outbox.health_changed, std::set<std::string>{"web"});
  judge(0, probes::Outcome::fail);
  run->outbox.health_changed.clear();
  for (int times = 0; times < 5; ++times) result(0, probes::Outcome::fail);
  EXPECT_TRUE(run->outbox.health_changed.empty()) << "it is down, and stays so";
  result(0, probes::Outcome::pass);
  EXPECT_FALSE(run->outbox.health_changed.empty());
}

} // namespace
} // namespace hanat::test
