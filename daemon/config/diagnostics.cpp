// Collecting and sorting of errors, and the text helpers that messages share.
#include "daemon/config/diagnostics.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "nat/printable.hpp"

namespace hanat {

std::string to_text(const ConfigError& error) {
  if (error.line == 0) return fmt::format("{}: {}", error.file, error.message);
  return fmt::format("{}:{}:{}: {}", error.file, error.line, error.column, error.message);
}

} // namespace hanat

namespace hanat::config {

std::size_t Diagnostics::add_file(std::string name) {
  files_.push_back(std::move(name));
  return files_.size() - 1;
}

void Diagnostics::add(const SourceLocation& location, std::string message) {
  entries_.push_back({.location = location, .message = std::move(message)});
}

std::string Diagnostics::where(const SourceLocation& location, const SourceLocation& seen_from) const {
  if (location.file == seen_from.file) return fmt::format("line {}", location.line);
  return fmt::format("line {} of {}", location.line, files_.at(location.file));
}

ConfigPlace Diagnostics::place(const SourceLocation& location) const {
  return {.file = files_.at(location.file), .line = location.line, .column = location.column};
}

std::vector<ConfigError> Diagnostics::sorted() const {
  std::vector<Entry> ordered = entries_;
  std::ranges::sort(ordered);
  const auto repeated = std::ranges::unique(ordered);
  ordered.erase(repeated.begin(), repeated.end());
  std::vector<ConfigError> errors;
  errors.reserve(ordered.size());
  for (Entry& entry : ordered)
    errors.push_back({.file = files_.at(entry.location.file),
                      .line = entry.location.line,
                      .column = entry.location.column,
                      .message = std::move(entry.message)});
  return errors;
}

std::string shown(std::string_view text) {
  constexpr std::size_t longest = 60; // characters of a value in a message: enough for any valid value
  return fmt::format("\"{}{}\"", printable(text.substr(0, longest)), text.size() > longest ? "..." : "");
}

std::string grouped(std::uint64_t number) {
  std::string digits = fmt::format("{}", number);
  for (std::size_t end = digits.size(); end > 3; end -= 3) digits.insert(end - 3, 1, ',');
  return digits;
}

} // namespace hanat::config
