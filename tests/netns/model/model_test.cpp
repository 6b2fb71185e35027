// A random sequence of what may happen to a gateway, step by step, each compared with a model of hanat's rules. A sequence that fails is
// made as short as possible, and printed as a command that replays it.
// Without more it takes a minute, with the same seed each time.
//   HANAT_SEED=7 HANAT_STEPS_COUNT=10000 build/dev/tests/hanat-netns --gtest_filter='Model.*'    (or HANAT_SECONDS=3600: as many as fit)
//   HANAT_STEPS='app 3 0 1; force 1 2 0' build/dev/tests/hanat-netns --gtest_filter='Model.*'
// Not here: the steps (step, stage, edits), the rules (rules), what is compared (checker, clients).
#include <chrono>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/model/run.hpp"
#include "tests/netns/model/shrink.hpp"

namespace hanat::test::model {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr seconds time_in_the_run{30}, time_to_shrink{120};
constexpr std::size_t as_many_as_fit = 1'000'000;

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): nobody changes the environment
  return value == nullptr ? "" : value;
}
std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const std::string text = from_environment(name);
  return text.empty() ? otherwise : std::stoull(text);
}

std::string listing(const std::vector<Step>& steps, const Outcome& outcome) {
  std::string text;
  for (std::size_t at = 0; at < outcome.descriptions.size(); ++at)
    text += fmt::format("  {:3} {:24} {}\n", at + 1, to_text(steps[at]), outcome.descriptions[at]);
  return text;
}

/// The steps up to the failure, without those that it does not need.
std::vector<Step> shortest(std::vector<Step> steps, Outcome& outcome) {
  const auto late = Clock::now() + seconds{number_from("HANAT_SHRINK_SECONDS", static_cast<std::uint64_t>(time_to_shrink.count()))};
  steps.resize(std::min(outcome.failure->step + 1, steps.size()));
  return shrink<Step>(
      steps,
      [&](const std::vector<Step>& part) {
        Outcome again = run(part, late);
        if (!again.failure) return false;
        outcome = std::move(again);
        return true;
      },
      [&] { return Clock::now() > late; });
}

TEST(Model, HoldsAfterEveryStepOfARandomSequence) {
  const auto given = parse_steps(from_environment("HANAT_STEPS"));
  const std::uint64_t seed = number_from("HANAT_SEED", 1);
  const std::size_t count = number_from("HANAT_STEPS_COUNT", as_many_as_fit);
  const bool all = count != as_many_as_fit || !given.empty();
  constexpr seconds a_day = std::chrono::hours{24};
  const seconds time{number_from("HANAT_SECONDS", static_cast<std::uint64_t>((all ? a_day : time_in_the_run).count()))};
  const auto steps = given.empty() ? random_steps(seed, count) : given;
  const auto begun = Clock::now();
  Outcome outcome = run(steps, begun + time);
  fmt::print("seed {}: {} steps in {} s\n", seed, outcome.steps, std::chrono::duration_cast<seconds>(Clock::now() - begun).count());
  if (!outcome.failure) return;
  fmt::print("failed at step {}: {}\n", outcome.failure->step + 1, outcome.failure->text);
  const auto needed = given.empty() ? shortest(steps, outcome) : given;
  ADD_FAILURE() << "seed " << seed << "; " << outcome.failure->text << "\n"
                << listing(needed, outcome) << "replay: HANAT_STEPS='" << to_text(needed) << "'\n"
                << outcome.failure->log;
}

} // namespace
} // namespace hanat::test::model
