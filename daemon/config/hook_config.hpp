// A program that is told of events. Not here: of which (report/hooks), whether it may be run (util/trusted_program).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "nat/clock.hpp"

namespace hanat {

struct HookConfig {
  std::vector<std::string> command = {}; // absolute path and arguments; none: nothing is run
  Clock::duration timeout = std::chrono::seconds{10};
  bool operator==(const HookConfig&) const = default;
};

} // namespace hanat
