// The rules of the failure window of one probe, one test each, and how the health of several probes is combined.
// Not here: random histories (failure_window_oracle_test).
#include "daemon/decision/failure_window.hpp"

#include <array>
#include <initializer_list>
#include <optional>

#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;

constexpr Time start{1'000s};
constexpr Context nobody_waits{};
constexpr Context standby{.target_works = true, .preferred = false};
constexpr Context takes_over{.target_works = true, .preferred = true};

const DownRule three_in_ten{.fails = 3, .within = 10s};
const UpRule two_for_five{.passes = 2, .stable_for = 5s};

FailureWindow window_with(std::initializer_list<Clock::duration> fails, const DownRule& down = three_in_ten) {
  FailureWindow window{down, two_for_five};
  window.record(Outcome::pass, start);
  window.evaluate(nobody_waits, start);
  for (const Clock::duration at : fails) window.record(Outcome::fail, start + at);
  return window;
}

TEST(FailureWindow, IsDownWithTheLastOfMWithinT) {
  EXPECT_EQ(window_with({1s, 5s}).health(), Health::up);
  EXPECT_EQ(window_with({1s, 5s, 10'999ms}).health(), Health::down);
}

TEST(FailureWindow, AFailThatIsExactlyTOldCountsNoMore) {
  EXPECT_EQ(window_with({1s, 5s, 11s - 1ns}).health(), Health::down);
  EXPECT_EQ(window_with({1s, 5s, 11s}).health(), Health::up);
  EXPECT_EQ(window_with({1s}).fails(start + 11s - 1ns), 1U);
  EXPECT_EQ(window_with({1s}).fails(start + 11s), 0U);
}

TEST(FailureWindow, AnyNumberOfFailsSpreadWiderThanTIsNoVerdict) {
  FailureWindow window = window_with({});
  for (int count = 0; count < 1'000; ++count) {
    window.record(Outcome::fail, start + count * 5s);
    ASSERT_EQ(window.health(), Health::up) << count;
  }
}

TEST(FailureWindow, SlidesInsteadOfBeginningAnew) { EXPECT_EQ(window_with({0s, 9s, 11s, 13s}).health(), Health::down); }

TEST(FailureWindow, PassesBetweenDoNotWipeFailsAway) {
  FailureWindow window = window_with({1s});
  for (const auto at : {2s, 4s, 6s}) {
    window.record(Outcome::pass, start + at);
    window.evaluate(nobody_waits, start + at);
    window.record(Outcome::fail, start + at + 1s);
  }
  EXPECT_EQ(window.health(), Health::down);
}

TEST(FailureWindow, OneFailIsEnoughWhereTheRuleSaysOne) { EXPECT_EQ(window_with({1s}, {.fails = 1, .within = 1s}).health(), Health::down); }

TEST(FailureWindow, InconclusiveResultsChangeNothing) {
  FailureWindow window = window_with({1s, 2s});
  for (int count = 0; count < 100; ++count) window.record(Outcome::inconclusive, start + 3s);
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(start + 3s), 2U);
  EXPECT_TRUE(window.in_burst());
  FailureWindow fresh{three_in_ten, two_for_five};
  fresh.record(Outcome::inconclusive, start);
  fresh.evaluate(nobody_waits, start);
  EXPECT_EQ(fresh.health(), Health::unknown);
}

TEST(FailureWindow, InconclusiveResultsDoNotBreakARunOfPasses) {
  FailureWindow window = window_with({1s, 2s, 3s});
  window.record(Outcome::pass, start + 4s);
  window.record(Outcome::inconclusive, start + 5s);
  window.record(Outcome::pass, start + 6s);
  window.evaluate(standby, start + 9s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(FailureWindow, IsCleanAfterUp) {
  FailureWindow window = window_with({1s, 2s, 3s});
  ASSERT_EQ(window.health(), Health::down);
  window.record(Outcome::pass, start + 4s);
  window.record(Outcome::pass, start + 4s);
  window.evaluate(nobody_waits, start + 4s);
  ASSERT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(start + 4s), 0U);
  window.record(Outcome::fail, start + 5s);
  window.record(Outcome::fail, start + 5s);
  EXPECT_EQ(window.health(), Health::up);
  window.record(Outcome::fail, start + 5s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(FailureWindow, IsUnknownUntilSomethingIsKnown) {
  FailureWindow window{three_in_ten, two_for_five};
  window.evaluate(nobody_waits, start);
  EXPECT_EQ(window.health(), Health::unknown);
  EXPECT_TRUE(window.in_burst());
  window.record(Outcome::fail, start);
  window.record(Outcome::fail, start);
  window.evaluate(nobody_waits, start);
  EXPECT_EQ(window.health(), Health::unknown);
}

TEST(FailureWindow, TheFirstPassEndsUnknownWhereNoTrafficMovesByIt) {
  for (const Context& context : {nobody_waits, Context{.target_works = false, .preferred = true}, standby}) {
    FailureWindow window{three_in_ten, two_for_five};
    window.record(Outcome::pass, start);
    window.evaluate(context, start);
    EXPECT_EQ(window.health(), Health::up);
  }
}

TEST(FailureWindow, AnUnknownServerTakesTrafficFromOneThatIsUpOnlyWhenItIsStable) {
  FailureWindow window{three_in_ten, two_for_five};
  window.record(Outcome::pass, start);
  window.evaluate(takes_over, start + 1h);
  EXPECT_EQ(window.health(), Health::unknown) << "one pass of two";
  window.record(Outcome::pass, start + 1s);
  window.evaluate(takes_over, start + 5s - 1ns);
  EXPECT_EQ(window.health(), Health::unknown);
  window.evaluate(takes_over, start + 5s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(FailureWindow, ADownServerWaitsForStableForOnlyWhileAnotherWorks) {
  for (const bool preferred : {false, true}) {
    FailureWindow window = window_with({1s, 2s, 3s});
    window.record(Outcome::pass, start + 4s);
    window.evaluate({.target_works = false, .preferred = preferred}, start + 4s);
    EXPECT_EQ(window.health(), Health::down) << "passes are needed even in a hurry";
    window.record(Outcome::pass, start + 5s);
    window.evaluate({.target_works = true, .preferred = preferred}, start + 9s - 1ns);
    EXPECT_EQ(window.health(), Health::down);
    EXPECT_EQ(window.stable_at(), start + 9s);
    FailureWindow hurried = window;
    hurried.evaluate({.target_works = false, .preferred = preferred}, start + 5s);
    EXPECT_EQ(hurried.health(), Health::up);
    window.evaluate({.target_works = true, .preferred = preferred}, start + 9s);
    EXPECT_EQ(window.health(), Health::up);
    EXPECT_EQ(window.stable_at(), std::nullopt);
  }
}

TEST(FailureWindow, AFailBeginsTheRunAnew) {
  FailureWindow window = window_with({1s, 2s, 3s});
  window.record(Outcome::pass, start + 4s);
  window.record(Outcome::fail, start + 30s);
  window.record(Outcome::pass, start + 31s);
  EXPECT_EQ(window.stable_at(), std::nullopt);
  window.record(Outcome::pass, start + 32s);
  EXPECT_EQ(window.stable_at(), start + 36s);
}

TEST(FailureWindow, IsNotUpBeforeItIsEvaluated) {
  FailureWindow window = window_with({1s, 2s, 3s});
  for (int count = 0; count < 100; ++count) window.record(Outcome::pass, start + 4s + count * 1s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(FailureWindow, ABurstEndsAfterAsManyPassesInARowAsFailsAreAllowed) {
  FailureWindow window = window_with({1s});
  for (int count = 0; count < 2; ++count) window.record(Outcome::pass, start + 2s);
  EXPECT_TRUE(window.in_burst());
  window.record(Outcome::fail, start + 2s); // in a row: counted anew
  for (int count = 0; count < 2; ++count) window.record(Outcome::pass, start + 2s);
  EXPECT_TRUE(window.in_burst());
  window.record(Outcome::pass, start + 2s);
  EXPECT_FALSE(window.in_burst()) << "though the window still remembers " << window.fails(start + 2s);
}

TEST(FailureWindow, ABurstEndsWithTheVerdict) {
  EXPECT_TRUE(window_with({1s, 2s}).in_burst());
  FailureWindow window = window_with({1s, 2s, 3s});
  EXPECT_FALSE(window.in_burst());
  window.record(Outcome::fail, start + 4s);
  EXPECT_FALSE(window.in_burst()) << "a server that is down already is not probed faster for it";
  window.record(Outcome::fail, start + 1h);
  EXPECT_FALSE(window.in_burst()) << "nor when the window has run empty";
}

TEST(FailureWindow, ASignalBeginsABurstAndIsNoVerdict) {
  FailureWindow window = window_with({});
  EXPECT_FALSE(window.in_burst());
  EXPECT_TRUE(window.start_burst(start));
  EXPECT_TRUE(window.in_burst());
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(start), 0U);
  for (int count = 0; count < 3; ++count) window.record(Outcome::pass, start);
  EXPECT_FALSE(window.in_burst());
}

TEST(FailureWindow, ASignalDoesNotHurryAServerThatIsDown) {
  FailureWindow window = window_with({1s, 2s, 3s});
  EXPECT_FALSE(window.start_burst(start + 4s));
  EXPECT_FALSE(window.in_burst());
}

TEST(FailureWindow, ASignalDuringABurstChangesNothing) {
  FailureWindow window = window_with({});
  EXPECT_TRUE(window.start_burst(start));
  for (int count = 0; count < 2; ++count) window.record(Outcome::pass, start);
  EXPECT_FALSE(window.start_burst(start + 2s)) << "a burst is bounded, whatever signals come";
  window.record(Outcome::pass, start);
  EXPECT_FALSE(window.in_burst());
}

TEST(FailureWindow, SignalsBeginABurstAtMostOnceASecond) {
  FailureWindow window = window_with({});
  EXPECT_TRUE(window.start_burst(start));
  for (int count = 0; count < 3; ++count) window.record(Outcome::pass, start);
  EXPECT_FALSE(window.start_burst(start + 999ms));
  EXPECT_FALSE(window.in_burst());
  EXPECT_TRUE(window.start_burst(start + 1s));
}

TEST(FailureWindow, NewRulesKeepTheVerdictAndTheNewestResults) {
  FailureWindow window = window_with({1s, 2s});
  window.set_rules({.fails = 1, .within = 10s}, two_for_five);
  EXPECT_EQ(window.health(), Health::up) << "judged at the next result";
  EXPECT_EQ(window.fails(start + 11s), 1U) << "the newer one of the two";
  window.record(Outcome::fail, start + 11s);
  EXPECT_EQ(window.health(), Health::down);
  window.set_rules(three_in_ten, {.passes = 1, .stable_for = 0s});
  EXPECT_EQ(window.health(), Health::down);
  window.record(Outcome::pass, start + 12s);
  window.evaluate(takes_over, start + 12s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(FailureWindow, ALongerRuleGoesOnCountingWhereTheShorterOneStood) {
  FailureWindow window = window_with({1s, 2s});
  window.set_rules({.fails = 4, .within = 10s}, two_for_five);
  window.record(Outcome::fail, start + 3s);
  EXPECT_EQ(window.health(), Health::up);
  window.record(Outcome::fail, start + 4s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(Combine, IsDownWhenAnyIsAndUpWhenAllAre) {
  constexpr std::array all{Health::unknown, Health::up, Health::down};
  EXPECT_EQ(combine({}), Health::unknown);
  for (const Health a : all) {
    EXPECT_EQ(combine(std::array{a}), a);
    for (const Health b : all)
      for (const Health c : all) {
        const std::array three{a, b, c};
        const auto any = [&](Health health) { return a == health || b == health || c == health; };
        const Health expected = any(Health::down) ? Health::down : any(Health::unknown) ? Health::unknown : Health::up;
        EXPECT_EQ(combine(three), expected);
      }
  }
}

} // namespace
} // namespace hanat
