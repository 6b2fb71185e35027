// UTF-8 is read character by character; what is not a whole one is a byte.
#include "cli/top/cells.hpp"

#include <algorithm>
#include <cstdint>
#include <cwchar>

#include <fmt/format.h>

#include "daemon/util/escape.hpp"

namespace hanat::cli::top {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t length = 0; // bytes; 0: no UTF-8
};

/// The first one of a text that is not empty. Overlong forms, surrogates and what is beyond Unicode are none.
Character first_of(std::string_view text) {
  const auto byte = [&](std::size_t index) { return static_cast<std::uint8_t>(text[index]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  char32_t code = lead & (0xffU >> (length + 1));
  for (std::size_t index = 1; index < length; ++index) {
    if ((byte(index) & 0xc0U) != 0x80) return {};
    code = code << 6 | (byte(index) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff) return {};
  return {code, length};
}

/// They cannot be seen, end a line, or turn the direction of what follows.
bool is_hidden(char32_t code) {
  return code == 0xad || code == 0x61c || code == 0x180e || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2060 && code <= 0x206f) || (code >= 0xfe00 && code <= 0xfe0f) || code == 0xfeff || code >= 0xe0000;
}

/// Columns, or -1 for what a terminal must not get.
int width_of(char32_t code) {
  if (code < 0x20 || (code >= 0x7f && code < 0xa0) || is_hidden(code)) return -1;
  return code < 0x7f ? 1 : wcwidth(static_cast<wchar_t>(code));
}

/// How many bytes of a safe text fill at most so many columns.
std::size_t bytes_within(std::string_view text, std::size_t columns) {
  std::size_t bytes = 0, filled = 0;
  while (bytes < text.size()) {
    const Character next = first_of(text.substr(bytes));
    const auto width = static_cast<std::size_t>(std::max(next.length == 0 ? 1 : width_of(next.code), 0));
    if (filled + width > columns) break;
    filled += width;
    bytes += std::max<std::size_t>(next.length, 1);
  }
  return bytes;
}

} // namespace

std::string safe(std::string_view text, bool utf8) {
  constexpr int most_marks = 2; // on one character: some terminals lose count of more
  std::string result;
  result.reserve(text.size());
  for (int marks = most_marks; !text.empty();) { // a mark without a character before it is none
    const Character next = first_of(text);
    const bool known = next.length > 0 && (next.code < 0x80 || utf8);
    const int width = known ? width_of(next.code) : -1;
    marks = width == 0 ? marks + 1 : 0;
    const std::size_t length = std::max<std::size_t>(next.length, 1);
    if (width < 0 || marks > most_marks)
      result += escaped(text.substr(0, length));
    else
      result += text.substr(0, length);
    text.remove_prefix(length);
  }
  return result;
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character next = first_of(text);
    columns += static_cast<std::size_t>(std::max(next.length == 0 ? 1 : width_of(next.code), 0));
    text.remove_prefix(std::max<std::size_t>(next.length, 1));
  }
  return columns;
}

std::string cut_to(std::string_view text, std::size_t columns) {
  const std::size_t bytes = bytes_within(text, columns);
  if (bytes == text.size() || columns == 0) return std::string{text.substr(0, bytes)};
  return std::string{text.substr(0, bytes_within(text, columns - 1))} + "~";
}

std::string padded(std::string_view text, std::size_t columns) {
  std::string result = cut_to(text, columns);
  result.append(columns - std::min(columns, columns_of(result)), ' ');
  return result;
}

std::vector<std::string> folded(std::string_view text, std::size_t columns, std::size_t hang) {
  std::vector<std::string> lines;
  const std::string margin(std::min(hang, columns / 2), ' '); // a narrow screen still has room for text
  std::string line;
  while (columns > 0 && line.size() + columns_of(text) > columns) {
    std::size_t end = bytes_within(text, columns - line.size());
    if (end == 0) break; // a wide character in one column
    const std::size_t blank = text.rfind(' ', end);
    const bool breaks = blank != std::string_view::npos && text.find_first_not_of(' ') < blank;
    if (breaks) end = blank;
    lines.push_back(line.append(text.substr(0, end)));
    lines.back().erase(lines.back().find_last_not_of(' ') + 1);
    text.remove_prefix(end);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    line = margin;
  }
  if (!text.empty() || lines.empty()) lines.push_back(cut_to(line.append(text), columns));
  return lines;
}

std::string_view without_last(std::string_view text) {
  while (!text.empty() && (static_cast<std::uint8_t>(text.back()) & 0xc0U) == 0x80) text.remove_suffix(1);
  if (!text.empty()) text.remove_suffix(1);
  return text;
}

} // namespace hanat::cli::top
