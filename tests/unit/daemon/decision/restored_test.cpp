// Windows that go on after a restart, and servers that were up before it and have not passed since: they keep what they have, and get
// nothing but where there is no other. Not here: reading and writing them (state, failover).
#include <array>
#include <span>

#include <gtest/gtest.h>

#include "daemon/decision/decision.hpp"
#include "daemon/decision/failure_window.hpp"
#include "daemon/decision/group.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;

constexpr Time restarted{9'000s};
constexpr Candidate up_for_certain{.health = Health::up, .up_since = restarted - 1h};
constexpr Candidate was_up{.health = Health::up, .up_since = restarted - 1h, .unconfirmed = true};
constexpr Candidate is_down{.health = Health::down}, is_full{.health = Health::full};

/// The server that gets the traffic; nullopt: none, or nothing is decided.
std::optional<std::size_t> chosen(std::span<const Candidate> servers, std::optional<std::size_t> current, DecisionInput input = {}) {
  input.servers = servers;
  input.current = current;
  const Decision decision = decide(input, restarted);
  return decision.kind == TargetKind::server ? std::optional{decision.server} : std::nullopt;
}

TEST(Unconfirmed, TheTargetKeepsTheTraffic) {
  EXPECT_EQ(chosen(std::array{was_up, was_up}, 0), 0U);
  EXPECT_EQ(chosen(std::array{is_down, was_up}, 1), 1U);
  EXPECT_EQ(chosen(std::array{is_down, was_up, up_for_certain}, 1), 1U);
}

TEST(Unconfirmed, NothingGoesBackToAServerThatHasNotPassed) {
  EXPECT_EQ(chosen(std::array{was_up, up_for_certain}, 1), 1U);
  EXPECT_EQ(chosen(std::array{up_for_certain, up_for_certain}, 1), 0U);
  EXPECT_EQ(chosen(std::array{was_up, up_for_certain, up_for_certain}, 2), 1U);
  DecisionInput ended;
  ended.override_ended = true;
  EXPECT_EQ(chosen(std::array{was_up, up_for_certain}, 1, ended), 1U);
}

TEST(Unconfirmed, WhereTheTargetIsLostItIsBetterThanNone) {
  EXPECT_EQ(chosen(std::array{is_down, was_up}, 0), 1U);
  EXPECT_EQ(chosen(std::array{is_down, was_up, up_for_certain}, 0), 2U) << "one that has passed is better";
  EXPECT_EQ(chosen(std::array{is_down, was_up, is_full}, 0), 1U);
}

TEST(Unconfirmed, WhereNothingHasTheTrafficAProbeIsWaitedFor) {
  EXPECT_EQ(chosen(std::array{was_up, up_for_certain}, std::nullopt), std::nullopt) << "in a moment the first is known";
  EXPECT_EQ(chosen(std::array{is_down, up_for_certain}, std::nullopt), 1U);
  DecisionInput refused;
  refused.refused = true;
  EXPECT_EQ(chosen(std::array{is_down, was_up}, std::nullopt, refused), std::nullopt);
  EXPECT_EQ(chosen(std::array{is_down, up_for_certain}, std::nullopt, refused), 1U);
}

TEST(Unconfirmed, InAGroupItIsSoForAll) {
  EXPECT_TRUE(merge_health(was_up, up_for_certain).unconfirmed);
  EXPECT_FALSE(merge_health(up_for_certain, neutral).unconfirmed);
}

TEST(RestoredWindow, GoesOnWhereItWas) {
  const DownRule down{.fails = 3, .within = 10s};
  const UpRule up{.passes = 2, .stable_for = 5s};
  FailureWindow before{down, up};
  before.record(Outcome::pass, restarted - 60s);
  before.evaluate({}, restarted - 60s);
  EXPECT_TRUE(before.is_confirmed());
  for (const auto ago : {9s, 8s}) before.record(Outcome::fail, restarted - ago);
  FailureWindow after{down, up};
  after.restore(before.counts());
  EXPECT_EQ(after.counts(), before.counts());
  EXPECT_EQ(after.health(), Health::up);
  EXPECT_FALSE(after.is_confirmed());
  EXPECT_TRUE(after.in_burst());
  EXPECT_EQ(after.fails(restarted), 2U);
  after.record(Outcome::fail, restarted);
  EXPECT_EQ(after.health(), Health::down);
}

TEST(RestoredWindow, IsConfirmedByAPassAlone) {
  FailureWindow window{{.fails = 3, .within = 10s}, {.passes = 2, .stable_for = 5s}};
  window.restore({.health = Health::up, .fails = {}, .fails_or_full = {}, .passes = {.length = 9, .began = restarted - 1h}, .alive = {}});
  window.record(Outcome::inconclusive, restarted);
  window.record(Outcome::fail, restarted);
  EXPECT_FALSE(window.is_confirmed());
  window.record(Outcome::pass, restarted);
  EXPECT_TRUE(window.is_confirmed());
}

TEST(RestoredWindow, OfADownServerIsNotProbedFaster) {
  FailureWindow window{{.fails = 3, .within = 10s}, {.passes = 2, .stable_for = 5s}};
  window.restore({.health = Health::down, .fails = {}, .fails_or_full = {}, .passes = {}, .alive = {}});
  EXPECT_FALSE(window.in_burst());
  EXPECT_EQ(window.health(), Health::down);
}

TEST(RestoredWindow, OfALargerRuleKeepsTheNewest) {
  FailureWindow window{{.fails = 2, .within = 10s}, {.passes = 2, .stable_for = 5s}};
  window.restore(
      {.health = Health::up, .fails = {restarted - 3s, restarted - 2s, restarted - 1s}, .fails_or_full = {}, .passes = {}, .alive = {}});
  EXPECT_EQ(window.counts().fails, (std::vector{restarted - 2s, restarted - 1s}));
}

} // namespace
} // namespace hanat
