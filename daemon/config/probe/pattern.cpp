// Parses the bytes and regular expressions that a probe sends and expects.
// Not here: the keys that have them (send_expect, http).
#include <fmt/format.h>

#include "daemon/config/probe/keys.hpp"

namespace hanat::config {
namespace {

constexpr std::size_t longest_bytes = 4'096;      // a short, distinctive part is enough
constexpr std::size_t longest_expression = 1'024; // characters

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

Parsed<std::string> parse_bytes(std::string_view key, std::string_view text) {
  if (text.empty()) return error("probe.{0} = \"\" is empty: write the bytes, or remove {0}", key);
  if (text.size() > longest_bytes)
    return error("probe.{} is {} bytes long, but the maximum is {}: a short, distinctive part is enough", key, grouped(text.size()),
                 grouped(longest_bytes));
  return std::string{text};
}

Parsed<std::string> parse_hex(std::string_view key, std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' && high < 0) continue; // between bytes
    const int digit = hex_digit(c);
    if (digit < 0) return error("probe.{} = {} is not hexadecimal: write two digits per byte, as in \"00 ff 0a\"", key, shown(text));
    if (high >= 0) bytes += static_cast<char>(high << 4 | digit);
    high = high < 0 ? digit : -1;
  }
  if (high >= 0) return error("probe.{} = {} has an incomplete byte: write two digits per byte, as in \"00 ff 0a\"", key, shown(text));
  return parse_bytes(key, bytes);
}

Parsed<probes::Pattern> parse_expression(std::string_view key, std::string_view text) {
  if (text.empty())
    return error("probe.{0} = \"\" would match any response: write what only a correct response contains, or remove {0}", key);
  if (text.size() > longest_expression)
    return error("probe.{} is {} characters long, but the maximum is {}: a short, distinctive expression is enough", key,
                 grouped(text.size()), grouped(longest_expression));
  if (const auto failed = probes::Pattern::error(text))
    return error("probe.{} = {} is not a regular expression of RE2 ({}): write one like \"^[Oo][Kk]\"", key, shown(text), *failed);
  return probes::Pattern::expression(std::string{text});
}

} // namespace hanat::config
