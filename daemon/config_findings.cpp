// Gathering and sorting of errors, and the words that messages share.
#include "daemon/config_findings.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace hanat::config {

std::size_t Findings::add_file(std::string name) {
  files_.push_back(std::move(name));
  return files_.size() - 1;
}

void Findings::add(const Place& place, std::string message) { found_.push_back({.place = place, .message = std::move(message)}); }

std::string Findings::where(const Place& place, const Place& seen_from) const {
  if (place.file == seen_from.file) return fmt::format("line {}", place.line);
  return fmt::format("line {} of {}", place.line, files_.at(place.file));
}

std::vector<ConfigError> Findings::sorted() const {
  std::vector<Finding> ordered = found_;
  std::ranges::sort(ordered);
  const auto repeated = std::ranges::unique(ordered);
  ordered.erase(repeated.begin(), repeated.end());
  std::vector<ConfigError> errors;
  errors.reserve(ordered.size());
  for (Finding& finding : ordered)
    errors.push_back({.file = files_.at(finding.place.file),
                      .line = finding.place.line,
                      .column = finding.place.column,
                      .message = std::move(finding.message)});
  return errors;
}

std::string shown(std::string_view text) {
  constexpr std::size_t longest = 60; // of a value in a message: enough for any right one
  std::string result{'"'};
  for (const char c : text.substr(0, longest)) result += c >= ' ' && c <= '~' ? c : '?';
  if (text.size() > longest) result += "...";
  result += '"';
  return result;
}

namespace {

/// Edits (insert, remove, replace, swap neighbours) from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last;
  std::vector<std::size_t> last(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::vector<std::size_t> row(b.size() + 1);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = std::exchange(last, std::move(row));
  }
  return last[b.size()];
}

std::string in_small_letters(std::string_view text) {
  std::string result{text};
  for (char& c : result)
    if (c >= 'A' && c <= 'Z')
      c = static_cast<char>(c - 'A' + 'a');
    else if (c == '-')
      c = '_';
  return result;
}

} // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  constexpr std::size_t longest = 40; // nobody means a short word by a longer one
  if (word.size() > longest) return {};
  const std::string meant = in_small_letters(word);
  std::string_view best;
  std::size_t best_distance = 3; // three slips make another word
  for (const std::string_view candidate : known) {
    const std::size_t slips = distance(meant, in_small_letters(candidate));
    if (slips < best_distance && slips * 3 <= candidate.size()) {
      best = candidate;
      best_distance = slips;
    }
  }
  return best;
}

std::string alternatives(std::span<const std::string_view> words) {
  std::string result;
  for (std::size_t i = 0; i < words.size(); ++i)
    result += fmt::format("{}\"{}\"", i == 0 ? "" : i + 1 == words.size() ? " or " : ", ", words[i]);
  return result;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const std::string_view meant = nearest(word, known);
  if (!meant.empty()) return fmt::format(": did you mean \"{}\"?", meant);
  return fmt::format(": write {}", alternatives(known));
}

std::string duration_text(Clock::duration duration) {
  using namespace std::chrono;
  constexpr std::array<std::pair<nanoseconds, std::string_view>, 6> units{
      {{days{1}, "d"}, {hours{1}, "h"}, {minutes{1}, "m"}, {seconds{1}, "s"}, {milliseconds{1}, "ms"}, {nanoseconds{1}, "ns"}}};
  for (const auto& [length, unit] : units)
    if (duration >= length && duration % length == nanoseconds{0}) return fmt::format("{}{}", duration / length, unit);
  return "0s";
}

std::string grouped(std::uint64_t number) {
  std::string digits = fmt::format("{}", number);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, 1, ',');
  return digits;
}

} // namespace hanat::config
