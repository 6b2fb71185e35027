// Golden files: compares a text with a file of tests/golden. After an intended change the tests write the files themselves:
//   HANAT_UPDATE_GOLDEN=1 build/dev/tests/hanat-unit --gtest_filter='Layout.*'         (layout.txt)
//   sudo HANAT_UPDATE_GOLDEN=1 build/dev/tests/hanat-netns --gtest_filter='Ruleset.*'  (table.nft)
// Review the difference before you commit it. Not here: how the texts are made (layout_test, ruleset_test).
#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace hanat::test {

/// A file of the source tree. Throws std::runtime_error if it cannot be read.
inline std::string source_file(const std::string& path) {
  std::ifstream file{std::string{HANAT_SOURCE} + "/" + path};
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// Compares `text` with tests/golden/`name`, and reports the first line that differs.
inline void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = "tests/golden/" + name;
  if (const char* update = std::getenv("HANAT_UPDATE_GOLDEN"); update != nullptr && std::string{update} == "1") {
    std::ofstream file{std::string{HANAT_SOURCE} + "/" + path};
    file << text;
    if (!file.flush()) ADD_FAILURE() << "cannot write " << path;
    return;
  }
  std::istringstream expected{source_file(path)}, actual{text};
  std::string context, expected_line, actual_line;
  for (int number = 1;; ++number) {
    const bool more_expected = static_cast<bool>(std::getline(expected, expected_line));
    const bool more_actual = static_cast<bool>(std::getline(actual, actual_line));
    if (!more_expected && !more_actual) return;
    if (more_expected != more_actual || expected_line != actual_line) {
      ADD_FAILURE() << path << ":" << number << "\n  after:    " << context << "\n  expected: " << (more_expected ? expected_line : "(end)")
                    << "\n  actual:   " << (more_actual ? actual_line : "(end)")
                    << "\nIf this change is intended: see tests/golden/golden.hpp for how to update the file.";
      return;
    }
    context = actual_line;
  }
}

} // namespace hanat::test
