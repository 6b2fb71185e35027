// Runs a sequence of steps in a Lab of its own, and says at which it failed. Not here: making sequences (step) and shortening them
// (shrink).
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/model/step.hpp"

namespace hanat::test::model {

struct Failure {
  std::size_t step = 0; // its index
  std::string text, log;
};
struct Outcome {
  std::size_t steps = 0; // carried out
  std::optional<Failure> failure;
  std::vector<std::string> descriptions; // of the steps, for people
};

/// `until`: no step begins after it.
Outcome run(const std::vector<Step>& steps, std::chrono::steady_clock::time_point until);

} // namespace hanat::test::model
