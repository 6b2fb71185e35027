// What becomes of a service when all of its servers fall silent together, and that nothing is later than without the doubt. Simulated time.
// Not here: the doubt itself (decision/outage_doubt_test).
#include <random>

#include "tests/unit/daemon/failover/simulation.hpp"

namespace hanat::test::outages {
namespace {

using std::chrono::milliseconds;

constexpr Time never = Time::max();

/// When the way to the servers is lost, and a server itself.
struct Plan {
  Time lost = never, back = never;
  std::vector<Time> dead = {never, never, never}; // by its machine's refusal
  std::vector<Time> hung = {never, never, never}; // silent
  std::vector<Time> witness_lost = {never, never};
  Answer answer(std::size_t server, std::size_t servers, Time at) const {
    if (server == servers) return at >= witness_lost[0] && at < witness_lost[1] ? Answer::silence : Answer::pass;
    if (at >= lost && at < back) return Answer::silence;
    if (at >= hung[server]) return Answer::silence;
    return at >= dead[server] ? Answer::refuse : Answer::pass;
  }
};

class OutageSimulation : public testing::Test {
protected:
  /// Runs until all is calm, has something happen, and runs on.
  void run(ServiceConfig config, const std::function<void(Plan&, Time)>& begin, Clock::duration time, std::uint32_t seed = 1) {
    std::mt19937 random{seed};
    plan = {};
    const auto servers = config.servers.size();
    std::vector<Clock::duration> phase;
    for (std::size_t probe = 0; probe <= servers; ++probe) phase.emplace_back(milliseconds{random() % 1'000});
    simulation.emplace(
        std::move(config), [this, servers](std::size_t server, Time at) { return plan.answer(server, servers, at); }, phase);
    simulation->run_until(simulation->now_is() + 12s);
    ASSERT_EQ(target(), "primary");
    simulation->moves.clear();
    simulation->resets = 0;
    began = simulation->now_is() + milliseconds{random() % 1'000};
    begin(plan, began);
    simulation->run_until(began + time);
  }
  std::string target() { return target_name(simulation->service()); }
  /// When the traffic first went to `to`; nullopt: it did not.
  std::optional<Clock::duration> moved_after(const std::string& to) const {
    for (const auto& move : simulation->moves)
      if (move.to == to) return move.at - began;
    return std::nullopt;
  }
  std::size_t events(const char* words) const { return events_of(simulation->said(), words); }

  Plan plan;
  Time began{};
  std::optional<Simulation> simulation;
};

TEST_F(OutageSimulation, ABlackoutOfASecondMovesAndResetsNothing) {
  std::size_t doubts = 0;
  for (std::uint32_t seed = 1; seed <= 40; ++seed) {
    run(
        simulated_service(), [](Plan& one, Time at) { one.lost = at, one.back = at + 1'200ms; }, 30s, seed);
    EXPECT_EQ(simulation->moves.size(), 0U) << "seed " << seed;
    EXPECT_EQ(simulation->resets, 0U) << "seed " << seed;
    doubts += events("no server answers");
  }
  EXPECT_GT(doubts, 0U);
}

TEST_F(OutageSimulation, AnyBlackoutThatIsShorterThanNoneAfterMovesNothing) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    const milliseconds length{100 + seed * 43}; // 2.7 s: its first 500 ms nobody notices
    run(
        simulated_service(3), [length](Plan& one, Time at) { one.lost = at, one.back = at + length; }, 30s, seed);
    EXPECT_EQ(simulation->moves.size(), 0U) << "seed " << seed << ", " << length.count() << " ms";
  }
}

TEST_F(OutageSimulation, AServiceWithOneServerOutlivesABlackout) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    run(
        simulated_service(1), [](Plan& one, Time at) { one.lost = at, one.back = at + 1'200ms; }, 30s, seed);
    EXPECT_EQ(simulation->moves.size(), 0U) << "seed " << seed;
  }
}

TEST_F(OutageSimulation, AfterALongOneThereIsOneMoveToTheServerThatShouldHaveTheTraffic) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    run(
        simulated_service(), [](Plan& one, Time at) { one.lost = at, one.back = at + 12s; }, 40s, seed);
    ASSERT_EQ(simulation->moves.size(), 2U) << "seed " << seed;
    EXPECT_EQ(simulation->moves[0].to, "none");
    EXPECT_EQ(simulation->moves[1].to, "primary") << "seed " << seed;
    EXPECT_LE(simulation->moves[1].at - (began + 12s), 2'500ms);
    EXPECT_EQ(simulation->service().last_flip->reason, Reason::recovered);
  }
}

TEST_F(OutageSimulation, ClientsAreRefusedWhenNoneAfterIsOver) {
  run(
      simulated_service(), [](Plan& one, Time at) { one.lost = at; }, 30s);
  const auto refused = moved_after("none");
  ASSERT_TRUE(refused);
  EXPECT_GE(*refused, 3s);
  EXPECT_LE(*refused, 3s + 2'600ms) << "the verdict, and none_after";
  EXPECT_EQ(events("they are taken for dead"), 1U);
}

TEST_F(OutageSimulation, ADoubleDeathByRefusalIsBelievedAsFastAsWithoutTheDoubt) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    const auto dies = [](Plan& one, Time at) { one.dead = {at, at, at}; };
    run(simulated_service(), dies, 20s, seed);
    const auto doubted = moved_after("none");
    ServiceConfig config = simulated_service();
    config.none_after = {};
    run(config, dies, 20s, seed);
    ASSERT_TRUE(doubted);
    EXPECT_EQ(doubted, moved_after("none")) << "seed " << seed;
  }
}

TEST_F(OutageSimulation, FailoverIsAsFastAsWithoutTheDoubt) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    ServiceConfig config = simulated_service(2 + seed % 2);
    config.down.fails = 1 + seed % 3;
    const bool refused = seed % 2 == 0;
    const auto dies = [refused](Plan& one, Time at) { (refused ? one.dead : one.hung)[0] = at; };
    run(config, dies, 20s, seed);
    const auto with = moved_after("backup");
    config.none_after = {};
    run(config, dies, 20s, seed);
    const auto without = moved_after("backup");
    ASSERT_TRUE(with && without);
    if (config.down.fails > 1)
      EXPECT_EQ(with, without) << "seed " << seed;
    else
      EXPECT_LE(*with, *without + 1ms) << "the answer of the backup is waited for; seed " << seed;
  }
}

TEST_F(OutageSimulation, WhenOnlyTheBackupComesBackItGetsTheTraffic) {
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    run(
        simulated_service(), [](Plan& one, Time at) { one.lost = at, one.back = at + 1'500ms, one.hung[0] = at; }, 20s, seed);
    ASSERT_EQ(simulation->moves.size(), 1U) << "seed " << seed;
    EXPECT_EQ(simulation->moves[0].to, "backup");
    EXPECT_LE(simulation->moves[0].at - began, 4s) << "seed " << seed;
  }
}

TEST_F(OutageSimulation, AWitnessThatAnswersShowsThatItIsTheServers) {
  ServiceConfig config = simulated_service();
  config.witness = endpoint("192.0.2.1", 0);
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    run(
        config, [](Plan& one, Time at) { one.lost = at; }, 20s, seed);
    const auto refused = moved_after("none");
    ASSERT_TRUE(refused);
    EXPECT_LE(*refused, 3s) << "no none_after; seed " << seed;
  }
}

TEST_F(OutageSimulation, WhileTheWitnessIsSilentTooNothingMoves) {
  ServiceConfig config = simulated_service();
  config.witness = endpoint("192.0.2.1", 0);
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    run(
        config,
        [](Plan& one, Time at) {
          one.lost = one.witness_lost[0] = at;
          one.back = at + 61s, one.witness_lost[1] = at + 60s;
        },
        90s, seed);
    EXPECT_EQ(simulation->moves.size(), 0U) << "seed " << seed;
    run(
        config,
        [](Plan& one, Time at) {
          one.lost = one.witness_lost[0] = at;
          one.witness_lost[1] = at + 60s;
        },
        90s, seed);
    const auto refused = moved_after("none");
    ASSERT_TRUE(refused);
    EXPECT_GE(*refused, 62s);
    EXPECT_LE(*refused, 65s) << "seed " << seed;
  }
}

TEST_F(OutageSimulation, AnOperatorsOverrideEndsTheDoubt) {
  run(
      simulated_service(), [](Plan& one, Time at) { one.lost = at; }, 2'900ms);
  ASSERT_TRUE(simulation->service().outage.keeps_target());
  simulation->service().force = Override{.server = 1, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root"};
  simulation->run_until(began + 10s);
  EXPECT_EQ(target(), "backup");
  EXPECT_EQ(simulation->service().outage, OutageDoubt{});
}

TEST_F(OutageSimulation, AnOverrideUntilDownOutlivesABlackout) {
  const auto force_backup = [this] {
    simulation->service().force =
        Override{.server = 1, .until = {}, .until_wall = {}, .since = {}, .reason = {}, .by = "root", .until_down = true};
  };
  run(
      simulated_service(), [&](Plan& one, Time at) { force_backup(), one.lost = at + 5s, one.back = at + 6'200ms; }, 30s);
  EXPECT_EQ(target(), "backup");
  EXPECT_EQ(simulation->moves.size(), 1U) << "the operator's";
  EXPECT_TRUE(simulation->service().force);

  run(
      simulated_service(), [&](Plan& one, Time at) { force_backup(), one.hung[1] = at + 5s; }, 30s);
  EXPECT_EQ(target(), "primary") << "it alone fell silent";
  EXPECT_FALSE(simulation->service().force);
}

} // namespace
} // namespace hanat::test::outages
