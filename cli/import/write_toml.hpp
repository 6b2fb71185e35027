// Prints what was imported as a hanat.toml: services, and comments with place, reason and remedy for all that is not one.
// Pure. Not here: whether hanat takes it (import).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// The first and last line of a part of the text, from 1.
struct Lines {
  std::size_t first = 0, last = 0;
};
struct TomlText {
  std::string text;
  std::vector<Lines> services; // in the order of Imported::services
  Lines pair;
};
TomlText write_toml(const Imported& imported);

/// "203.0.113.10:5000-5100/udp"
std::string to_text(const Listen& listen);

} // namespace hanat::cli::imports
