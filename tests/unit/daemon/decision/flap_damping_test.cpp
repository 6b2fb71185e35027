// Waits that double, and are forgiven. Not here: what a flapping server can do to a service (failover/flapping_simulation_test).
#include "daemon/decision/flap_damping.hpp"

#include <gtest/gtest.h>

#include "daemon/decision/decision.hpp"

namespace hanat::flap_damping {
namespace {

using namespace std::chrono_literals;

constexpr FlapRule usual{.base = 5s, .limit = 10min};
constexpr Time start{100h};

/// It gets the traffic and loses it `kept` later.
bool lose(FlapDamping& damping, Time& now, Clock::duration kept, const FlapRule& rule = usual) {
  damping.gained(now);
  now += kept;
  return damping.lost(rule, now);
}

TEST(FlapDamping, EachTimeTheTrafficIsLostSoonTheWaitDoublesUpToTheLimit) {
  FlapDamping damping;
  Time now = start;
  EXPECT_EQ(damping.wait(usual, now), 0s);
  for (const auto expected : {10s, 20s, 40s, 80s, 160s, 320s, 600s, 600s, 600s}) {
    EXPECT_TRUE(lose(damping, now, 1s));
    EXPECT_EQ(damping.wait(usual, now), expected);
  }
}

TEST(FlapDamping, OneThatKeptTheTrafficForLongIsNotBlamed) {
  FlapDamping damping;
  Time now = start;
  EXPECT_FALSE(lose(damping, now, 10min));
  EXPECT_EQ(damping.wait(usual, now), 0s);
  EXPECT_TRUE(lose(damping, now, 10min - 1ms));
  EXPECT_EQ(damping.wait(usual, now), 10s);
}

TEST(FlapDamping, NeitherIsOneThatHadItFromTheStartNorOneThatGaveItBack) {
  FlapDamping damping;
  EXPECT_FALSE(damping.lost(usual, start));
  damping.gained(start);
  damping.handed_over();
  EXPECT_FALSE(damping.lost(usual, start + 1s));
  EXPECT_EQ(damping.level(usual, start + 1s), 0U);
}

TEST(FlapDamping, WhatAnOrderTakesAndGivesBackIsNoGain) {
  FlapDamping damping;
  damping.taken_by_order();
  damping.given_by_order();
  EXPECT_FALSE(damping.lost(usual, start + 1s));
  damping.taken_by_order();
  damping.gained(start + 2s); // the server that it was given to died
  EXPECT_FALSE(damping.lost(usual, start + 3s));
  damping.gained(start + 4s);
  damping.taken_by_order();
  damping.given_by_order();
  EXPECT_TRUE(damping.lost(usual, start + 5s)) << "it had gained it itself";
  damping.taken_by_order();
  damping.passed_over();
  damping.gained(start + 6s);
  EXPECT_TRUE(damping.lost(usual, start + 7s)) << "another one had it in between";
}

TEST(FlapDamping, OneTimeIsForgivenEachTimeTheLimitIsOver) {
  FlapDamping damping;
  Time now = start;
  for (int times = 0; times < 3; ++times) lose(damping, now, 1s);
  EXPECT_EQ(damping.level(usual, now + 10min - 1ms), 3U);
  EXPECT_EQ(damping.next_change(usual, now), now + 10min);
  EXPECT_EQ(damping.level(usual, now + 10min), 2U);
  EXPECT_EQ(damping.wait(usual, now + 10min), 20s);
  EXPECT_EQ(damping.next_change(usual, now + 10min), now + 20min);
  EXPECT_EQ(damping.forgiven_at(usual, now + 10min), now + 30min);
  EXPECT_EQ(damping.level(usual, now + 30min), 0U);
  EXPECT_EQ(damping.forgiven_at(usual, now + 30min), std::nullopt);
  EXPECT_EQ(damping.next_change(usual, now + 30min), std::nullopt);
  now += 10min;
  lose(damping, now, 1s);
  EXPECT_EQ(damping.level(usual, now), 3U) << "what was forgiven does not come back";
}

TEST(FlapDamping, ALimitOfZeroTurnsItOff) {
  constexpr FlapRule off{.base = 5s, .limit = 0s};
  FlapDamping damping;
  Time now = start;
  EXPECT_FALSE(lose(damping, now, 1s, off));
  lose(damping, now, 1s);
  EXPECT_EQ(damping.level(off, now), 0U) << "also of one that was blamed before a reload";
  EXPECT_EQ(damping.wait(off, now), 0s);
}

TEST(FlapDamping, TheRuleComesFromWhatFailbackWaitsForAnyway) {
  ServiceConfig service;
  EXPECT_EQ(flap_rule(service), usual) << "the defaults";
  service.failback.after = 30s;
  EXPECT_EQ(flap_rule(service).base, 30s);
  service.failback.after = service.up.stable_for = {};
  EXPECT_EQ(flap_rule(service).base, 100ms);
}

TEST(FlapDamping, TheBoundIsTheOneThatTheDocumentsName) {
  EXPECT_EQ(most_gains(usual, 1h), 14U) << "28 moves: one to the server, and one away from it";
  EXPECT_EQ(most_gains({.base = 5s, .limit = 1min}, 1h), 1U + 4 + 60);
  EXPECT_EQ(most_gains({.base = 5s, .limit = 1s}, 10s), 1U + 1 + 10) << "a limit below the base";
}

// What decide() makes of it.
Decision decide_with(std::vector<Candidate> servers, std::optional<std::size_t> current, Time now, bool override_ended = false) {
  return decide(
      {.servers = servers, .current = current, .refused = !current, .forced = {}, .override_ended = override_ended, .failback = {}}, now);
}
constexpr Candidate up{.health = Health::up, .up_since = start - 1s}, down{.health = Health::down};
constexpr Candidate flapping{.health = Health::up, .up_since = start - 1s, .penalty = 40s};

TEST(PenaltyDecision, AFlappingServerWaitsForItsTraffic) {
  const Decision waits = decide_with({flapping, up}, 1, start);
  EXPECT_EQ(waits.server, 1U);
  EXPECT_EQ(waits.failback_at, start + 39s);
  EXPECT_EQ(decide_with({flapping, up}, 1, start + 39s).server, 0U);
  EXPECT_EQ(decide_with({flapping, up}, 1, start, true).server, 0U) << "the end of an override does not wait";
}

TEST(PenaltyDecision, AFailoverPrefersServersThatDoNotFlap) {
  EXPECT_EQ(decide_with({down, flapping, up}, 0, start).server, 2U);
  EXPECT_EQ(decide_with({down, flapping, down}, 0, start).server, 1U) << "where no other is up it does not wait";
  EXPECT_EQ(decide_with({down, flapping, up}, std::nullopt, start).server, 2U);
  const Candidate full{.health = Health::full};
  EXPECT_EQ(decide_with({full, flapping, up}, 0, start).server, 2U);
}

TEST(PenaltyDecision, AServerBehindAFlappingOneNeedNotWaitForIt) {
  const Decision back = decide_with({flapping, up, up}, 2, start);
  EXPECT_EQ(back.server, 1U);
  EXPECT_EQ(back.flip_reason, Reason::failback);
}

} // namespace
} // namespace hanat::flap_damping
