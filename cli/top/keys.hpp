// What a key does to the picture, and what it asks for. Pure. Not here: reading keys (terminal), doing what is asked for (loop).
#pragma once

#include <string>
#include <variant>

#include "cli/top/picture.hpp"
#include "cli/top/values.hpp"

namespace hanat::cli::top {

/// Nothing but the picture changes.
struct Nothing {};
struct Quit {};
/// How many connections has this service, and what becomes of them?
struct CountOf {
  std::string service;
};
using Action = std::variant<Nothing, Quit, CountOf, Change>;

Action press(Picture& picture, const Press& key);
/// The counts are there: a question that is on the screen shows them.
void take_standing(Picture& picture, const Standing& standing);
/// The answer to the change that the picture waits for.
void take_answer(Picture& picture, Answer answer);

} // namespace hanat::cli::top
