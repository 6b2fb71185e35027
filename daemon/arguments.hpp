// The options of hanatd. Pure. Not here: the reading of options by a table (util/arguments), doing what they say (main).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "daemon/daemon.hpp"

namespace hanat {

enum class Action : std::uint8_t { run, check, remove, version, help };

struct Arguments {
  Action action = Action::run;
  Paths paths;
  bool fallback = false;
};

/// `arguments` are those after the program's name. Throws UsageError.
Arguments parse_arguments(std::span<const std::string_view> arguments);

std::string help_text();

} // namespace hanat
