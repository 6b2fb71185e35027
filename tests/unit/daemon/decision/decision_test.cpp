// choose() over its whole input space, cell by cell, then the policies in sentences.
#include "daemon/decision/decision.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time present{100h};
constexpr std::array healths{Health::unknown, Health::up, Health::down};

/// A failback policy at a moment of the day: may the traffic go back now?
struct Policy {
  const char* name;
  Failback failback;
  Clock::duration up_for;
  std::chrono::seconds day_time;
  bool ripe;
};
const std::vector<Policy>& policies() {
  static const DayWindow night{.from = 2h, .to = 4h};
  static const DayWindow midnight{.from = 23h, .to = 1h};
  static const std::vector<Policy> all{
      {"auto", {}, 0s, 12h, true},
      {"manual", {.automatic = false, .after = {}, .window = {}}, 1h, 12h, false},
      {"after, not ripe", {.automatic = true, .after = 30s, .window = {}}, 10s, 12h, false},
      {"after, ripe", {.automatic = true, .after = 30s, .window = {}}, 30s, 12h, true},
      {"inside the window", {.automatic = true, .after = {}, .window = night}, 0s, 3h, true},
      {"outside the window", {.automatic = true, .after = {}, .window = night}, 1h, 12h, false},
      {"inside a window over midnight", {.automatic = true, .after = {}, .window = midnight}, 0s, 30min, true},
      {"outside a window over midnight", {.automatic = true, .after = {}, .window = midnight}, 1h, 12h, false},
      {"inside the window, not ripe", {.automatic = true, .after = 30s, .window = night}, 10s, 3h, false},
      {"ripe, outside the window", {.automatic = true, .after = 30s, .window = night}, 1h, 12h, false},
      {"manual, inside a window", {.automatic = false, .after = {}, .window = night}, 1h, 3h, false},
  };
  return all;
}

std::string to_text(const DecisionInput& input, const Policy& policy) {
  std::string servers;
  for (const Candidate& server : input.servers) servers += fmt::format(" {}", to_text(server.health));
  const auto index = [](std::optional<std::size_t> server) { return server ? fmt::to_string(*server) : "nobody"; };
  return fmt::format("servers:{}; current {}, refused {}, forced {}, override ended {}, {}, on_none {}", servers, index(input.current),
                     input.refused, index(input.forced), input.override_ended, policy.name, static_cast<int>(input.on_none));
}

/// Calls `visit` for every combination of inputs; returns how many there are.
std::size_t for_every_view(const std::function<void(const DecisionInput&, const Policy&)>& visit) {
  std::size_t cells = 0;
  for (std::size_t number = 1; number <= 4; ++number) {
    std::vector<Candidate> servers(number);
    std::size_t combinations = 1;
    for (std::size_t i = 0; i < number; ++i) combinations *= healths.size();
    for (std::size_t combination = 0; combination < combinations * policies().size() * 3 * 4; ++combination) {
      std::size_t left = combination;
      const auto digit = [&left](std::size_t base) {
        const std::size_t value = left % base;
        left /= base;
        return value;
      };
      const Policy& policy = policies()[digit(policies().size())];
      const OnNone on_none = std::array{OnNone::refuse, OnNone::drop, OnNone::keep}[digit(3)];
      const bool refused = digit(2) == 1;
      const bool override_ended = digit(2) == 1;
      for (Candidate& server : servers) server = {.health = healths[digit(healths.size())], .up_since = present - policy.up_for};
      for (std::size_t current = 0; current <= number; ++current)
        for (std::size_t forced = 0; forced <= number; ++forced, ++cells)
          visit({.servers = servers,
                 .current = current == number ? std::nullopt : std::optional{current},
                 .refused = refused,
                 .forced = forced == number ? std::nullopt : std::optional{forced},
                 .override_ended = override_ended,
                 .failback = policy.failback,
                 .on_none = on_none,
                 .day_time = policy.day_time},
                policy);
    }
  }
  return cells;
}

Health health_of(const DecisionInput& input, std::size_t server) { return input.servers[server].health; }
std::optional<std::size_t> first_up(const DecisionInput& input) {
  for (std::size_t server = 0; server < input.servers.size(); ++server)
    if (health_of(input, server) == Health::up) return server;
  return std::nullopt;
}

// Each of these is one promise; it is true of every cell.
struct Promise {
  const char* words;
  bool (*kept)(const DecisionInput& input, const Policy& policy, const Decision& decision);
};

bool moves(const DecisionInput& input, const Decision& decision) {
  return decision.kind == TargetKind::server && input.current != decision.server;
}
bool current_is_fit(const DecisionInput& input) { return input.current && health_of(input, *input.current) != Health::down; }

constexpr std::array promises{
    Promise{"a forced server is pinned, whatever its health",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (!input.forced) return d.reason != Reason::forced && d.flip_reason != Reason::forced;
              return d == Decision{TargetKind::server, *input.forced, Reason::forced, Reason::forced, std::nullopt};
            }},
    Promise{"the server exists; without a place for the traffic it is not said",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              return d.kind == TargetKind::server ? d.server < input.servers.size() : d.server == 0;
            }},
    Promise{"a down server gets traffic only when it is forced, or kept by on_none with nobody up",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || d.kind != TargetKind::server || health_of(input, d.server) != Health::down) return true;
              return input.on_none == OnNone::keep && input.current == d.server && !first_up(input) &&
                     d.reason == Reason::no_server_up_kept && d.flip_reason == Reason::no_server_up_kept;
            }},
    Promise{"traffic moves only to a server that is up, and to the first of them",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              return input.forced || !moves(input, d) || first_up(input) == d.server;
            }},
    Promise{"undecided: nothing has the traffic, nothing was decided, and the first server that is not down is unknown",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              const auto open = std::ranges::find_if(input.servers, [](const Candidate& c) { return c.health != Health::down; });
              const bool waits = open != input.servers.end() && open->health == Health::unknown;
              const bool expected = !input.forced && !input.current && !input.refused && waits;
              return (d.kind == TargetKind::undecided) == expected && (!expected || d == Decision{});
            }},
    Promise{"none: no server is up, and on_none does not keep a current one",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (d.kind != TargetKind::none) return true;
              const bool nobody = !input.current || (health_of(input, *input.current) == Health::down && input.on_none != OnNone::keep);
              return !input.forced && nobody && !first_up(input) && d.reason == Reason::no_server_up &&
                     d.flip_reason == Reason::no_server_up;
            }},
    Promise{"refused clients are served as soon as any server is up",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || input.current || !input.refused) return true;
              return first_up(input) ? d.kind == TargetKind::server : d.kind == TargetKind::none;
            }},
    Promise{"a current server that is up keeps the traffic or gives it to a preferred one",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || !current_is_fit(input)) return true;
              return d.kind == TargetKind::server && d.server <= *input.current;
            }},
    Promise{"a current server that is up is left exactly when a preferred one is up and the policy, or the end of an override, says now",
            [](const DecisionInput& input, const Policy& policy, const Decision& d) {
              if (input.forced || !current_is_fit(input)) return true;
              const auto best = first_up(input);
              const bool back = best && *best < *input.current && (input.override_ended || policy.ripe);
              return moves(input, d) == back && (!back || d.flip_reason == Reason::failback);
            }},
    Promise{"when the current server is down, the first one that is up takes over as a failover",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || !input.current || current_is_fit(input) || !first_up(input)) return true;
              return d.kind == TargetKind::server && d.server == *first_up(input) && d.flip_reason == Reason::failover;
            }},
    Promise{"failback_at is said exactly while an automatic failback waits, and lies ahead",
            [](const DecisionInput& input, const Policy& policy, const Decision& d) {
              const auto best = first_up(input);
              const bool waits = !input.forced && current_is_fit(input) && best && *best < *input.current && !input.override_ended &&
                                 input.failback.automatic && !policy.ripe;
              return d.failback_at.has_value() == waits && (!waits || *d.failback_at > present);
            }},
    Promise{"the word of the status says who has the traffic",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (input.forced || d.kind != TargetKind::server || d.reason == Reason::no_server_up_kept) return true;
              if (health_of(input, d.server) == Health::unknown) return d.reason == Reason::adopted;
              return d.reason == (d.server == 0 ? Reason::primary_up : Reason::failover);
            }},
    Promise{"the word of a flip from nowhere is the status's",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              return input.forced || input.current || d.kind != TargetKind::server || d.flip_reason == d.reason;
            }},
    Promise{"a decision once made is made again: nothing swings",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              if (d.kind == TargetKind::undecided) return true;
              DecisionInput next = input;
              next.current = d.kind == TargetKind::server ? std::optional{d.server} : std::nullopt;
              next.refused = d.kind == TargetKind::none;
              const Decision again = decide(next, present);
              return again.kind == d.kind && again.server == d.server && again.reason == d.reason;
            }},
    Promise{"same input, same output",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              const std::vector<Candidate> group_view(input.servers.begin(), input.servers.end());
              DecisionInput copy = input;
              copy.servers = group_view;
              return decide(copy, present) == d;
            }},
    Promise{"whether clients were refused before does not matter to a server that has the traffic",
            [](const DecisionInput& input, const Policy&, const Decision& d) {
              DecisionInput other = input;
              other.refused = !input.refused;
              return !input.current || decide(other, present) == d;
            }},
};

TEST(Choose, KeepsEveryPromiseInEveryCell) {
  unsigned broken = 0;
  const std::size_t cells = for_every_view([&](const DecisionInput& input, const Policy& policy) {
    const Decision decision = decide(input, present);
    for (const Promise& promise : promises)
      if (!promise.kept(input, policy, decision) && ++broken <= 20) // enough to see the pattern
        ADD_FAILURE() << "broken: " << promise.words << "\n  " << to_text(input, policy) << "\n  chosen: place "
                      << static_cast<int>(decision.kind) << " server " << decision.server << " " << to_text(decision.reason) << " / "
                      << to_text(decision.flip_reason);
  });
  EXPECT_EQ(broken, 0U);
  EXPECT_EQ(cells, 11U * 3 * 2 * 2 * (3 * 2 * 2 + 9 * 3 * 3 + 27 * 4 * 4 + 81 * 5 * 5));
}

TEST(Choose, WithoutServersNobodyGetsTheTraffic) { EXPECT_EQ(decide({}, present).kind, TargetKind::none); }

// From here on: sentences. 'u', 'd' and '?' are servers in order, the primary first.
struct Case {
  std::vector<Candidate> servers;
  DecisionInput input;

  explicit Case(const char* healths_in_order) {
    for (const char* letter = healths_in_order; *letter != 0; ++letter)
      servers.push_back({.health = *letter == 'u'   ? Health::up
                                   : *letter == 'd' ? Health::down
                                                    : Health::unknown,
                         .up_since = present - 1h});
  }
  Case& current(std::size_t server) { return input.current = server, *this; }
  Case& refused() { return input.refused = true, *this; }
  Case& on_none(OnNone policy) { return input.on_none = policy, *this; }
  Case& manual() { return input.failback.automatic = false, *this; }
  Case& after(Clock::duration length) { return input.failback.after = length, *this; }
  Case& window(std::chrono::minutes from, std::chrono::minutes to) { return input.failback.window = DayWindow{from, to}, *this; }
  Case& up_for(std::size_t server, Clock::duration length) { return servers[server].up_since = present - length, *this; }
  Case& at(std::chrono::seconds day_time) { return input.day_time = day_time, *this; }
  Case& override_ended() { return input.override_ended = true, *this; }

  Decision chosen(Time when = present) {
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
  EXPECT_EQ(Case{"?u"}.refused().text(), "1 failover (failover)") << "nor to wait for a better one";
}

TEST(Choose, KeepsTheLastTargetWhereTheOperatorWantsThat) {
  EXPECT_EQ(Case{"dd"}.current(1).on_none(OnNone::keep).text(), "1 no-server-up-kept (no-server-up-kept)");
  EXPECT_EQ(Case{"du"}.current(1).on_none(OnNone::keep).text(), "1 failover (starting)") << "the kept one is up again: nothing happens";
  EXPECT_EQ(Case{"ud"}.current(1).on_none(OnNone::keep).text(), "0 primary-up (failover)") << "another is: a normal flip";
  EXPECT_EQ(Case{"dd"}.on_none(OnNone::keep).text(), "none no-server-up (no-server-up)") << "nobody had it";
}

TEST(Choose, AnAdoptedTargetStaysWhileItIsUnknown) {
  EXPECT_EQ(Case{"?u"}.current(0).text(), "0 adopted (starting)");
  EXPECT_EQ(Case{"d?"}.current(1).text(), "1 adopted (starting)");
  EXPECT_EQ(Case{"u?"}.current(1).text(), "0 primary-up (failback)");
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
  EXPECT_EQ(Case{"uu"}.current(1).after(30s).up_for(0, 29s).up_for(1, 1h).chosen().failback_at, present + 1s);
  EXPECT_EQ(Case{"uu"}.current(1).after(30s).up_for(0, 30s).up_for(1, 0s).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uuu"}.current(2).after(30s).up_for(0, 10s).up_for(1, 1h).chosen().failback_at, present + 20s)
      << "the best one is waited for, not a lesser one taken in between";
}

TEST(Choose, FailbackWindowHasItsFirstMomentAndNotItsLast) {
  const auto waits = [](std::chrono::seconds day_time) { return Case{"uu"}.current(1).window(2h, 4h).at(day_time).chosen().failback_at; };
  EXPECT_EQ(waits(2h - 1s), present + 1s);
  EXPECT_EQ(waits(2h), std::nullopt);
  EXPECT_EQ(waits(4h - 1s), std::nullopt);
  EXPECT_EQ(waits(4h), present + 22h);
  EXPECT_EQ(waits(0s), present + 2h);
  EXPECT_EQ(waits(24h - 1s), present + 2h + 1s);
}

TEST(Choose, FailbackWindowMayRunOverMidnight) {
  const auto waits = [](std::chrono::seconds day_time) { return Case{"uu"}.current(1).window(22h, 4h).at(day_time).chosen().failback_at; };
  EXPECT_EQ(waits(22h - 1s), present + 1s);
  EXPECT_EQ(waits(22h), std::nullopt);
  EXPECT_EQ(waits(24h - 1s), std::nullopt);
  EXPECT_EQ(waits(0s), std::nullopt);
  EXPECT_EQ(waits(4h - 1s), std::nullopt);
  EXPECT_EQ(waits(4h), present + 18h);
}

TEST(Choose, FailbackWindowMayBeginOrEndAtMidnight) {
  EXPECT_EQ(Case{"uu"}.current(1).window(0min, 4h).at(24h - 1s).chosen().failback_at, present + 1s);
  EXPECT_EQ(Case{"uu"}.current(1).window(0min, 4h).at(0s).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uu"}.current(1).window(20h, 0min).at(24h - 1s).text(), "0 primary-up (failback)");
  EXPECT_EQ(Case{"uu"}.current(1).window(20h, 0min).at(0s).chosen().failback_at, present + 20h);
}

TEST(Choose, AfterAndWindowAreBothWaitedFor) {
  const auto waits = [](Clock::duration after, std::chrono::seconds day_time) {
    return Case{"uu"}.current(1).after(after).up_for(0, 0s).window(2h, 4h).at(day_time).chosen().failback_at;
  };
  EXPECT_EQ(waits(30min, 3h), present + 30min) << "ripe inside the window";
  EXPECT_EQ(waits(30min, 3h + 40min), present + 22h + 20min) << "ripe behind it: the next one";
  EXPECT_EQ(waits(30min, 1h + 45min), present + 30min);
  EXPECT_EQ(waits(30min, 12h), present + 14h);
  EXPECT_EQ(waits(72h, 3h), present + 72h) << "days later, at the same time of day";
  EXPECT_EQ(waits(72h, 12h), present + 72h + 14h);
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
    const auto wait = std::chrono::duration_cast<std::chrono::seconds>(*when - present);
    ASSERT_EQ(waiting.at((day_time + wait) % 24h).chosen(*when).server, 0U) << "seed " << seed;
    ASSERT_EQ(waiting.at((day_time + wait - 1s) % 24h).chosen(*when - 1s).failback_at, *when) << "seed " << seed;
  }
}

} // namespace
} // namespace hanat
