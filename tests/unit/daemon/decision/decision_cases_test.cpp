// The policies of decide() in sentences: who has the traffic, by which word, and when it goes back.
// Not here: every combination of inputs (decision_test).
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/decision/decision.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time at_noon{100h};

/// 'u', 'f', 'd' and '?' are servers in order, the primary first.
struct Case {
  std::vector<Candidate> servers;
  DecisionInput input;

  explicit Case(const char* healths_in_order) {
    for (const char* letter = healths_in_order; *letter != 0; ++letter)
      servers.push_back({.health = *letter == 'u'   ? Health::up
                                   : *letter == 'f' ? Health::full
                                   : *letter == 'd' ? Health::down
                                                    : Health::unknown,
                         .up_since = at_noon - 1h});
  }
  Case& current(std::size_t server) { return input.current = server, *this; }
  Case& refused() { return input.refused = true, *this; }
  Case& on_none(OnNone policy) { return input.on_none = policy, *this; }
  Case& manual() { return input.failback.automatic = false, *this; }
  Case& after(Clock::duration length) { return input.failback.after = length, *this; }
  Case& window(std::chrono::minutes from, std::chrono::minutes to) { return input.failback.window = DayWindow{from, to}, *this; }
  Case& up_for(std::size_t server, Clock::duration length) { return servers[server].up_since = at_noon - length, *this; }
  Case& up_in(std::size_t server, Clock::duration wait) { return servers[server].up_at = at_noon + wait, *this; }
  Case& at(std::chrono::seconds day_time) { return input.day_time = day_time, *this; }
  Case& override_ended() { return input.override_ended = true, *this; }

  Decision chosen(Time when = at_noon) {
    input.servers = servers;
    return decide(input, when);
  }
  std::string text() {
    const Decision decision = chosen();
    const std::string words = fmt::format("{} ({})", to_text(decision.reason), to_text(decision.flip_reason));
    switch (decision.kind) {
    case TargetKind::server: return fmt::format("{} {}", decision.server, words);
    case TargetKind::none: return "none " + words;
    case TargetKind::undecided: return "undecided " + words;
    }
    return {};
  }
};

TEST(Choose, WaitsAtTheStartForTheFirstServerInOrder) {
  EXPECT_EQ(Case{"??"}.text(), "undecided starting (starting)");
  EXPECT_EQ(Case{"?u"}.text(), "undecided starting (starting)");
  EXPECT_EQ(Case{"u?"}.text(), "0 primary-up (primary-up)");
  EXPECT_EQ(Case{"d?u"}.text(), "undecided starting (starting)");
  EXPECT_EQ(Case{"duu"}.text(), "1 failover (failover)");
  EXPECT_EQ(Case{"dd"}.text(), "none no-server-up (no-server-up)");
}

TEST(Choose, FailsOverToTheFirstServerThatIsUp) {
  EXPECT_EQ(Case{"du"}.current(0).text(), "1 failover (failover)");
  EXPECT_EQ(Case{"ddu"}.current(0).text(), "2 failover (failover)");
  EXPECT_EQ(Case{"d?u"}.current(0).text(), "2 failover (failover)");
  EXPECT_EQ(Case{"udu"}.current(1).text(), "0 primary-up (failover)") << "also to a server before it, without asking the failback";
  EXPECT_EQ(Case{"udu"}.current(1).manual().text(), "0 primary-up (failover)");
}

TEST(Choose, RefusesWhenNobodyIsFitUntilSomebodyIs) {
  EXPECT_EQ(Case{"dd"}.current(0).text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Case{"dd"}.current(0).on_none(OnNone::drop).text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Case{"dd"}.refused().text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Case{"d?"}.refused().text(), "none no-server-up (no-server-up)") << "once refused, not knowing is no reason to be silent";
  EXPECT_EQ(Case{"?u"}.refused().text(), "1 failover (recovered)") << "nor to wait for a better one";
  EXPECT_EQ(Case{"ud"}.refused().text(), "0 primary-up (recovered)") << "the first move after an outage is no failover";
}

TEST(Choose, KeepsTheLastTargetWhereTheOperatorWantsThat) {
  EXPECT_EQ(Case{"dd"}.current(1).on_none(OnNone::keep).text(), "1 no-server-up-kept (no-server-up-kept)");
  EXPECT_EQ(Case{"du"}.current(1).on_none(OnNone::keep).text(), "1 failover (starting)") << "the kept one is up again: nothing happens";
  EXPECT_EQ(Case{"ud"}.current(1).on_none(OnNone::keep).text(), "0 primary-up (failover)") << "another is: a normal flip";
  EXPECT_EQ(Case{"dd"}.on_none(OnNone::keep).text(), "none no-server-up (no-server-up)") << "nobody had it";
}

TEST(Choose, SaysWhenTheTrafficGoesBackToAServerThatIsRecovering) {
  EXPECT_EQ(Case{"du"}.current(1).chosen().failback_at, std::nullopt);
  EXPECT_EQ(Case{"du"}.current(1).up_in(0, 3s).chosen().failback_at, at_noon + 3s);
  EXPECT_EQ(Case{"du"}.current(1).up_in(0, 3s).chosen().server, 1U) << "it stays where it is until then";
  EXPECT_EQ(Case{"du"}.current(1).up_in(0, 3s).after(30s).chosen().failback_at, at_noon + 33s);
  EXPECT_EQ(Case{"du"}.current(1).up_in(0, 3s).window(2h, 4h).at(12h).chosen().failback_at, at_noon + 14h);
  EXPECT_EQ(Case{"ddu"}.current(2).up_in(0, 9s).up_in(1, 3s).chosen().failback_at, at_noon + 3s) << "first to the backup";
  EXPECT_EQ(Case{"du"}.current(1).up_in(0, 3s).manual().chosen().failback_at, std::nullopt);
  EXPECT_EQ(Case{"udd"}.current(0).up_in(1, 3s).chosen().failback_at, std::nullopt) << "it is not preferred";
}

TEST(Choose, AnAdoptedTargetStaysWhileItIsUnknown) {
  EXPECT_EQ(Case{"?u"}.current(0).text(), "0 adopted (starting)");
  EXPECT_EQ(Case{"d?"}.current(1).text(), "1 adopted (starting)");
  EXPECT_EQ(Case{"u?"}.current(1).text(), "0 primary-up (failback)");
}

TEST(Choose, AFullServerGetsNoNewFlowsWhereAnotherIsUp) {
  EXPECT_EQ(Case{"fu"}.current(0).text(), "1 full (full)");
  EXPECT_EQ(Case{"fdu"}.current(0).text(), "2 full (full)");
  EXPECT_EQ(Case{"ffu"}.current(1).text(), "2 full (full)");
  EXPECT_EQ(Case{"fu"}.current(1).text(), "1 full (starting)") << "and the backup keeps them while it is full";
  EXPECT_EQ(Case{"fu"}.text(), "1 full (full)") << "at the start, too";
  EXPECT_EQ(Case{"fu"}.refused().text(), "1 full (recovered)");
}

TEST(Choose, AFullServerKeepsTheTrafficWhereNoOtherIsUp) {
  for (const char* servers : {"f", "fd", "ff", "f?", "fd?"})
    EXPECT_EQ(Case{servers}.current(0).text(), "0 full-kept (starting)") << servers;
  EXPECT_EQ(Case{"df"}.current(1).text(), "1 full-kept (starting)");
  EXPECT_EQ(Case{"ff"}.current(1).text(), "1 full-kept (starting)") << "there is nothing to be won by moving";
  EXPECT_EQ(Case{"fd"}.current(0).on_none(OnNone::keep).text(), "0 full-kept (starting)");
}

TEST(Choose, AFullServerIsBetterThanNone) {
  EXPECT_EQ(Case{"df"}.current(0).text(), "1 full-kept (failover)");
  EXPECT_EQ(Case{"df"}.current(0).on_none(OnNone::keep).text(), "1 full-kept (failover)");
  EXPECT_EQ(Case{"fd"}.refused().text(), "0 full-kept (full-kept)");
  EXPECT_EQ(Case{"fd"}.text(), "0 full-kept (full-kept)");
  EXPECT_EQ(Case{"f?"}.text(), "undecided starting (starting)") << "the backup may be up";
  EXPECT_EQ(Case{"dff"}.current(0).text(), "1 full-kept (failover)");
  EXPECT_EQ(Case{"dfu"}.current(0).text(), "2 full (failover)") << "one that is up is better still";
}

TEST(Choose, AwayFromAFullBackupFailbackIsStillAsked) {
  EXPECT_EQ(Case{"uf"}.current(1).text(), "0 primary-up (full)") << "a failback that resets nobody at the backup";
  EXPECT_EQ(Case{"uf"}.current(1).manual().text(), "1 full-kept (starting)") << "the primary may be out of date";
  EXPECT_EQ(Case{"ufu"}.current(1).manual().text(), "2 full (full)");
  EXPECT_EQ(Case{"uf"}.current(1).after(30s).up_for(0, 29s).chosen().failback_at, at_noon + 1s);
  EXPECT_EQ(Case{"ufu"}.current(1).after(30s).up_for(0, 29s).text(), "2 full (full)");
  EXPECT_EQ(Case{"uf"}.current(1).manual().override_ended().text(), "0 primary-up (full)");
}

TEST(Choose, AServerThatIsNoLongerFullComesBackByTheOrdinaryRules) {
  EXPECT_EQ(Case{"uu"}.current(1).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uu"}.current(1).manual().text(), "1 failover (starting)");
  EXPECT_EQ(Case{"uu"}.current(1).after(30s).up_for(0, 0s).chosen().failback_at, at_noon + 30s);
}

TEST(Choose, FailsBackAtOnceWhenNothingSaysOtherwise) {
  EXPECT_EQ(Case{"uu"}.current(1).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"duu"}.current(2).text(), "1 failover (failback)") << "also from one backup to a better one";
  EXPECT_EQ(Case{"du"}.current(1).text(), "1 failover (starting)");
  EXPECT_EQ(Case{"uu"}.current(0).text(), "0 primary-up (starting)") << "never away from the primary";
}

TEST(Choose, ManualFailbackWaitsForTheEndOfAnOverride) {
  EXPECT_EQ(Case{"uu"}.current(1).manual().text(), "1 failover (starting)");
  EXPECT_EQ(Case{"uu"}.current(1).manual().chosen().failback_at, std::nullopt);
  EXPECT_EQ(Case{"uu"}.current(1).manual().override_ended().text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uu"}.current(1).after(2h).override_ended().text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uu"}.current(1).window(2h, 4h).at(12h).override_ended().text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"?u"}.current(1).override_ended().text(), "1 failover (starting)") << "not to a server that nobody knows to be up";
}

TEST(Choose, FailbackAfterCountsFromWhenThePreferredServerCameUp) {
  EXPECT_EQ(Case{"uu"}.current(1).after(30s).up_for(0, 29s).up_for(1, 1h).chosen().failback_at, at_noon + 1s);
  EXPECT_EQ(Case{"uu"}.current(1).after(30s).up_for(0, 30s).up_for(1, 0s).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uuu"}.current(2).after(30s).up_for(0, 10s).up_for(1, 1h).chosen().failback_at, at_noon + 20s)
      << "the best one is waited for, not a lesser one taken in between";
}

TEST(Choose, FailbackWindowHasItsFirstMomentAndNotItsLast) {
  const auto waits = [](std::chrono::seconds day_time) { return Case{"uu"}.current(1).window(2h, 4h).at(day_time).chosen().failback_at; };
  EXPECT_EQ(waits(2h - 1s), at_noon + 1s);
  EXPECT_EQ(waits(2h), std::nullopt);
  EXPECT_EQ(waits(4h - 1s), std::nullopt);
  EXPECT_EQ(waits(4h), at_noon + 22h);
  EXPECT_EQ(waits(0s), at_noon + 2h);
  EXPECT_EQ(waits(24h - 1s), at_noon + 2h + 1s);
}

TEST(Choose, FailbackWindowMayRunOverMidnight) {
  const auto waits = [](std::chrono::seconds day_time) { return Case{"uu"}.current(1).window(22h, 4h).at(day_time).chosen().failback_at; };
  EXPECT_EQ(waits(22h - 1s), at_noon + 1s);
  EXPECT_EQ(waits(22h), std::nullopt);
  EXPECT_EQ(waits(24h - 1s), std::nullopt);
  EXPECT_EQ(waits(0s), std::nullopt);
  EXPECT_EQ(waits(4h - 1s), std::nullopt);
  EXPECT_EQ(waits(4h), at_noon + 18h);
}

TEST(Choose, FailbackWindowMayBeginOrEndAtMidnight) {
  EXPECT_EQ(Case{"uu"}.current(1).window(0min, 4h).at(24h - 1s).chosen().failback_at, at_noon + 1s);
  EXPECT_EQ(Case{"uu"}.current(1).window(0min, 4h).at(0s).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uu"}.current(1).window(20h, 0min).at(24h - 1s).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uu"}.current(1).window(20h, 0min).at(0s).chosen().failback_at, at_noon + 20h);
}

TEST(Choose, AfterAndWindowAreBothWaitedFor) {
  const auto waits = [](Clock::duration after, std::chrono::seconds day_time) {
    return Case{"uu"}.current(1).after(after).up_for(0, 0s).window(2h, 4h).at(day_time).chosen().failback_at;
  };
  EXPECT_EQ(waits(30min, 3h), at_noon + 30min) << "ripe inside the window";
  EXPECT_EQ(waits(30min, 3h + 40min), at_noon + 22h + 20min) << "ripe behind it: the next one";
  EXPECT_EQ(waits(30min, 1h + 45min), at_noon + 30min);
  EXPECT_EQ(waits(30min, 12h), at_noon + 14h);
  EXPECT_EQ(waits(72h, 3h), at_noon + 72h) << "days later, at the same time of day";
  EXPECT_EQ(waits(72h, 12h), at_noon + 72h + 14h);
}

TEST(Choose, WhenFailbackAtComesTheFailbackHappensAndNotEarlier) {
  for (unsigned seed = 0; seed < 5'000; ++seed) {
    std::mt19937 dice{seed};
    const auto pick = [&](int most) { return std::uniform_int_distribution{0, most}(dice); };
    Case waiting{"uu"};
    const std::chrono::seconds day_time{pick(86'399)};
    const auto from = pick(1'439);
    waiting.current(1).at(day_time).after(pick(200'000) * 1s).up_for(0, pick(100'000) * 1s);
    if (pick(3) != 0) waiting.window(from * 1min, (from + 1 + pick(1'438)) % 1'440 * 1min);
    const auto when = waiting.chosen().failback_at;
    if (!when) {
      ASSERT_EQ(waiting.chosen().server, 0U) << "seed " << seed;
      continue;
    }
    const auto wait = std::chrono::duration_cast<std::chrono::seconds>(*when - at_noon);
    ASSERT_EQ(waiting.at((day_time + wait) % 24h).chosen(*when).server, 0U) << "seed " << seed;
    ASSERT_EQ(waiting.at((day_time + wait - 1s) % 24h).chosen(*when - 1s).failback_at, *when) << "seed " << seed;
  }
}

} // namespace
} // namespace hanat
