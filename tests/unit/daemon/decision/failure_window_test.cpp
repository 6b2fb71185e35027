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

constexpr Time began{1'000s};
constexpr Context nobody_waits{};
constexpr Context standby{.target_works = true, .preferred = false};
constexpr Context takes_over{.target_works = true, .preferred = true};

const DownRule three_in_ten{.fails = 3, .within = 10s};
const UpRule two_for_five{.passes = 2, .stable_for = 5s};

FailureWindow window_with(std::initializer_list<Clock::duration> fails, const DownRule& down = three_in_ten) {
  FailureWindow window{down, two_for_five};
  window.record(Outcome::pass, began);
  window.evaluate(nobody_waits, began);
  for (const Clock::duration at : fails) window.record(Outcome::fail, began + at);
  return window;
}

TEST(FailureWindow, IsDownWithTheLastOfMWithinT) {
  EXPECT_EQ(window_with({1s, 5s}).health(), Health::up);
  EXPECT_EQ(window_with({1s, 5s, 10'999ms}).health(), Health::down);
}

TEST(FailureWindow, TellsHowFarAServerHasRecovered) {
  FailureWindow window = window_with({1s, 2s, 3s});
  EXPECT_EQ(window.recovery(began + 3s), std::nullopt);
  window.record(Outcome::pass, began + 4s);
  EXPECT_EQ(window.recovery(began + 4s), (Recovery{.passes = 1, .of = 2, .lasts = 0s, .stable_for = 5s}));
  EXPECT_EQ(window.up_at(), std::nullopt) << "one pass is too few";
  window.record(Outcome::pass, began + 5s);
  EXPECT_EQ(window.recovery(began + 6s), (Recovery{.passes = 2, .of = 2, .lasts = 2s, .stable_for = 5s}));
  EXPECT_EQ(window.up_at(), began + 9s);
  window.record(Outcome::fail, began + 7s);
  EXPECT_EQ(window.recovery(began + 7s), std::nullopt) << "from the beginning";
  EXPECT_EQ(window.up_at(), std::nullopt);
  for (const auto at : {8s, 9s}) window.record(Outcome::pass, began + at);
  window.evaluate(nobody_waits, began + 9s);
  EXPECT_EQ(window.recovery(began + 9s), std::nullopt) << "it is up";
}

TEST(FailureWindow, AFailThatIsExactlyTOldCountsNoMore) {
  EXPECT_EQ(window_with({1s, 5s, 11s - 1ns}).health(), Health::down);
  EXPECT_EQ(window_with({1s, 5s, 11s}).health(), Health::up);
  EXPECT_EQ(window_with({1s}).fails(began + 11s - 1ns), 1U);
  EXPECT_EQ(window_with({1s}).fails(began + 11s), 0U);
}

TEST(FailureWindow, AnyNumberOfFailsSpreadWiderThanTIsNoVerdict) {
  FailureWindow window = window_with({});
  for (int count = 0; count < 1'000; ++count) {
    window.record(Outcome::fail, began + count * 5s);
    ASSERT_EQ(window.health(), Health::up) << count;
  }
}

TEST(FailureWindow, SlidesInsteadOfBeginningAnew) { EXPECT_EQ(window_with({0s, 9s, 11s, 13s}).health(), Health::down); }

TEST(FailureWindow, PassesBetweenDoNotWipeFailsAway) {
  FailureWindow window = window_with({1s});
  for (const auto at : {2s, 4s, 6s}) {
    window.record(Outcome::pass, began + at);
    window.evaluate(nobody_waits, began + at);
    window.record(Outcome::fail, began + at + 1s);
  }
  EXPECT_EQ(window.health(), Health::down);
}

TEST(FailureWindow, OneFailIsEnoughWhereTheRuleSaysOne) { EXPECT_EQ(window_with({1s}, {.fails = 1, .within = 1s}).health(), Health::down); }

TEST(FailureWindow, InconclusiveResultsChangeNothing) {
  FailureWindow window = window_with({1s, 2s});
  for (int count = 0; count < 100; ++count) window.record(Outcome::inconclusive, began + 3s);
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(began + 3s), 2U);
  EXPECT_TRUE(window.in_burst());
  FailureWindow fresh{three_in_ten, two_for_five};
  fresh.record(Outcome::inconclusive, began);
  fresh.evaluate(nobody_waits, began);
  EXPECT_EQ(fresh.health(), Health::unknown);
}

TEST(FailureWindow, InconclusiveResultsDoNotBreakARunOfPasses) {
  FailureWindow window = window_with({1s, 2s, 3s});
  window.record(Outcome::pass, began + 4s);
  window.record(Outcome::inconclusive, began + 5s);
  window.record(Outcome::pass, began + 6s);
  window.evaluate(standby, began + 9s);
  EXPECT_EQ(window.health(), Health::up);
}

// A server that says that it is full

FailureWindow full_window() {
  FailureWindow window = window_with({});
  for (const auto at : {1s, 2s, 3s}) window.record(Outcome::full, began + at);
  return window;
}

TEST(FailureWindow, IsFullWithTheLastOfMWithinT) {
  FailureWindow window = window_with({});
  window.record(Outcome::full, began + 1s);
  window.record(Outcome::full, began + 5s);
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_TRUE(window.in_burst()) << "is it?";
  window.record(Outcome::full, began + 10'999ms);
  EXPECT_EQ(window.health(), Health::full);
  EXPECT_FALSE(window.in_burst());
  EXPECT_EQ(window.fails(began + 10'999ms), 0U);
  EXPECT_EQ(window.fails_or_full(began + 10'999ms), 3U);
  FailureWindow wide = window_with({});
  for (const auto at : {1s, 5s, 11s}) wide.record(Outcome::full, began + at);
  EXPECT_EQ(wide.health(), Health::up);
}

TEST(FailureWindow, FullAnswersNeverMakeItDownAndFailsDo) {
  FailureWindow window = full_window();
  for (int count = 0; count < 100; ++count) window.record(Outcome::full, began + 3s);
  EXPECT_EQ(window.health(), Health::full);
  window.record(Outcome::fail, began + 4s);
  EXPECT_TRUE(window.in_burst()) << "is it down?";
  window.record(Outcome::full, began + 4s);
  window.record(Outcome::fail, began + 5s);
  EXPECT_EQ(window.health(), Health::full);
  window.record(Outcome::fail, began + 6s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(FailureWindow, FailsAndFullAnswersTogetherMakeItFull) {
  FailureWindow window = window_with({1s, 2s});
  window.record(Outcome::full, began + 3s);
  EXPECT_EQ(window.health(), Health::full);
  FailureWindow other = window_with({});
  other.record(Outcome::full, began + 1s);
  other.record(Outcome::full, began + 1s);
  other.record(Outcome::fail, began + 1s);
  EXPECT_EQ(other.health(), Health::full);
  EXPECT_TRUE(other.in_burst()) << "the last word was a fail";
}

TEST(FailureWindow, AFullServerIsUpAsADownOneIs) {
  FailureWindow window = full_window();
  window.record(Outcome::pass, began + 4s);
  window.record(Outcome::full, began + 5s);
  window.record(Outcome::pass, began + 6s);
  window.evaluate(nobody_waits, began + 6s);
  EXPECT_EQ(window.health(), Health::full) << "a full answer ends the run";
  EXPECT_EQ(window.stable_at(), std::nullopt);
  window.record(Outcome::pass, began + 7s);
  EXPECT_EQ(window.stable_at(), began + 11s);
  window.evaluate(nobody_waits, began + 11s - 1ns); // the traffic is there already
  window.evaluate(standby, began + 11s - 1ns);
  EXPECT_EQ(window.health(), Health::full);
  window.evaluate(standby, began + 11s);
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails_or_full(began + 11s), 0U);
}

TEST(FailureWindow, ADownServerThatAnswersThatItIsFullIsAlive) {
  FailureWindow window = window_with({1s, 2s, 3s});
  window.record(Outcome::full, began + 4s);
  window.evaluate(nobody_waits, began + 4s);
  EXPECT_EQ(window.health(), Health::down) << "two of them, as for up";
  EXPECT_FALSE(window.in_burst());
  window.record(Outcome::pass, began + 5s);
  EXPECT_EQ(window.stable_at(), began + 9s);
  window.evaluate(standby, began + 9s - 1ns);
  EXPECT_EQ(window.health(), Health::down);
  window.evaluate(nobody_waits, began + 9s - 1ns);
  EXPECT_EQ(window.health(), Health::full);
  EXPECT_EQ(window.fails(began + 9s), 0U);
}

TEST(FailureWindow, UnknownIsFullByTheSameRuleAsDown) {
  FailureWindow window{three_in_ten, two_for_five};
  window.record(Outcome::full, began);
  window.record(Outcome::full, began);
  window.evaluate(nobody_waits, began);
  EXPECT_EQ(window.health(), Health::unknown);
  window.record(Outcome::full, began);
  EXPECT_EQ(window.health(), Health::full);
}

TEST(FailureWindow, ABurstOfAFullServerEndsWithFullAnswersToo) {
  FailureWindow window = full_window();
  ASSERT_TRUE(window.start_burst(began + 4s));
  for (int count = 0; count < 2; ++count) window.record(Outcome::full, began + 4s);
  EXPECT_TRUE(window.in_burst());
  window.record(Outcome::pass, began + 4s);
  EXPECT_FALSE(window.in_burst());
}

TEST(FailureWindow, IsCleanAfterUp) {
  FailureWindow window = window_with({1s, 2s, 3s});
  ASSERT_EQ(window.health(), Health::down);
  window.record(Outcome::pass, began + 4s);
  window.record(Outcome::pass, began + 4s);
  window.evaluate(nobody_waits, began + 4s);
  ASSERT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(began + 4s), 0U);
  window.record(Outcome::fail, began + 5s);
  window.record(Outcome::fail, began + 5s);
  EXPECT_EQ(window.health(), Health::up);
  window.record(Outcome::fail, began + 5s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(FailureWindow, IsUnknownUntilSomethingIsKnown) {
  FailureWindow window{three_in_ten, two_for_five};
  window.evaluate(nobody_waits, began);
  EXPECT_EQ(window.health(), Health::unknown);
  EXPECT_TRUE(window.in_burst());
  window.record(Outcome::fail, began);
  window.record(Outcome::fail, began);
  window.evaluate(nobody_waits, began);
  EXPECT_EQ(window.health(), Health::unknown);
}

TEST(FailureWindow, TheFirstPassEndsUnknownWhereNoTrafficMovesByIt) {
  for (const Context& context : {nobody_waits, Context{.target_works = false, .preferred = true}, standby}) {
    FailureWindow window{three_in_ten, two_for_five};
    window.record(Outcome::pass, began);
    window.evaluate(context, began);
    EXPECT_EQ(window.health(), Health::up);
  }
}

TEST(FailureWindow, AnUnknownServerTakesTrafficFromOneThatIsUpOnlyWhenItIsStable) {
  FailureWindow window{three_in_ten, two_for_five};
  window.record(Outcome::pass, began);
  window.evaluate(takes_over, began + 1h);
  EXPECT_EQ(window.health(), Health::unknown) << "one pass of two";
  window.record(Outcome::pass, began + 1s);
  window.evaluate(takes_over, began + 5s - 1ns);
  EXPECT_EQ(window.health(), Health::unknown);
  window.evaluate(takes_over, began + 5s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(FailureWindow, ADownServerWaitsForStableForOnlyWhileAnotherWorks) {
  for (const bool preferred : {false, true}) {
    FailureWindow window = window_with({1s, 2s, 3s});
    window.record(Outcome::pass, began + 4s);
    window.evaluate({.target_works = false, .preferred = preferred}, began + 4s);
    EXPECT_EQ(window.health(), Health::down) << "passes are needed even in a hurry";
    window.record(Outcome::pass, began + 5s);
    window.evaluate({.target_works = true, .preferred = preferred}, began + 9s - 1ns);
    EXPECT_EQ(window.health(), Health::down);
    EXPECT_EQ(window.stable_at(), began + 9s);
    FailureWindow hurried = window;
    hurried.evaluate({.target_works = false, .preferred = preferred}, began + 5s);
    EXPECT_EQ(hurried.health(), Health::up);
    window.evaluate({.target_works = true, .preferred = preferred}, began + 9s);
    EXPECT_EQ(window.health(), Health::up);
    EXPECT_EQ(window.stable_at(), std::nullopt);
  }
}

TEST(FailureWindow, AFailBeginsTheRunAnew) {
  FailureWindow window = window_with({1s, 2s, 3s});
  window.record(Outcome::pass, began + 4s);
  window.record(Outcome::fail, began + 30s);
  window.record(Outcome::pass, began + 31s);
  EXPECT_EQ(window.stable_at(), std::nullopt);
  window.record(Outcome::pass, began + 32s);
  EXPECT_EQ(window.stable_at(), began + 36s);
}

TEST(FailureWindow, IsNotUpBeforeItIsEvaluated) {
  FailureWindow window = window_with({1s, 2s, 3s});
  for (int count = 0; count < 100; ++count) window.record(Outcome::pass, began + 4s + count * 1s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(FailureWindow, ABurstEndsAfterAsManyPassesInARowAsFailsAreAllowed) {
  FailureWindow window = window_with({1s});
  for (int count = 0; count < 2; ++count) window.record(Outcome::pass, began + 2s);
  EXPECT_TRUE(window.in_burst());
  window.record(Outcome::fail, began + 2s); // in a row: counted anew
  for (int count = 0; count < 2; ++count) window.record(Outcome::pass, began + 2s);
  EXPECT_TRUE(window.in_burst());
  window.record(Outcome::pass, began + 2s);
  EXPECT_FALSE(window.in_burst()) << "though the window still remembers " << window.fails(began + 2s);
}

TEST(FailureWindow, ABurstEndsWithTheVerdict) {
  EXPECT_TRUE(window_with({1s, 2s}).in_burst());
  FailureWindow window = window_with({1s, 2s, 3s});
  EXPECT_FALSE(window.in_burst());
  window.record(Outcome::fail, began + 4s);
  EXPECT_FALSE(window.in_burst()) << "a server that is down already is not probed faster for it";
  window.record(Outcome::fail, began + 1h);
  EXPECT_FALSE(window.in_burst()) << "nor when the window has run empty";
}

TEST(FailureWindow, ASignalBeginsABurstAndIsNoVerdict) {
  FailureWindow window = window_with({});
  EXPECT_FALSE(window.in_burst());
  EXPECT_TRUE(window.start_burst(began));
  EXPECT_TRUE(window.in_burst());
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(began), 0U);
  for (int count = 0; count < 3; ++count) window.record(Outcome::pass, began);
  EXPECT_FALSE(window.in_burst());
}

TEST(FailureWindow, ASignalDoesNotHurryAServerThatIsDown) {
  FailureWindow window = window_with({1s, 2s, 3s});
  EXPECT_FALSE(window.start_burst(began + 4s));
  EXPECT_FALSE(window.in_burst());
}

TEST(FailureWindow, ASignalDuringABurstChangesNothing) {
  FailureWindow window = window_with({});
  EXPECT_TRUE(window.start_burst(began));
  for (int count = 0; count < 2; ++count) window.record(Outcome::pass, began);
  EXPECT_FALSE(window.start_burst(began + 2s)) << "a burst is bounded, whatever signals come";
  window.record(Outcome::pass, began);
  EXPECT_FALSE(window.in_burst());
}

TEST(FailureWindow, SignalsBeginABurstAtMostOnceASecond) {
  FailureWindow window = window_with({});
  EXPECT_TRUE(window.start_burst(began));
  for (int count = 0; count < 3; ++count) window.record(Outcome::pass, began);
  EXPECT_FALSE(window.start_burst(began + 999ms));
  EXPECT_FALSE(window.in_burst());
  EXPECT_TRUE(window.start_burst(began + 1s));
}

TEST(FailureWindow, NewRulesKeepTheVerdictAndTheNewestResults) {
  FailureWindow window = window_with({1s, 2s});
  window.set_rules({.fails = 1, .within = 10s}, two_for_five);
  EXPECT_EQ(window.health(), Health::up) << "judged at the next result";
  EXPECT_EQ(window.fails(began + 11s), 1U) << "the newer one of the two";
  window.record(Outcome::fail, began + 11s);
  EXPECT_EQ(window.health(), Health::down);
  window.set_rules(three_in_ten, {.passes = 1, .stable_for = 0s});
  EXPECT_EQ(window.health(), Health::down);
  window.record(Outcome::pass, began + 12s);
  window.evaluate(takes_over, began + 12s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(FailureWindow, ALongerRuleGoesOnCountingWhereTheShorterOneStood) {
  FailureWindow window = window_with({1s, 2s});
  window.set_rules({.fails = 4, .within = 10s}, two_for_five);
  window.record(Outcome::fail, began + 3s);
  EXPECT_EQ(window.health(), Health::up);
  window.record(Outcome::fail, began + 4s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(Combine, IsTheWorstOfAll) {
  constexpr std::array all{Health::unknown, Health::up, Health::full, Health::down};
  EXPECT_EQ(combine({}), Health::unknown);
  for (const Health a : all) {
    EXPECT_EQ(combine(std::array{a}), a);
    for (const Health b : all)
      for (const Health c : all) {
        const std::array three{a, b, c};
        const auto any = [&](Health health) { return a == health || b == health || c == health; };
        const Health expected = any(Health::down)      ? Health::down
                                : any(Health::unknown) ? Health::unknown
                                : any(Health::full)    ? Health::full
                                                       : Health::up;
        EXPECT_EQ(combine(three), expected);
      }
  }
}

TEST(FailureWindow, SaysWhatWasEnoughToBecomeUp) {
  for (const bool hurry : {true, false}) {
    FailureWindow window{three_in_ten, two_for_five};
    for (int second = 0; second < 3; ++second) window.record(probes::Outcome::fail, Time{100s} + second * 1s);
    ASSERT_EQ(window.health(), Health::down);
    for (int second = 10; window.health() == Health::down; ++second) {
      window.record(probes::Outcome::pass, Time{100s} + second * 1s);
      window.evaluate({.target_works = !hurry, .preferred = true}, Time{100s} + second * 1s);
    }
    EXPECT_EQ(window.up_by(), (UpRule{.passes = 2, .stable_for = hurry ? 0s : 5s})) << "without a target nobody waits for the time";
  }
}

} // namespace
} // namespace hanat
