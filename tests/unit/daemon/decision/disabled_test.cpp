// What an operator's planned work means for a decision: a disabled server is never chosen, and which moves are planned. Not here: every
// combination of health (decision_test), what becomes of flows (desired_state_planned_test).
#include <array>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/decision/group.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time today{100h};

/// 'u', 'f', 'd', '?' are servers in order; a capital letter, or '!' for unknown: a disabled one.
struct Work {
  std::vector<Candidate> servers;
  DecisionInput input;

  explicit Work(const char* in_order) {
    for (const char* letter = in_order; *letter != 0; ++letter) {
      const char c = *letter;
      servers.push_back({.health = c == 'u' || c == 'U'   ? Health::up
                                   : c == 'f' || c == 'F' ? Health::full
                                   : c == 'd' || c == 'D' ? Health::down
                                                          : Health::unknown,
                         .up_since = today - 1h,
                         .disabled = c == '!' || (c >= 'A' && c <= 'Z')});
    }
  }
  Work& current(std::size_t server) { return input.current = server, *this; }
  Work& refused() { return input.refused = true, *this; }
  Work& keep() { return input.on_none = OnNone::keep, *this; }
  Work& manual() { return input.failback.automatic = false, *this; }
  Work& planned(std::size_t server) { return servers[server].planned = true, *this; }
  Work& placed(std::size_t server) { return servers[server].planned = servers[server].placed = true, *this; }
  Work& override_ended() { return input.override_ended = true, *this; }
  Work& forced(std::size_t server) { return input.forced = server, *this; }
  Work& doubted() { return input.keep_target = true, *this; }
  Work& returning() { return input.wait_for_first = true, *this; }
  Work& flapping(std::size_t server) { return servers[server].penalty = 2h, *this; }
  std::string text() {
    input.servers = servers;
    const Decision decision = decide(input, today);
    const std::string words =
        fmt::format("{} ({}{})", to_text(decision.reason), decision.planned ? "planned " : "", to_text(decision.flip_reason));
    switch (decision.kind) {
    case TargetKind::server: return fmt::format("{} {}", decision.server, words);
    case TargetKind::none: return "none " + words;
    case TargetKind::undecided: return "undecided " + words;
    }
    return {};
  }
};

TEST(Disabled, TheTargetKeepsTheTrafficUntilAnotherIsKnown) {
  EXPECT_EQ(Work{"U?"}.current(0).text(), "0 adopted (adopted)");
  EXPECT_EQ(Work{"Ud?"}.current(0).text(), "0 adopted (adopted)");
  EXPECT_EQ(Work{"D?"}.current(0).text(), "none no-server-up (no-server-up)") << "it is down, too";
  EXPECT_EQ(Work{"Ud"}.current(0).text(), "none no-server-up (no-server-up)");
}

TEST(Disabled, AFullServerIsWorseThanOneThatKeepsLosingTheTraffic) {
  EXPECT_EQ(Work{"uf"}.current(1).flapping(0).text(), "0 primary-up (full)");
  EXPECT_EQ(Work{"uu"}.current(1).flapping(0).text(), "1 failover (starting)");
}

TEST(Disabled, TheTargetGivesTheTrafficToTheNextThatIsUp) {
  EXPECT_EQ(Work{"Uu"}.current(0).text(), "1 disabled (planned disabled)");
  EXPECT_EQ(Work{"Udu"}.current(0).text(), "2 failover (planned disabled)") << "the one between is down";
  EXPECT_EQ(Work{"UUu"}.current(0).text(), "2 disabled (planned disabled)");
  EXPECT_EQ(Work{"uUu"}.current(1).text(), "0 primary-up (planned disabled)");
  EXPECT_EQ(Work{"Ff"}.current(0).text(), "1 full-kept (planned disabled)");
}

TEST(Disabled, AServerThatIsDownAsWellIsLeftByAFailover) { EXPECT_EQ(Work{"Du"}.current(0).text(), "1 disabled (failover)"); }

TEST(Disabled, AServerIsNeverChosen) {
  EXPECT_EQ(Work{"Uu"}.current(1).text(), "1 disabled (starting)") << "no failback";
  EXPECT_EQ(Work{"Uu"}.current(1).override_ended().text(), "1 disabled (starting)");
  EXPECT_EQ(Work{"dU"}.current(0).text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Work{"dF"}.current(0).text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Work{"dU"}.refused().text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Work{"!u"}.text(), "1 disabled (disabled)") << "at the start it is not waited for";
  EXPECT_EQ(Work{"UU"}.text(), "none no-server-up (no-server-up)");
}

TEST(Disabled, TheLastOneKeepsNothing) {
  EXPECT_EQ(Work{"Ud"}.current(0).text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Work{"Ud"}.current(0).keep().text(), "none no-server-up (no-server-up)") << "on_none keeps a server that serves";
  EXPECT_EQ(Work{"dD"}.current(0).keep().text(), "0 no-server-up-kept (no-server-up-kept)");
}

TEST(Disabled, AServerIsNotKeptInDoubtNorWaitedForAfterAnOutage) {
  EXPECT_EQ(Work{"du"}.current(0).doubted().text(), "0 outage-doubted (outage-doubted)");
  EXPECT_EQ(Work{"Du"}.current(0).doubted().text(), "1 disabled (failover)");
  EXPECT_EQ(Work{"du"}.refused().returning().text(), "none no-server-up (no-server-up)");
  EXPECT_EQ(Work{"Du"}.refused().returning().text(), "1 disabled (recovered)");
}

TEST(Disabled, AServerIsNoAlternativeToOneThatIsFlapping) {
  EXPECT_EQ(Work{"duu"}.current(0).flapping(1).text(), "2 failover (failover)");
  EXPECT_EQ(Work{"duU"}.current(0).flapping(1).text(), "1 failover (failover)");
  EXPECT_EQ(Work{"Uuu"}.current(0).flapping(1).text(), "2 failover (planned disabled)");
}

TEST(Disabled, OfOneServiceIsNotChosenForItsGroup) {
  const Candidate mine = merge_health({.health = Health::up, .disabled = true}, {.health = Health::up});
  EXPECT_TRUE(mine.disabled);
  EXPECT_TRUE(merge_health({.health = Health::up}, {.health = Health::up, .planned = true}).planned);
  EXPECT_EQ(merge_health(mine, neutral), mine);
  const std::array servers{mine, Candidate{.health = Health::up}};
  DecisionInput input;
  input.servers = servers;
  const std::array members{Placement{.current = 0}, Placement{.current = 0}};
  EXPECT_EQ(decide_group(input, members, today).server, 1U);
}

TEST(Planned, AreMovesOfOperatorsAndReloadsAlone) {
  EXPECT_EQ(Work{"uu"}.current(0).forced(1).text(), "1 forced (planned forced)");
  EXPECT_EQ(Work{"uu"}.current(1).text(), "0 primary-up (failback)");
  EXPECT_EQ(Work{"uu"}.current(1).planned(0).text(), "0 primary-up (planned failback)") << "it was enabled, or added";
  EXPECT_EQ(Work{"uu"}.current(1).override_ended().text(), "0 primary-up (planned failback)");
  EXPECT_EQ(Work{"uu"}.current(1).manual().planned(0).text(), "1 failover (starting)") << "failback says when";
  EXPECT_EQ(Work{"du"}.current(0).planned(1).text(), "1 failover (failover)");
  EXPECT_EQ(Work{"uu"}.current(1).placed(0).text(), "0 primary-up (planned configuration)") << "roles were swapped by a reload";
  EXPECT_EQ(Work{"uu"}.current(1).placed(0).override_ended().text(), "0 primary-up (planned failback)");
  EXPECT_EQ(Work{"uf"}.current(1).placed(0).text(), "0 primary-up (planned full)");
  EXPECT_TRUE(merge_health({.placed = true}, neutral).placed);
}

TEST(Planned, ServicesThatBecomeAGroupMeet) {
  std::array servers{Candidate{.health = Health::up}, Candidate{.health = Health::up}};
  DecisionInput input;
  input.servers = servers;
  const std::array members{Placement{.current = 0}, Placement{.current = 1}};
  EXPECT_TRUE(decide_group(input, members, today).planned);
  EXPECT_EQ(decide_group(input, members, today).flip_reason, Reason::configuration);
  servers[1].health = Health::down;
  EXPECT_FALSE(decide_group(input, members, today).planned) << "one leaves a server that is down";
  EXPECT_EQ(decide_group(input, members, today).flip_reason, Reason::primary_up);
}

TEST(Disabled, AServerHasNoTrafficWhateverTheOthersAreIn100000Cases) {
  std::mt19937 random{20261129}; // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
  const auto below = [&random](std::size_t limit) { return std::uniform_int_distribution<std::size_t>{0, limit - 1}(random); };
  for (int round = 0; round < 100'000; ++round) {
    std::vector<Candidate> servers(1 + below(4));
    for (Candidate& server : servers)
      server = {.health = std::array{Health::unknown, Health::up, Health::full, Health::down}.at(below(4)),
                .up_since = today - std::chrono::seconds{below(100)},
                .disabled = below(3) == 0,
                .planned = below(3) == 0,
                .penalty = std::chrono::seconds{below(2) * 50}};
    DecisionInput input;
    input.servers = servers;
    if (below(4) != 0) input.current = below(servers.size());
    input.refused = below(2) == 0;
    input.keep_target = below(4) == 0;
    input.wait_for_first = below(4) == 0;
    input.override_ended = below(2) == 0;
    input.failback.automatic = below(3) != 0;
    input.on_none = std::array{OnNone::refuse, OnNone::drop, OnNone::keep}.at(below(3));
    const Decision decision = decide(input, today);
    const bool waits = decision.reason == Reason::adopted && std::ranges::any_of(servers, [](const Candidate& server) {
                         return usable(server) == Health::unknown;
                       }); // until another is known
    const bool chosen = decision.kind == TargetKind::server && servers[decision.server].disabled && !waits;
    const bool left = decision.flip_reason == Reason::disabled && input.current && !servers[*input.current].disabled;
    ASSERT_FALSE(chosen || left) << round;
  }
}

} // namespace
} // namespace hanat
