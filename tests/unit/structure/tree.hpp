// The repository's own text, as the structure tests read it: files by folder, and code without comments and literals.
// Not here: what the text should look like.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace hanat::structure {

struct TextFile {
  std::string path; // from the repository's root
  std::string text;
};

/// The text of one file, "" when it does not exist.
std::string read_text(const std::filesystem::path& path);
/// All files below the folders (or single files) whose names end in one of `extensions` (all files when there are none), sorted by path.
std::vector<TextFile> read_tree(std::initializer_list<const char*> folders, std::initializer_list<std::string_view> extensions);

std::vector<std::string_view> lines_of(std::string_view text);

/// C++ with comments, literals and preprocessor lines replaced by blanks: every remaining character stays at its line and column.
std::string code_of(std::string_view text);

} // namespace hanat::structure
