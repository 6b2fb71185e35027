// Numbers by charconv; text byte by byte, and by the library where a byte is unusual.
#include "daemon/api/json_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "daemon/api/varlink.hpp"

namespace hanat {
namespace {

constexpr std::size_t longest_number = 32;

template <class Number> void append(std::string& text, Number value) {
  std::array<char, longest_number> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  text.append(digits.data(), end);
}

bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

} // namespace

void JsonText::put_text(std::string_view value) {
  if (!std::ranges::all_of(value, is_plain)) return put_tree(value);
  text_ += '"';
  text_ += value;
  text_ += '"';
}

/// A whole number keeps its fraction, by which readers know its type.
void JsonText::put_number(double value) {
  if (!std::isfinite(value)) return put_tree(nullptr);
  const std::size_t begin = text_.size();
  append(text_, value);
  if (text_.find_first_of(".e", begin) == std::string::npos) text_ += ".0";
}
void JsonText::put_number(std::int64_t value) { append(text_, value); }
void JsonText::put_number(std::uint64_t value) { append(text_, value); }

void JsonText::put_tree(const nlohmann::json& value) { text_ += varlink::to_text(value); }

} // namespace hanat
