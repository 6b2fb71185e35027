// Reads the repository for the structure tests. Not here: the rules (layering_test, size_test, vocabulary_test).
#include "tests/unit/structure/tree.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace hanat::structure {
namespace {

namespace fs = std::filesystem;

// Where the literal, comment or directive that begins at `begin` ends; `begin` when none begins there.
std::size_t end_of_comment(std::string_view text, std::size_t begin) {
  const std::string_view rest = text.substr(begin);
  if (rest.starts_with("//")) return std::min(text.find('\n', begin), text.size());
  if (rest.starts_with("/*")) return std::min(text.find("*/", begin + 2), text.size() - 2) + 2;
  return begin;
}

std::size_t end_of_quoted(std::string_view text, std::size_t begin) {
  const char quote = text[begin];
  std::size_t at = begin + 1;
  while (at < text.size() && text[at] != quote) at += text[at] == '\\' ? 2U : 1U;
  return std::min(at + 1, text.size());
}

std::size_t end_of_raw_string(std::string_view text, std::size_t begin) {
  const std::size_t open = text.find('(', begin);
  if (open == std::string_view::npos) return text.size();
  const std::string close = ")" + std::string{text.substr(begin + 2, open - begin - 2)} + "\"";
  const std::size_t end = text.find(close, open);
  return end == std::string_view::npos ? text.size() : end + close.size();
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::size_t end_of_literal(std::string_view text, std::size_t begin) {
  const bool inside_word = begin > 0 && is_word(text[begin - 1]);
  if (text.substr(begin).starts_with("R\"") && !inside_word) return end_of_raw_string(text, begin);
  if (text[begin] == '"') return end_of_quoted(text, begin);
  if (text[begin] == '\'' && !inside_word) return end_of_quoted(text, begin); // 1'000 is a number
  return begin;
}

std::size_t end_of_directive(std::string_view text, std::size_t begin) {
  if (text[begin] != '#') return begin;
  const std::size_t line = text.find_last_of('\n', begin);
  const std::size_t first = line == std::string_view::npos ? 0 : line + 1;
  if (text.substr(first, begin - first).find_first_not_of(" \t") != std::string_view::npos) return begin;
  std::size_t end = text.find('\n', begin);
  while (end != std::string_view::npos && text[end - 1] == '\\') end = text.find('\n', end + 1);
  return std::min(end, text.size());
}

} // namespace

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<TextFile> read_tree(std::initializer_list<const char*> folders, std::initializer_list<std::string_view> extensions) {
  const fs::path root = HANAT_SOURCE;
  const auto wanted = [&](const fs::path& path) {
    return extensions.size() == 0 || std::ranges::find(extensions, path.extension().string()) != extensions.end();
  };
  std::vector<TextFile> files;
  const auto add = [&](const fs::path& path) { files.push_back({.path = path.lexically_relative(root), .text = read_text(path)}); };
  for (const char* folder : folders) {
    if (fs::is_regular_file(root / folder)) {
      add(root / folder);
      continue;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.is_regular_file() && wanted(entry.path())) add(entry.path());
  }
  std::ranges::sort(files, {}, &TextFile::path);
  return files;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::string code_of(std::string_view text) {
  std::string code{text};
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::max({end_of_comment(text, at), end_of_literal(text, at), end_of_directive(text, at)});
    if (end == at) {
      ++at;
      continue;
    }
    for (; at < end; ++at)
      if (code[at] != '\n') code[at] = ' ';
  }
  return code;
}

} // namespace hanat::structure
