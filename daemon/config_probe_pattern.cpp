// Bytes and expressions in strings of the configuration: what a probe says, and what must come back.
// Not here: which keys take them (config_probe_talk, config_probe_http).
#include <fmt/format.h>

#include "daemon/config_probe_kinds.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_bytes = 4'096;      // a short, telling piece is enough
constexpr std::size_t longest_expression = 1'024; // characters

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

Parsed<std::string> parse_bytes(std::string_view key, std::string_view text) {
  if (text.empty()) return complaint("probe.{0} = \"\" is empty: write the bytes, or leave {0} out", key);
  if (text.size() > longest_bytes)
    return complaint("probe.{} is {} bytes long, and the most is {}: a short, telling piece is enough", key, grouped(text.size()),
                     grouped(longest_bytes));
  return std::string{text};
}

Parsed<std::string> parse_hex(std::string_view key, std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' && high < 0) continue; // between bytes
    const int digit = hex_digit(c);
    if (digit < 0) return complaint("probe.{} = {} is not hexadecimal: write two digits a byte, as in \"00 ff 0a\"", key, shown(text));
    if (high >= 0) bytes += static_cast<char>(high << 4 | digit);
    high = high < 0 ? digit : -1;
  }
  if (high >= 0) return complaint("probe.{} = {} ends within a byte: write two digits a byte, as in \"00 ff 0a\"", key, shown(text));
  return parse_bytes(key, bytes);
}

Parsed<probes::Pattern> parse_expression(std::string_view key, std::string_view text) {
  if (text.empty()) return complaint("probe.{0} = \"\" would match any answer: write what only a right one holds, or leave {0} out", key);
  if (text.size() > longest_expression)
    return complaint("probe.{} is {} characters long, and the most is {}: a short, telling expression is enough", key, grouped(text.size()),
                     grouped(longest_expression));
  if (const auto wrong = probes::Pattern::complaint(text))
    return complaint("probe.{} = {} is not a regular expression of RE2 ({}): write one like \"^[Oo][Kk]\"", key, shown(text), *wrong);
  return probes::Pattern::expression(std::string{text});
}

} // namespace hanat::config
