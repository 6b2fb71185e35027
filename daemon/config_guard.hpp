// Looks at text before the TOML parser does: a key of thousands of dotted parts makes it build a tree so deep that taking it down
// overflows the stack. Not here: any other judgement; the parser knows what is TOML.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace hanat::config {

struct TextPlace {
  std::uint32_t line = 1, column = 1;
};
/// Where a key with too many dotted parts stands.
std::optional<TextPlace> too_deep(std::string_view text);

} // namespace hanat::config
