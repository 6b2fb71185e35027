// The parts of the model test that need no kernel: steps as text, the generator, edits, shortening, the rules.
// Not here: sequences on the real thing (model_test).
#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"
#include "tests/netns/model/edits.hpp"
#include "tests/netns/model/rules.hpp"
#include "tests/netns/model/shrink.hpp"
#include "tests/netns/model/step.hpp"

namespace hanat::test::model {
namespace {

using testing::ElementsAre;

Place at(unsigned machine) { return {.machine = machine, .port = app_ports[0]}; }

// ---- steps

TEST(ModelSteps, AreReplayedFromTheirText) {
  const auto steps = random_steps(7, 500);
  EXPECT_EQ(parse_steps(to_text(steps)), steps);
  EXPECT_THAT(parse_steps(" kill 1 2 3 + ;\n idle 0 0 0;"),
              ElementsAre(Step{.verb = Verb::kill, .a = 1, .b = 2, .c = 3, .races = true}, Step{.verb = Verb::idle}));
}

TEST(ModelSteps, SayWhatTheyDoNotKnow) {
  for (const char* wrong : {"dance 1 2 3", "app 1 2", "app 1 2 3 4", "app one 2 3"})
    EXPECT_THROW(parse_steps(wrong), std::invalid_argument) << wrong;
}

TEST(ModelSteps, AreTheSameForASeedAndOfEveryKind) {
  const auto steps = random_steps(3, 10'000);
  EXPECT_EQ(random_steps(3, 10'000), steps);
  EXPECT_NE(random_steps(4, 10'000), steps);
  std::set<Verb> verbs;
  for (const Step& step : steps) verbs.insert(step.verb);
  EXPECT_GE(verbs.size(), 19U);
  EXPECT_FALSE(steps.back().races) << "the last step is looked at";
}

// ---- shortening

TEST(ModelShrink, LeavesWhatTheFailureNeeds) {
  std::vector<int> all(200);
  std::iota(all.begin(), all.end(), 0);
  std::size_t runs = 0;
  const auto fails = [&](const std::vector<int>& part) {
    ++runs;
    const auto has = [&](int number) { return std::ranges::find(part, number) != part.end(); };
    return has(17) && has(18) && has(150);
  };
  EXPECT_THAT(shrink<int>(all, fails, [] { return false; }), ElementsAre(17, 18, 150));
  EXPECT_LT(runs, 100U);
}

TEST(ModelShrink, EndsWhenItIsLate) {
  const std::vector<int> all(100, 1);
  std::size_t runs = 0;
  const auto shorter = shrink<int>(
      all, [&](const std::vector<int>&) { return ++runs > 0; }, [&] { return runs == 2; });
  EXPECT_EQ(shorter.size(), 25U);
}

// ---- edits

TEST(ModelEdits, AlwaysMakeAValidConfiguration) {
  Spec spec = first_spec();
  std::set<std::string> kinds;
  unsigned number = 1;
  for (int edit = 0; edit < 150; ++edit) {
    const auto next = [&number] { return number = (number * 1'103'515'245U + 12'345U) >> 1U; };
    const unsigned kind = next() / 7, a = next() / 7, b = next() / 7;
    kinds.insert(apply_edit(spec, kind, a, b, [](const ServiceSpec&) { return false; }));
    const ConfigResult result = parse_config(to_toml(spec), "model.toml");
    ASSERT_TRUE(std::holds_alternative<Config>(result)) << to_toml(spec);
  }
  EXPECT_GT(kinds.size(), 50U);
}

// ---- rules

class ModelRules : public testing::Test {
protected:
  ModelRules() { come_to_rest(); }
  /// web: a8001, b8001.
  std::optional<Place> come_to_rest() {
    const auto expected = model.rest();
    for (const auto& [name, one] : expected)
      if (one.loose) model.adopt(name, *one.targets.begin());
    last = expected.at("web");
    return model.service("web").target;
  }
  Model model{first_spec()};
  Expected last;
};

TEST_F(ModelRules, FollowTheServersThatWork) {
  model.world.apps[at(0)] = App::dead;
  EXPECT_EQ(come_to_rest(), at(1));
  EXPECT_THAT(last.moves, ElementsAre(Move{.service = "web", .from = at(0), .to = at(1), .why = "failover"}));
  model.world.silent[1] = true;
  EXPECT_EQ(come_to_rest(), std::nullopt);
  model.world.apps[at(0)] = App::hangs; // a handshake is enough for its probe
  EXPECT_EQ(come_to_rest(), at(0));
  EXPECT_EQ(last.moves.front().why, "recovered");
}

TEST_F(ModelRules, RefuseWhatWouldHurt) {
  model.world.apps[at(1)] = App::dead;
  EXPECT_EQ(model.force(0, 1, false, false), "the server is down");
  EXPECT_EQ(model.force(0, 1, false, true), "");
  EXPECT_EQ(come_to_rest(), at(1));
  EXPECT_EQ(model.disable(0, 1, false), "it is pinned");
  model.end_override(0);
  EXPECT_EQ(come_to_rest(), at(0));
  EXPECT_EQ(model.disable(0, 0, false), "it is the last");
}

TEST_F(ModelRules, KeepAnOverrideAtItsServer) {
  EXPECT_EQ(model.force(0, 1, true, false), "");
  Spec next = model.spec();
  std::swap(next.services[0].servers[0], next.services[0].servers[1]);
  model.reload(next);
  EXPECT_EQ(come_to_rest(), at(1));
  model.world.unplugged[1] = true;
  EXPECT_EQ(come_to_rest(), at(0)) << "it ends with its server";
  EXPECT_FALSE(model.service("web").pin.has_value());
}

} // namespace
} // namespace hanat::test::model
