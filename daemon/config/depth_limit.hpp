// Limits the dotted parts of a key before the TOML parser runs: for a key of thousands of parts the parser builds a tree so deep that
// destroying it overflows the stack.
// Not here: any other check of the syntax.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hanat::config {

struct TextPosition {
  std::uint32_t line = 1, column = 1;
};
/// The position of the first key with too many dotted parts.
std::optional<TextPosition> too_deep(std::string_view text);

} // namespace hanat::config
