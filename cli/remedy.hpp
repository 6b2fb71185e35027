// What mends something, and messages, as lines for a screen: a command stands on a line of its own and is never broken, so that it can be
// copied. Pure. Not here: finding a remedy (daemon/doctor), the screens (show_status, show_doctor, show_why).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hanat::cli {

/// "-> COMMAND", each command on a line, however long; where it is to be run before it, and what stands in parentheses behind it, are lines
/// of their own. A remedy that is a sentence is wrapped. Every line begins with `indent` blanks. `width`: 0: nothing is wrapped.
std::vector<std::string> remedy_lines(std::string_view remedy, std::size_t width, std::size_t indent);

/// Lines of text for people, each wrapped, but not those that begin with "-> ", and not within short parentheses, which may have a command.
std::string wrapped_message(std::string_view text, std::size_t width);

} // namespace hanat::cli
