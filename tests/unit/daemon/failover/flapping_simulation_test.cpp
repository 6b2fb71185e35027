// A server that goes up and down on purpose moves the traffic only so often in an hour. Simulated time. Not here: the rule itself
// (decision/flap_damping_test).
#include <functional>
#include <random>
#include <vector>

#include <gmock/gmock.h>

#include "daemon/failover/maintenance.hpp"
#include "daemon/failover/overrides.hpp"
#include "tests/unit/daemon/failover/simulation.hpp"

namespace hanat::test::flapping {
namespace {

using Moves = std::vector<Simulation::Move>;

/// The most moves in any hour.
std::size_t most_in_an_hour(const Moves& moves) {
  std::size_t most = 0;
  for (std::size_t first = 0, last = 0; last < moves.size(); ++last) {
    while (moves[last].at - moves[first].at > 1h) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

unsigned bound_of(const ServiceConfig& config) { return 2 * most_gains(flap_rule(config), 1h); }

TEST(FlappingSimulation, UpForSixSecondsAndDownForOneMovesTheTrafficWithinTheBound) {
  const ServiceConfig config = simulated_service();
  Time began{};
  Simulation run{config,
                 [&](std::size_t server, Time at) { return server == 0 && (at - began) % 7s >= 6s ? Answer::refuse : Answer::pass; }};
  began = run.now_is();
  run.run_until(began + 1h);
  EXPECT_EQ(bound_of(config), 28U) << "hanatd(8) and hanat.toml(5) name it";
  EXPECT_LE(run.moves.size(), bound_of(config));
  EXPECT_GE(run.moves.size(), 3U) << "it is a flapping server";
  EXPECT_GE(events_of(run.said(), "is flapping"), 1U);
  EXPECT_EQ(target_name(run.service()), "backup") << "where it works";
}

TEST(FlappingSimulation, WithoutAPenaltyTheSameServerMovesTheTrafficAllTheTime) {
  ServiceConfig config = simulated_service();
  config.failback.penalty = {};
  Time began{};
  Simulation run{config,
                 [&](std::size_t server, Time at) { return server == 0 && (at - began) % 7s >= 6s ? Answer::refuse : Answer::pass; }};
  began = run.now_is();
  run.run_until(began + 1h);
  EXPECT_GT(run.moves.size(), 100U);
  EXPECT_EQ(events_of(run.said(), "flapping"), 0U);
}

/// It dies as soon as it has the traffic, or a moment later, and is back at once: the worst that it can do.
struct Adversary {
  std::optional<Time> down_at, up_at;
  Answer answer(Time at) const { return down_at && at >= *down_at && !(up_at && at >= *up_at) ? Answer::refuse : Answer::pass; }
};

/// Servers of which one works all the time, and the others do their worst. Returns the moves of three hours.
Moves attack(const ServiceConfig& config, std::uint32_t seed) {
  std::mt19937 random{seed};
  const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
  const std::size_t honest = pick(static_cast<unsigned>(config.servers.size()));
  // How long it keeps the traffic, and how long it is down: sometimes as long as the rule asks for, and a moment less or more.
  const auto some_time = [&]() -> Clock::duration {
    switch (pick(6)) {
    case 0: return 0s;
    case 1: return std::chrono::milliseconds{pick(3'000)};
    case 2: return std::chrono::seconds{pick(60)};
    case 3: return config.failback.penalty - 1s;
    case 4: return config.failback.penalty + 1s;
    default: return std::chrono::milliseconds{pick(300)};
    }
  };
  const bool greedy = pick(3) > 0;
  std::vector<Adversary> adversaries(config.servers.size());
  Simulation run{config,
                 [&](std::size_t server, Time at) { return server == honest ? Answer::pass : adversaries[server].answer(at); },
                 {0ms, std::chrono::milliseconds{pick(1'000)}, std::chrono::milliseconds{pick(1'000)}}};
  run.on_move = [&](const Simulation::Move& move) {
    for (std::size_t server = 0; server < config.servers.size(); ++server)
      if (config.servers[server].role == move.to) {
        adversaries[server].down_at = move.at + (greedy ? std::chrono::milliseconds{pick(500)} : some_time());
        adversaries[server].up_at =
            *adversaries[server].down_at + (greedy ? 1200ms + std::chrono::milliseconds{pick(800)} : 1200ms + some_time());
      }
  };
  run.run_until(run.now_is() + 20s);
  adversaries[0].down_at = run.now_is();
  adversaries[0].up_at = run.now_is() + 2s;
  run.run_until(run.now_is() + 3h);
  return run.moves;
}

TEST(FlappingSimulation, NoAdversaryMovesTheTrafficMoreOftenThanTheBoundSays) {
  std::size_t most = 0;
  for (std::uint32_t seed = 1; seed <= 24; ++seed) {
    ServiceConfig config = simulated_service();
    if (seed % 4 == 0) config.up.stable_for = std::chrono::milliseconds{200};
    if (seed % 5 == 0) config.failback.penalty = 1min;
    const std::size_t moves = most_in_an_hour(attack(config, seed));
    EXPECT_LE(moves, bound_of(config)) << "seed " << seed;
    most = std::max(most, moves);
  }
  EXPECT_GE(most, 15U) << "else these are no adversaries";
}

TEST(FlappingSimulation, TwoAdversariesOfThreeServersAreBoundToo) {
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    const ServiceConfig config = simulated_service(3);
    EXPECT_LE(most_in_an_hour(attack(config, seed)), 3 * bound_of(config)) << "seed " << seed;
  }
}

TEST(FlappingSimulation, ItIsForgivenWithTimeAndThatIsSaid) {
  const ServiceConfig config = simulated_service();
  Time dies = Time::max();
  Simulation run{config,
                 [&](std::size_t server, Time at) { return server == 0 && at >= dies && at < dies + 2s ? Answer::refuse : Answer::pass; }};
  run.run_until(run.now_is() + 20s);
  for (int times = 0; times < 2; ++times) {
    dies = run.now_is();
    run.run_until(run.now_is() + 20s);
  }
  EXPECT_EQ(events_of(run.said(), "primary (198.18.1.2) is flapping: it has lost the traffic soon after it got it, 1 time by now"), 1U);
  EXPECT_EQ(run.service().servers[0].damping.wait(flap_rule(config), run.now_is()), 10s);
  run.run_until(run.now_is() + 11min);
  EXPECT_EQ(events_of(run.said(), "is no longer flapping"), 1U);
  EXPECT_EQ(target_name(run.service()), "primary");
}

/// The primary has had the traffic all the time, an operator moves it away and back, and then the primary dies.
struct OrderedCase {
  const char* what;
  std::function<void(ServiceState&, ServiceRegistry&, Outbox&, Time)> away, back;
  bool backup_dies = false; // instead of `back`
};

Override to_backup(Time now, bool drill = false) {
  return {.server = 1, .until = now + 30s, .until_wall = {}, .since = {}, .reason = {}, .by = "root", .until_down = drill, .drill = drill};
}

std::vector<OrderedCase> ordered_cases() {
  const auto force = [](auto& web, auto& registry, auto& outbox, Time now) { begin_override(web, to_backup(now), registry, outbox); };
  const auto drill = [](auto& web, auto& registry, auto& outbox, Time now) { begin_override(web, to_backup(now, true), registry, outbox); };
  const auto disable = [](auto& web, auto& registry, auto& outbox, Time) {
    disable_server(web, 0, {.since = {}, .reason = {}, .by = "root"}, registry, outbox);
  };
  const auto release = [](auto& web, auto& registry, auto& outbox, Time) { end_override(web, "root", registry, outbox); };
  const auto enable = [](auto& web, auto& registry, auto& outbox, Time) { enable_server(web, 0, "root", registry, outbox); };
  const auto wait = [](auto&, auto&, auto&, Time) {};
  return {{.what = "an override", .away = force, .back = release},
          {.what = "one that expires", .away = force, .back = wait},
          {.what = "a drill", .away = drill, .back = wait},
          {.what = "a drill whose backup dies", .away = drill, .back = wait, .backup_dies = true},
          {.what = "maintenance", .away = disable, .back = enable}};
}

TEST(FlappingSimulation, WhatAnOperatorMovesAwayAndBackCountsForNobody) {
  for (const OrderedCase& one : ordered_cases()) {
    Time primary_dies = Time::max(), backup_dies = Time::max();
    Simulation run{simulated_service(), [&](std::size_t server, Time at) {
                     const Time dies = server == 0 ? primary_dies : backup_dies;
                     return at >= dies && at < dies + 2s ? Answer::refuse : Answer::pass;
                   }};
    run.run_until(run.now_is() + 20s);
    run.order([&](auto& web, auto& registry, auto& outbox) { one.away(web, registry, outbox, run.now_is()); });
    EXPECT_EQ(target_name(run.service()), "backup") << one.what;
    if (one.backup_dies) backup_dies = run.now_is() + 5s;
    run.run_until(run.now_is() + 10s);
    run.order([&](auto& web, auto& registry, auto& outbox) { one.back(web, registry, outbox, run.now_is()); });
    run.run_until(run.now_is() + 40s);
    EXPECT_EQ(target_name(run.service()), "primary") << one.what;
    primary_dies = run.now_is();
    run.run_until(run.now_is() + 20s);
    EXPECT_EQ(run.moves.size(), 4U) << one.what << ": away, back, a failover, a failback";
    EXPECT_EQ(events_of(run.said(), "is flapping"), 0U) << one.what;
    primary_dies = run.now_is();
    run.run_until(run.now_is() + 20s);
    EXPECT_EQ(events_of(run.said(), "is flapping"), 1U) << one.what << ": that time it had gained it by itself";
  }
}

} // namespace
} // namespace hanat::test::flapping
