// The failure window of one probe over random histories, against an oracle that keeps every result and knows the rules only by their words.
// Not here: single rules (failure_window_test).
#include <algorithm>
#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/decision/failure_window.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;

constexpr Time start{1'000s};

/// What happened to one probe, in order. A signal is no result.
enum class What : std::uint8_t { pass, fail, inconclusive, signal, full };
struct Entry {
  What what = What::pass;
  Time at{};
  Health after = Health::unknown; // the health once it was taken in
  bool verdict = false;           // that it is full
};

/// Forgets nothing and computes everything anew from the first entry.
class Oracle {
public:
  Oracle(const DownRule& down, const UpRule& up) : down_(down), up_(up) {}

  void take(What what, Time now) {
    if (what == What::signal && (health_ == Health::down || in_burst() || signalled_within_a_second(now))) return;
    entries_.push_back({what, now, health_});
    if (what != What::fail && what != What::full) return;
    const bool was_full = health_ == Health::full;
    if (what == What::fail && within({What::fail}, now) >= down_.fails)
      health_ = Health::down;
    else if (health_ != Health::down && within({What::fail, What::full}, now) >= down_.fails)
      health_ = Health::full;
    entries_.back().after = health_;
    entries_.back().verdict = what == What::full && health_ == Health::full && !was_full;
  }

  void evaluate(const Context& context, Time now) {
    if (health_ == Health::up) return;
    const bool hurry = !context.target_works;
    const auto enough = [&](const Run& run) {
      return run.length >= up_.passes && ((hurry && health_ != Health::full) || now >= run.began + up_.stable_for);
    };
    const bool undisputed = health_ == Health::unknown && (hurry || !context.preferred);
    if (enough(run(false)) || (undisputed && run(false).length >= 1))
      health_ = Health::up;
    else if (health_ == Health::down && enough(run(true)))
      health_ = Health::full;
    else
      return;
    clean_from_ = entries_.size();
  }

  Health health() const { return health_; }
  unsigned fails(Time now) const { return std::min(within({What::fail}, now), down_.fails); }
  unsigned fails_or_full(Time now) const { return std::min(within({What::fail, What::full}, now), down_.fails); }

  std::optional<Time> stable_at() const {
    const auto [length, began] = run(health_ == Health::down);
    if (health_ == Health::up || length < up_.passes) return std::nullopt;
    return began + up_.stable_for;
  }

  bool in_burst() const {
    if (health_ == Health::unknown) return true;
    const auto last_begin = std::ranges::find_if(entries_.rbegin(), entries_.rend(), [](const Entry& entry) {
      if (entry.what == What::full) return entry.after == Health::up || entry.after == Health::unknown;
      return entry.what == What::signal || (entry.what == What::fail && entry.after != Health::down);
    });
    if (last_begin == entries_.rend()) return false;
    unsigned passes = 0;
    for (auto since = last_begin.base(); since != entries_.end(); ++since) {
      if (since->what == What::fail || since->verdict) return false; // it would have begun another burst, had it not been a verdict
      if (since->what == What::pass || since->what == What::full) ++passes;
    }
    return passes < down_.fails;
  }

  std::string history() const {
    std::string text = fmt::format("{} fails within {} ms, {} passes, stable for {} ms:", down_.fails, in_ms(down_.within), up_.passes,
                                   in_ms(up_.stable_for));
    for (const Entry& entry : entries_) text += fmt::format(" {}@{}", "+-?!f"[static_cast<int>(entry.what)], in_ms(entry.at - start));
    return text;
  }

private:
  static long in_ms(Clock::duration length) { return std::chrono::duration_cast<std::chrono::milliseconds>(length).count(); }

  bool signalled_within_a_second(Time now) const {
    return std::ranges::any_of(entries_, [now](const Entry& entry) { return entry.what == What::signal && now < entry.at + 1s; });
  }

  unsigned within(std::initializer_list<What> kinds, Time now) const {
    unsigned count = 0;
    for (std::size_t index = clean_from_; index < entries_.size(); ++index)
      if (std::ranges::count(kinds, entries_[index].what) != 0 && entries_[index].at + down_.within > now) ++count;
    return count;
  }

  struct Run {
    unsigned length = 0;
    Time began{};
  };
  /// Passes in a row, up to now; or signs of life, which full answers are too.
  Run run(bool of_life) const {
    Run result;
    for (const Entry& entry : entries_) {
      if (entry.what == What::fail || (entry.what == What::full && !of_life)) result = {};
      if (entry.what != What::pass && !(entry.what == What::full && of_life)) continue;
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

void feed(FailureWindow& window, What what, Time now) {
  switch (what) {
  case What::pass: window.record(Outcome::pass, now); return;
  case What::fail: window.record(Outcome::fail, now); return;
  case What::full: window.record(Outcome::full, now); return;
  case What::inconclusive: window.record(Outcome::inconclusive, now); return;
  case What::signal: window.start_burst(now); return;
  }
}

/// What differs between the two, in words; empty: nothing.
std::string difference(const FailureWindow& window, const Oracle& oracle, Time now) {
  if (window.health() != oracle.health()) return fmt::format("is {}, not {}", to_text(window.health()), to_text(oracle.health()));
  if (window.fails(now) != oracle.fails(now)) return fmt::format("{} fails, not {}", window.fails(now), oracle.fails(now));
  if (window.fails_or_full(now) != oracle.fails_or_full(now)) return "another number of fails and full answers";
  if (window.in_burst() != oracle.in_burst()) return fmt::format("in_burst is {}", window.in_burst());
  if (window.stable_at() != oracle.stable_at()) return "another stable_at()";
  return {};
}

/// A probe with rules and a life of its own. Times are whole steps, so that many things happen exactly at an edge.
struct Life {
  FailureWindow window;
  Oracle oracle;
  int fails_of_ten = 0;

  static Life random(std::mt19937& generator) {
    const auto pick = [&](int least, int most) { return std::uniform_int_distribution{least, most}(generator); };
    const DownRule down{.fails = static_cast<unsigned>(pick(1, 5)), .within = pick(1, 12) * 1s};
    const UpRule up{.passes = static_cast<unsigned>(pick(1, 4)), .stable_for = pick(0, 8) * 1s};
    return {FailureWindow{down, up}, Oracle{down, up}, pick(0, 10)};
  }

  void live(std::mt19937& generator, Time now) {
    const auto one_of = [&](int number) { return std::uniform_int_distribution{1, number}(generator) == 1; };
    What what = std::uniform_int_distribution{1, 10}(generator) <= fails_of_ten ? What::fail : What::pass;
    if (one_of(4)) what = What::full;
    if (one_of(8)) what = What::inconclusive;
    if (one_of(12)) what = What::signal;
    if (one_of(15)) fails_of_ten = 10 - fails_of_ten;
    feed(window, what, now);
    oracle.take(what, now);
    if (one_of(4)) return; // not evaluated at once
    const Context context{.target_works = one_of(2), .preferred = one_of(2)};
    window.evaluate(context, now);
    oracle.evaluate(context, now);
  }
};

TEST(FailureWindow, AgreesWithTheOracleOverRandomHistories) {
  unsigned downs = 0;
  unsigned ups = 0;
  unsigned fulls = 0;
  for (unsigned seed = 0; seed < 2'000; ++seed) {
    std::mt19937 generator{seed};
    std::vector<Life> probes{Life::random(generator), Life::random(generator)}; // side by side: neither may know of the other
    Time now = start;
    for (int step = 0; step < 40; ++step) {
      now += std::uniform_int_distribution{0, 3}(generator)*1s;
      for (Life& probe : probes) {
        const Health before = probe.window.health();
        if (std::uniform_int_distribution{1, 3}(generator) != 1) probe.live(generator, now);
        downs += before != Health::down && probe.window.health() == Health::down;
        ups += before == Health::down && probe.window.health() == Health::up;
        fulls += before != Health::full && probe.window.health() == Health::full;
        const std::string wrong = difference(probe.window, probe.oracle, now);
        ASSERT_TRUE(wrong.empty()) << wrong << ": seed " << seed << ", step " << step << ", " << probe.oracle.history();
      }
    }
  }
  EXPECT_GT(downs, 2'000U) << "histories in which nothing happens prove nothing";
  EXPECT_GT(ups, 400U);
  EXPECT_GT(fulls, 2'000U);
}

TEST(FailureWindow, AgreesWithTheOracleAtEveryMomentBetweenTwoResults) {
  for (unsigned seed = 0; seed < 1'000; ++seed) {
    std::mt19937 generator{seed};
    Life probe = Life::random(generator);
    for (int step = 0; step < 20; ++step) {
      probe.live(generator, start + step * 1s);
      for (const auto later : {0ns, 1ns, 999'999'999ns}) {
        const std::string wrong = difference(probe.window, probe.oracle, start + step * 1s + later);
        ASSERT_TRUE(wrong.empty()) << wrong << ": seed " << seed << ", step " << step << ", " << probe.oracle.history();
      }
    }
  }
}

} // namespace
} // namespace hanat
