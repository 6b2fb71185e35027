// keepalived.conf as a tree: each statement with its arguments and, in braces, those below it. Includes are read, and definitions
// ($NAME=...) put in. Not here: what a statement means (keepalived).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

struct Block {
  Place place;
  std::vector<std::string> arguments; // "real_server", "10.0.0.11", "80"
  std::vector<Block> children;
  bool braces = false;

  const std::string& argument(std::size_t index) const;
  /// The first child of that name; null: there is none.
  const Block* child(std::string_view name) const;
  /// The first argument of that child; empty: there is none.
  std::string value(std::string_view name) const;
  std::string text() const; // its own line
};
/// Throws ImportError for text that is not keepalived's.
std::vector<Block> read_blocks(const SourceText& source, const Includes& includes, std::vector<Note>& notes);

} // namespace hanat::cli::imports
