// The window of one question, against an oracle that keeps every answer and knows the rules only by their words.
#include "daemon/health.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;

constexpr Time start{1'000s};
constexpr Situation nobody_waits{};
constexpr Situation standby{.target_works = true, .preferred = false};
constexpr Situation takes_over{.target_works = true, .preferred = true};

/// What happened to one question, in order. A signal is no answer.
enum class What : std::uint8_t { normal, abnormal, blind, signal };
struct Entry {
  What what = What::normal;
  Time at{};
  Health after = Health::unknown; // the health once it was taken in
};

/// Forgets nothing and computes everything anew from the first entry.
class Oracle {
public:
  Oracle(const DownRule& down, const UpRule& up) : down_(down), up_(up) {}

  void take(What what, Time now) {
    if (what == What::signal && (health_ == Health::down || urgent() || signalled_within_a_second(now))) return;
    entries_.push_back({what, now, health_});
    if (what == What::abnormal && abnormal_within(now) >= down_.fails) entries_.back().after = health_ = Health::down;
  }

  void assess(const Situation& situation, Time now) {
    if (health_ == Health::up) return;
    const auto [length, began] = run();
    const bool hurry = !situation.target_works;
    const bool enough = length >= up_.passes && (hurry || now >= began + up_.stable_for);
    const bool undisputed = health_ == Health::unknown && (hurry || !situation.preferred);
    if (!enough && !(undisputed && length >= 1)) return;
    health_ = Health::up;
    clean_from_ = entries_.size();
  }

  Health health() const { return health_; }
  unsigned fails(Time now) const { return std::min(abnormal_within(now), down_.fails); }

  std::optional<Time> stable_at() const {
    const auto [length, began] = run();
    if (health_ == Health::up || length < up_.passes) return std::nullopt;
    return began + up_.stable_for;
  }

  bool urgent() const {
    if (health_ == Health::unknown) return true;
    const auto last_begin = std::ranges::find_if(entries_.rbegin(), entries_.rend(), [](const Entry& entry) {
      return entry.what == What::signal || (entry.what == What::abnormal && entry.after != Health::down);
    });
    if (last_begin == entries_.rend()) return false;
    unsigned normal = 0;
    for (auto since = last_begin.base(); since != entries_.end(); ++since) {
      if (since->what == What::abnormal) return false; // it would have begun another burst, had it not been a verdict
      if (since->what == What::normal) ++normal;
    }
    return normal < down_.fails;
  }

  std::string history() const {
    std::string text = fmt::format("{} fails within {} ms, {} passes, stable for {} ms:", down_.fails, in_ms(down_.within), up_.passes,
                                   in_ms(up_.stable_for));
    for (const Entry& entry : entries_) text += fmt::format(" {}@{}", "+-?!"[static_cast<int>(entry.what)], in_ms(entry.at - start));
    return text;
  }

private:
  static long in_ms(Clock::duration length) { return std::chrono::duration_cast<std::chrono::milliseconds>(length).count(); }

  bool signalled_within_a_second(Time now) const {
    return std::ranges::any_of(entries_, [now](const Entry& entry) { return entry.what == What::signal && now < entry.at + 1s; });
  }

  unsigned abnormal_within(Time now) const {
    unsigned count = 0;
    for (std::size_t index = clean_from_; index < entries_.size(); ++index)
      if (entries_[index].what == What::abnormal && entries_[index].at + down_.within > now) ++count;
    return count;
  }

  struct Run {
    unsigned length = 0;
    Time began{};
  };
  /// Normal answers in a row, up to now.
  Run run() const {
    Run result;
    for (const Entry& entry : entries_) {
      if (entry.what == What::abnormal) result = {};
      if (entry.what != What::normal) continue;
      if (result.length++ == 0) result.began = entry.at;
    }
    return result;
  }

  DownRule down_;
  UpRule up_;
  std::vector<Entry> entries_;
  Health health_ = Health::unknown;
  std::size_t clean_from_ = 0;
};

void feed(Window& window, What what, Time now) {
  switch (what) {
  case What::normal: window.record(Outcome::normal, now); return;
  case What::abnormal: window.record(Outcome::abnormal, now); return;
  case What::blind: window.record(Outcome::blind, now); return;
  case What::signal: window.signal(now); return;
  }
}

/// What differs between the two, in words; empty: nothing.
std::string difference(const Window& window, const Oracle& oracle, Time now) {
  if (window.health() != oracle.health()) return fmt::format("is {}, not {}", to_text(window.health()), to_text(oracle.health()));
  if (window.fails(now) != oracle.fails(now)) return fmt::format("{} fails, not {}", window.fails(now), oracle.fails(now));
  if (window.urgent() != oracle.urgent()) return fmt::format("urgent is {}", window.urgent());
  if (window.stable_at() != oracle.stable_at()) return "another stable_at()";
  return {};
}

/// A question with rules and a life of its own. Times are whole steps, so that many things happen exactly at an edge.
struct Life {
  Window window;
  Oracle oracle;
  int out_of_ten_abnormal = 0;

  static Life random(std::mt19937& dice) {
    const auto pick = [&](int least, int most) { return std::uniform_int_distribution{least, most}(dice); };
    const DownRule down{.fails = static_cast<unsigned>(pick(1, 5)), .within = pick(1, 12) * 1s};
    const UpRule up{.passes = static_cast<unsigned>(pick(1, 4)), .stable_for = pick(0, 8) * 1s};
    return {Window{down, up}, Oracle{down, up}, pick(0, 10)};
  }

  void live(std::mt19937& dice, Time now) {
    const auto one_of = [&](int number) { return std::uniform_int_distribution{1, number}(dice) == 1; };
    What what = std::uniform_int_distribution{1, 10}(dice) <= out_of_ten_abnormal ? What::abnormal : What::normal;
    if (one_of(8)) what = What::blind;
    if (one_of(12)) what = What::signal;
    if (one_of(15)) out_of_ten_abnormal = 10 - out_of_ten_abnormal;
    feed(window, what, now);
    oracle.take(what, now);
    if (one_of(4)) return; // nobody asks at once
    const Situation situation{.target_works = one_of(2), .preferred = one_of(2)};
    window.assess(situation, now);
    oracle.assess(situation, now);
  }
};

TEST(Window, AgreesWithTheOracleOverRandomHistories) {
  unsigned downs = 0;
  unsigned ups = 0;
  for (unsigned seed = 0; seed < 5'000; ++seed) {
    std::mt19937 dice{seed};
    std::vector<Life> questions{Life::random(dice), Life::random(dice)}; // side by side: neither may know of the other
    Time now = start;
    for (int step = 0; step < 40; ++step) {
      now += std::uniform_int_distribution{0, 3}(dice)*1s;
      for (Life& question : questions) {
        const Health before = question.window.health();
        if (std::uniform_int_distribution{1, 3}(dice) != 1) question.live(dice, now);
        downs += before != Health::down && question.window.health() == Health::down;
        ups += before == Health::down && question.window.health() == Health::up;
        const std::string wrong = difference(question.window, question.oracle, now);
        ASSERT_TRUE(wrong.empty()) << wrong << ": seed " << seed << ", step " << step << ", " << question.oracle.history();
      }
    }
  }
  EXPECT_GT(downs, 5'000U) << "histories in which nothing happens prove nothing";
  EXPECT_GT(ups, 2'000U);
}

TEST(Window, AgreesWithTheOracleAtEveryMomentBetweenTwoAnswers) {
  for (unsigned seed = 0; seed < 1'000; ++seed) {
    std::mt19937 dice{seed};
    Life question = Life::random(dice);
    for (int step = 0; step < 20; ++step) {
      question.live(dice, start + step * 1s);
      for (const auto later : {0ns, 1ns, 999'999'999ns}) {
        const std::string wrong = difference(question.window, question.oracle, start + step * 1s + later);
        ASSERT_TRUE(wrong.empty()) << wrong << ": seed " << seed << ", step " << step << ", " << question.oracle.history();
      }
    }
  }
}

const DownRule three_in_ten{.fails = 3, .within = 10s};
const UpRule two_for_five{.passes = 2, .stable_for = 5s};

Window window_with(std::initializer_list<Clock::duration> abnormal, const DownRule& down = three_in_ten) {
  Window window{down, two_for_five};
  window.record(Outcome::normal, start);
  window.assess(nobody_waits, start);
  for (const Clock::duration at : abnormal) window.record(Outcome::abnormal, start + at);
  return window;
}

TEST(Window, IsDownWithTheLastOfMWithinT) {
  EXPECT_EQ(window_with({1s, 5s}).health(), Health::up);
  EXPECT_EQ(window_with({1s, 5s, 10'999ms}).health(), Health::down);
}

TEST(Window, AnAnswerThatIsExactlyTOldCountsNoMore) {
  EXPECT_EQ(window_with({1s, 5s, 11s - 1ns}).health(), Health::down);
  EXPECT_EQ(window_with({1s, 5s, 11s}).health(), Health::up);
  EXPECT_EQ(window_with({1s}).fails(start + 11s - 1ns), 1U);
  EXPECT_EQ(window_with({1s}).fails(start + 11s), 0U);
}

TEST(Window, AnyNumberOfAbnormalAnswersSpreadWiderThanTIsNoVerdict) {
  Window window = window_with({});
  for (int count = 0; count < 1'000; ++count) {
    window.record(Outcome::abnormal, start + count * 5s);
    ASSERT_EQ(window.health(), Health::up) << count;
  }
}

TEST(Window, SlidesInsteadOfBeginningAnew) { EXPECT_EQ(window_with({0s, 9s, 11s, 13s}).health(), Health::down); }

TEST(Window, NormalAnswersBetweenDoNotWipeAbnormalOnesAway) {
  Window window = window_with({1s});
  for (const auto at : {2s, 4s, 6s}) {
    window.record(Outcome::normal, start + at);
    window.assess(nobody_waits, start + at);
    window.record(Outcome::abnormal, start + at + 1s);
  }
  EXPECT_EQ(window.health(), Health::down);
}

TEST(Window, OneFailIsEnoughWhereTheRuleSaysOne) { EXPECT_EQ(window_with({1s}, {.fails = 1, .within = 1s}).health(), Health::down); }

TEST(Window, BlindAnswersChangeNothing) {
  Window window = window_with({1s, 2s});
  for (int count = 0; count < 100; ++count) window.record(Outcome::blind, start + 3s);
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(start + 3s), 2U);
  EXPECT_TRUE(window.urgent());
  Window fresh{three_in_ten, two_for_five};
  fresh.record(Outcome::blind, start);
  fresh.assess(nobody_waits, start);
  EXPECT_EQ(fresh.health(), Health::unknown);
}

TEST(Window, BlindAnswersDoNotBreakARunOfNormalOnes) {
  Window window = window_with({1s, 2s, 3s});
  window.record(Outcome::normal, start + 4s);
  window.record(Outcome::blind, start + 5s);
  window.record(Outcome::normal, start + 6s);
  window.assess(standby, start + 9s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(Window, IsCleanAfterUp) {
  Window window = window_with({1s, 2s, 3s});
  ASSERT_EQ(window.health(), Health::down);
  window.record(Outcome::normal, start + 4s);
  window.record(Outcome::normal, start + 4s);
  window.assess(nobody_waits, start + 4s);
  ASSERT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(start + 4s), 0U);
  window.record(Outcome::abnormal, start + 5s);
  window.record(Outcome::abnormal, start + 5s);
  EXPECT_EQ(window.health(), Health::up);
  window.record(Outcome::abnormal, start + 5s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(Window, IsUnknownUntilSomethingIsKnown) {
  Window window{three_in_ten, two_for_five};
  window.assess(nobody_waits, start);
  EXPECT_EQ(window.health(), Health::unknown);
  EXPECT_TRUE(window.urgent());
  window.record(Outcome::abnormal, start);
  window.record(Outcome::abnormal, start);
  window.assess(nobody_waits, start);
  EXPECT_EQ(window.health(), Health::unknown);
}

TEST(Window, TheFirstNormalAnswerEndsUnknownWhereNoTrafficMovesByIt) {
  for (const Situation& situation : {nobody_waits, Situation{.target_works = false, .preferred = true}, standby}) {
    Window window{three_in_ten, two_for_five};
    window.record(Outcome::normal, start);
    window.assess(situation, start);
    EXPECT_EQ(window.health(), Health::up);
  }
}

TEST(Window, AnUnknownServerTakesTrafficFromAFitOneOnlyWhenItIsStable) {
  Window window{three_in_ten, two_for_five};
  window.record(Outcome::normal, start);
  window.assess(takes_over, start + 1h);
  EXPECT_EQ(window.health(), Health::unknown) << "one pass of two";
  window.record(Outcome::normal, start + 1s);
  window.assess(takes_over, start + 5s - 1ns);
  EXPECT_EQ(window.health(), Health::unknown);
  window.assess(takes_over, start + 5s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(Window, ADownServerWaitsForStableForOnlyWhileAnotherWorks) {
  for (const bool preferred : {false, true}) {
    Window window = window_with({1s, 2s, 3s});
    window.record(Outcome::normal, start + 4s);
    window.assess({.target_works = false, .preferred = preferred}, start + 4s);
    EXPECT_EQ(window.health(), Health::down) << "passes are needed even in a hurry";
    window.record(Outcome::normal, start + 5s);
    window.assess({.target_works = true, .preferred = preferred}, start + 9s - 1ns);
    EXPECT_EQ(window.health(), Health::down);
    EXPECT_EQ(window.stable_at(), start + 9s);
    Window hurried = window;
    hurried.assess({.target_works = false, .preferred = preferred}, start + 5s);
    EXPECT_EQ(hurried.health(), Health::up);
    window.assess({.target_works = true, .preferred = preferred}, start + 9s);
    EXPECT_EQ(window.health(), Health::up);
    EXPECT_EQ(window.stable_at(), std::nullopt);
  }
}

TEST(Window, AnAbnormalAnswerBeginsTheRunAnew) {
  Window window = window_with({1s, 2s, 3s});
  window.record(Outcome::normal, start + 4s);
  window.record(Outcome::abnormal, start + 30s);
  window.record(Outcome::normal, start + 31s);
  EXPECT_EQ(window.stable_at(), std::nullopt);
  window.record(Outcome::normal, start + 32s);
  EXPECT_EQ(window.stable_at(), start + 36s);
}

TEST(Window, DoesNotSayUpWithoutBeingAsked) {
  Window window = window_with({1s, 2s, 3s});
  for (int count = 0; count < 100; ++count) window.record(Outcome::normal, start + 4s + count * 1s);
  EXPECT_EQ(window.health(), Health::down);
}

TEST(Window, ABurstEndsAfterAsManyNormalAnswersInARowAsFailsAreAllowed) {
  Window window = window_with({1s});
  for (int count = 0; count < 2; ++count) window.record(Outcome::normal, start + 2s);
  EXPECT_TRUE(window.urgent());
  window.record(Outcome::abnormal, start + 2s); // in a row: counted anew
  for (int count = 0; count < 2; ++count) window.record(Outcome::normal, start + 2s);
  EXPECT_TRUE(window.urgent());
  window.record(Outcome::normal, start + 2s);
  EXPECT_FALSE(window.urgent()) << "though the window still remembers " << window.fails(start + 2s);
}

TEST(Window, ABurstEndsWithTheVerdict) {
  EXPECT_TRUE(window_with({1s, 2s}).urgent());
  Window window = window_with({1s, 2s, 3s});
  EXPECT_FALSE(window.urgent());
  window.record(Outcome::abnormal, start + 4s);
  EXPECT_FALSE(window.urgent()) << "a server that is down already is not asked faster for it";
  window.record(Outcome::abnormal, start + 1h);
  EXPECT_FALSE(window.urgent()) << "nor when the window has run empty";
}

TEST(Window, ASignalAsksAndJudgesNothing) {
  Window window = window_with({});
  EXPECT_FALSE(window.urgent());
  EXPECT_TRUE(window.signal(start));
  EXPECT_TRUE(window.urgent());
  EXPECT_EQ(window.health(), Health::up);
  EXPECT_EQ(window.fails(start), 0U);
  for (int count = 0; count < 3; ++count) window.record(Outcome::normal, start);
  EXPECT_FALSE(window.urgent());
}

TEST(Window, ASignalDoesNotHurryAServerThatIsDown) {
  Window window = window_with({1s, 2s, 3s});
  EXPECT_FALSE(window.signal(start + 4s));
  EXPECT_FALSE(window.urgent());
}

TEST(Window, ASignalDuringABurstChangesNothing) {
  Window window = window_with({});
  EXPECT_TRUE(window.signal(start));
  for (int count = 0; count < 2; ++count) window.record(Outcome::normal, start);
  EXPECT_FALSE(window.signal(start + 2s)) << "a burst is bounded, whoever knocks";
  window.record(Outcome::normal, start);
  EXPECT_FALSE(window.urgent());
}

TEST(Window, SignalsBeginABurstAtMostOnceASecond) {
  Window window = window_with({});
  EXPECT_TRUE(window.signal(start));
  for (int count = 0; count < 3; ++count) window.record(Outcome::normal, start);
  EXPECT_FALSE(window.signal(start + 999ms));
  EXPECT_FALSE(window.urgent());
  EXPECT_TRUE(window.signal(start + 1s));
}

TEST(Window, NewRulesKeepTheVerdictAndTheNewestAnswers) {
  Window window = window_with({1s, 2s});
  window.set_rules({.fails = 1, .within = 10s}, two_for_five);
  EXPECT_EQ(window.health(), Health::up) << "judged at the next answer";
  EXPECT_EQ(window.fails(start + 11s), 1U) << "the newer one of the two";
  window.record(Outcome::abnormal, start + 11s);
  EXPECT_EQ(window.health(), Health::down);
  window.set_rules(three_in_ten, {.passes = 1, .stable_for = 0s});
  EXPECT_EQ(window.health(), Health::down);
  window.record(Outcome::normal, start + 12s);
  window.assess(takes_over, start + 12s);
  EXPECT_EQ(window.health(), Health::up);
}

TEST(Window, ALongerRuleGoesOnCountingWhereTheShorterOneStood) {
  Window window = window_with({1s, 2s});
  window.set_rules({.fails = 4, .within = 10s}, two_for_five);
  window.record(Outcome::abnormal, start + 3s);
  EXPECT_EQ(window.health(), Health::up);
  window.record(Outcome::abnormal, start + 4s);
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
