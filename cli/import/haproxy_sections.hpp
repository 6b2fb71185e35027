// The lines of haproxy.cfg as arguments, and its sections.
// Pure. Not here: what they mean (haproxy).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

struct ConfigLine {
  Place place;
  std::string text; // as it stands there
  std::vector<std::string> arguments;
  /// Empty: there is none.
  const std::string& argument(std::size_t index) const;
  /// The first arguments are these words, divided by blanks.
  bool begins_with(std::string_view words) const;
};
struct Section {
  ConfigLine head; // "backend web"
  std::vector<ConfigLine> lines;
  std::size_t defaults = 0; // which of the sections has its default values; npos: none
};
inline constexpr std::size_t no_section = static_cast<std::size_t>(-1);

/// Throws ImportError for text that is not HAProxy's.
std::vector<Section> read_sections(const SourceText& source);

} // namespace hanat::cli::imports
