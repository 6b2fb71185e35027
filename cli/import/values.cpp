// Strict: what is not of the form is no value.
#include "cli/import/values.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/util/escape.hpp"

namespace hanat::cli::imports {
namespace {

constexpr bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

} // namespace

ImportError::ImportError(const Place& place, const std::string& text)
    : std::runtime_error(place.line == 0 ? fmt::format("{}: {}", escaped(place.file), text)
                                         : fmt::format("{}:{}: {}", escaped(place.file), place.line, text)) {}

std::optional<std::uint64_t> whole_number(std::string_view text, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

std::optional<Ports> ports_of(std::string_view text, char range) {
  const auto border = text.find(range);
  const auto first = whole_number(text.substr(0, border), UINT16_MAX);
  const auto last = border == std::string_view::npos ? first : whole_number(text.substr(border + 1), UINT16_MAX);
  if (!first || !last || *first == 0 || *first > *last) return std::nullopt;
  return Ports{.first = static_cast<std::uint16_t>(*first), .last = static_cast<std::uint16_t>(*last)};
}

bool is_usable(const Address& address) {
  return !address.is_unspecified() && !address.is_loopback() && !address.is_multicast() && !address.is_link_local() &&
         !address.is_v4_mapped();
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= ' ' && c <= '~') || c == '\t' || c == '\r' || c == '\n'; });
}

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      result += fmt::format("\\{}", c);
    else if (c == '\r')
      result += "\\r";
    else if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else
      result += c >= ' ' && c <= '~' ? c : '?';
  }
  return result + "\"";
}

std::string toml_list(const std::vector<std::string>& texts) {
  std::vector<std::string> strings;
  strings.reserve(texts.size());
  for (const std::string& text : texts) strings.push_back(toml_string(text));
  return strings.size() == 1 ? strings.front() : fmt::format("[{}]", fmt::join(strings, ", "));
}

std::string service_name(std::string_view text) {
  constexpr std::size_t longest = 60; // and a number behind it
  std::string name;
  for (const char c : text) {
    const bool kept = is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
    if (kept || (!name.empty() && name.back() != '-')) name += kept ? c : '-';
    if (name.size() == longest) break;
  }
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "service" : name;
}

std::optional<milliseconds> seconds_of(std::string_view text) {
  constexpr std::uint64_t most = 86'400; // a day is the most that hanat.toml takes
  const auto point = text.find('.');
  const auto whole = whole_number(text.substr(0, point), most);
  if (!whole) return std::nullopt;
  milliseconds time{*whole * 1000};
  if (point == std::string_view::npos) return time;
  std::string fraction{text.substr(point + 1, 3)};
  fraction.resize(3, '0');
  const auto part = whole_number(fraction, 999);
  if (!part) return std::nullopt;
  return time + milliseconds{*part};
}

std::vector<std::string_view> lines_in(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

void check_text(const SourceText& source) {
  if (const auto at = source.text.find('\0'); at != std::string::npos) {
    const auto line =
        static_cast<std::size_t>(std::count(source.text.begin(), source.text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    throw ImportError({.file = source.name, .line = line + 1}, "has a NUL byte, so it is not a text file: name the configuration itself");
  }
}

} // namespace hanat::cli::imports
