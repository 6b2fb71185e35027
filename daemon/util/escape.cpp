// A byte that is not printable could move the cursor, colour the screen or begin a line.
#include "daemon/util/escape.hpp"

#include <fmt/format.h>

#include "nat/printable.hpp"

namespace hanat {

std::string escaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (is_printable(c))
      result.push_back(c);
    else
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return result;
}

std::string shortened(std::string text, std::size_t longest) {
  if (text.size() <= longest) return text;
  const std::string end = fmt::format(" ... ({} bytes)", text.size());
  text.resize(longest - end.size());
  return text + end;
}

} // namespace hanat
