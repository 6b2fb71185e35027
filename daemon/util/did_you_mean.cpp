// Edit distance and the limits within which it proves anything.
#include "daemon/util/did_you_mean.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace hanat {
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

std::string normalized(std::string_view text) {
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
  constexpr std::size_t longest = 64;        // of a service's name; no known word is longer
  constexpr std::size_t shortest_prefix = 3; // fewer letters begin too many words
  constexpr std::size_t too_many_mistakes = 3;
  if (word.size() > longest) return {};
  const std::string meant = normalized(word);
  std::string_view best;
  std::size_t fewest = too_many_mistakes;
  for (const std::string_view candidate : known) {
    const std::size_t mistakes = distance(meant, normalized(candidate));
    if (mistakes < fewest && mistakes * 3 <= candidate.size()) {
      best = candidate;
      fewest = mistakes;
    }
  }
  if (!best.empty() || word.size() < shortest_prefix) return best;
  const auto begun = std::ranges::find_if(known, [&](std::string_view candidate) { return normalized(candidate).starts_with(meant); });
  return begun == known.end() ? std::string_view{} : *begun;
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

} // namespace hanat
