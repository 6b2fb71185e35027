// Only printable ASCII is safe: other bytes can move the cursor, colour the screen or begin a line.
#include "nat/printable.hpp"

#include <algorithm>

namespace hanat {

std::string printable(std::string_view text) {
  std::string result{text};
  std::ranges::replace_if(
      result, [](char c) { return !is_printable(c); }, '?');
  return result;
}

} // namespace hanat
