// What is wrong with a configuration, gathered so that every error is told at once, and the words that all messages share.
// Not here: finding anything (config_text, config_reader, config_check).
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "daemon/config.hpp"

namespace hanat::config {

/// A place in one of the files; line 0 is the file as a whole.
struct Place {
  std::size_t file = 0; // index that Findings::add_file gave
  std::uint32_t line = 0, column = 0;
  auto operator<=>(const Place&) const = default;
};

/// What is wrong with a piece of text or a file, and what to do; its place is known elsewhere.
struct Complaint {
  std::string text;
};
template <class... Parts> Complaint complaint(fmt::format_string<Parts...> format, Parts&&... parts) {
  return {fmt::format(format, std::forward<Parts>(parts)...)};
}

class Findings {
public:
  /// Errors are told in the order in which files were added.
  std::size_t add_file(std::string name);
  void add(const Place& place, std::string message);
  /// "line 12", or "line 12 of /etc/hanat/conf.d/sip.toml" when the reader stands in another file.
  std::string where(const Place& place, const Place& seen_from) const;
  std::size_t count() const { return found_.size(); }
  /// Sorted by file, line and column; what was said twice of one place stands once.
  std::vector<ConfigError> sorted() const;

private:
  struct Finding {
    Place place;
    std::string message;
    auto operator<=>(const Finding&) const = default;
  };
  std::vector<std::string> files_;
  std::vector<Finding> found_;
};

/// Text of the file in double quotes, fit for a terminal: unprintable bytes become '?', what is long is shortened.
std::string shown(std::string_view text);

/// The word that was probably meant, or empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);
/// ": did you mean "interval"?" or, when nothing is near, ": write ...".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);
/// `"a", "b" or "c"`.
std::string alternatives(std::span<const std::string_view> words);

/// "500ms", "10s", "5m": the largest unit that says it exactly.
std::string duration_text(Clock::duration duration);
/// 65,536
std::string grouped(std::uint64_t number);

} // namespace hanat::config
