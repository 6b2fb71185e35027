// Tables of invalid configurations. A row is a piece of text and its errors, one "line:col: message" per line.
// Not here: the rows (the tests of this folder).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "daemon/config/load_config.hpp"

namespace hanat::test {

struct Row {
  std::string_view text, expected;
};

/// All errors of a text, one per line; empty without errors.
inline std::string errors_of(std::string_view text) {
  const auto result = parse_config(text, "f");
  const auto* errors = std::get_if<std::vector<ConfigError>>(&result);
  std::string lines;
  if (errors == nullptr) return lines;
  for (const ConfigError& error : *errors) lines += (lines.empty() ? "" : "\n") + to_text(error).substr(2); // without "f:"
  return lines;
}

/// Replaces the "%" of the frame with the text of each row, and checks its errors.
inline void expect_errors(std::string_view frame, std::span<const Row> rows) {
  const auto hole = frame.find('%');
  for (const Row& row : rows) {
    const std::string text = std::string{frame.substr(0, hole)} + std::string{row.text} + std::string{frame.substr(hole + 1)};
    EXPECT_EQ(errors_of(text), row.expected) << "of the text\n" << text;
  }
}

} // namespace hanat::test
