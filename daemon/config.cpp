// The way through: text -> TOML -> what the files say -> services, with every error of every file at once.
// Not here: each step (config_file, config_service, config_merge, config_check).
#include "daemon/config.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "daemon/config_file.hpp"
#include "daemon/config_guard.hpp"
#include "daemon/config_parts.hpp"

namespace hanat {
namespace {

using namespace config;

std::string without_control(std::string_view text) {
  std::string result{text};
  for (char& c : result)
    if (c < ' ' || c > '~') c = '?';
  return result;
}

/// What usually lies behind an error of the parser.
std::string_view syntax_remedy(std::string_view what) {
  struct Cause {
    std::string_view words, remedy;
  };
  static constexpr Cause causes[] = {
      {.words = "cannot redefine", .remedy = "say it once"},
      {.words = "could not determine value type", .remedy = "put text, times and addresses in double quotes"},
      {.words = "expected digit", .remedy = "put text, times and addresses in double quotes"},
      {.words = "control characters", .remedy = "close the string on the line where it begins, and keep unprintable characters out"},
      {.words = "escape sequence", .remedy = "write a backslash in a string as two"},
      {.words = "inline table", .remedy = "keep a table in braces on one line, without a comma before its end"},
  };
  for (const auto& [words, remedy] : causes)
    if (what.find(words) != std::string_view::npos) return remedy;
  return "correct this line";
}

/// The parser stops at its first error, so the message says that there may be more.
void add_syntax_error(const toml::parse_error& error, std::size_t file, Findings& findings) {
  std::string_view what = error.description();
  constexpr std::string_view preamble = "Error while parsing ";
  if (what.starts_with(preamble)) what.remove_prefix(preamble.size());
  const auto& begin = error.source().begin;
  findings.add({.file = file, .line = begin.line, .column = begin.column},
               fmt::format("this is not TOML ({}): {}, then check again, as nothing else of this file was read", without_control(what),
                           syntax_remedy(what)));
}

/// Everything that one file says; false when its text is no TOML.
bool read_text(std::string_view text, std::size_t file, bool main_file, FilesText& files, Findings& findings) {
  if (const auto deep = too_deep(text)) {
    findings.add({.file = file, .line = deep->line, .column = deep->column},
                 "this key has more parts than any key of hanat: remove dots, then check again, as nothing else of this file was read");
    files.whole = false;
    return false;
  }
  try {
    const toml::table root = toml::parse(text);
    read_file_text(root, file, main_file, files, findings);
    return true;
  } catch (const toml::parse_error& error) {
    add_syntax_error(error, file, findings);
    files.whole = false;
    return false;
  }
}

/// `complete`: the main file could be read; without its [defaults] nothing can be put together.
ConfigResult finish(const FilesText& files, bool complete, Findings& findings) {
  Config result{
      .on_stop = files.on_stop, .operators = files.operators, .reconcile = files.reconcile, .metrics = files.metrics, .services = {}};
  if (complete) {
    std::vector<Merged> services = merge(files, findings);
    join_groups(files, services, findings);
    check(services, findings);
    for (Merged& merged : services) result.services.push_back(std::move(merged.service));
  }
  if (findings.count() != 0) return findings.sorted();
  return result;
}

} // namespace

std::string to_text(const ConfigError& error) {
  if (error.line == 0) return fmt::format("{}: {}", error.file, error.message);
  return fmt::format("{}:{}:{}: {}", error.file, error.line, error.column, error.message);
}

ConfigResult parse_config(std::string_view text, const std::string& name) {
  Findings findings;
  FilesText files;
  const std::size_t file = findings.add_file(name);
  const bool complete = read_text(text, file, true, files, findings);
  return finish(files, complete, findings);
}

ConfigResult load_config(const std::filesystem::path& file) {
  Findings findings;
  FilesText files;
  const auto read = [&](const std::string& name, const FileText& text, bool main_file) {
    const std::size_t index = findings.add_file(name);
    if (const auto* content = std::get_if<std::string>(&text)) return read_text(*content, index, main_file, files, findings);
    findings.add({.file = index, .line = 0, .column = 0}, std::get<Complaint>(text).text);
    files.whole = false;
    return false;
  };
  const bool complete = read(file.string(), read_main_file(file), true);
  for (const ExtraFile& extra : read_extra_files(file)) read(extra.name, extra.text, false);
  return finish(files, complete, findings);
}

} // namespace hanat
