// Collects the errors of a configuration, so that all are reported at once, and the text helpers that messages share.
// Not here: finding errors (parse_values, toml_reader, validate).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "daemon/util/did_you_mean.hpp" // messages use it
#include "daemon/util/duration.hpp"

namespace hanat {

/// An error for the user: where it is, what is wrong, and the remedy. line and column start at 1; line 0: the file as a whole.
struct ConfigError {
  std::string file;
  std::uint32_t line = 0, column = 0;
  std::string message;
  bool operator==(const ConfigError&) const = default;
};
/// Where something stands that is no error.
struct ConfigPlace {
  std::string file;
  std::uint32_t line = 0, column = 0;
  bool operator==(const ConfigPlace&) const = default;
};
/// "file:line:col: message"
std::string to_text(const ConfigError& error);

} // namespace hanat

namespace hanat::config {

/// A position in one of the files; line 0: the file as a whole.
struct SourceLocation {
  std::size_t file = 0; // index from Diagnostics::add_file
  std::uint32_t line = 0, column = 0;
  auto operator<=>(const SourceLocation&) const = default;
};

/// What is wrong with a text or a file, and the remedy. The caller knows the location.
struct Error {
  std::string text;
};
template <class... Parts> Error error(fmt::format_string<Parts...> format, Parts&&... parts) {
  return {fmt::format(format, std::forward<Parts>(parts)...)};
}

class Diagnostics {
public:
  /// Errors are sorted by file, in the order in which the files were added.
  std::size_t add_file(std::string name);
  void add(const SourceLocation& location, std::string message);
  /// "line 12", or "line 12 of /etc/hanat/conf.d/sip.toml" if `seen_from` is in another file.
  std::string where(const SourceLocation& location, const SourceLocation& seen_from) const;
  ConfigPlace place(const SourceLocation& location) const;
  std::size_t count() const { return entries_.size(); }
  /// Sorted by file, line and column, without duplicates.
  std::vector<ConfigError> sorted() const;

private:
  struct Entry {
    SourceLocation location;
    std::string message;
    auto operator<=>(const Entry&) const = default;
  };
  std::vector<std::string> files_;
  std::vector<Entry> entries_;
};

/// Text of the file in double quotes, safe for a terminal: unprintable bytes become '?', long text is shortened.
std::string shown(std::string_view text);

/// 65,536
std::string grouped(std::uint64_t number);

} // namespace hanat::config
