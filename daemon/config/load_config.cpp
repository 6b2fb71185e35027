// The steps from text to configuration: TOML, the settings of each file, services with defaults, groups, validation.
// Not here: each step (read_files, read_service, apply_defaults, read_group, validate).
#include "daemon/config/load_config.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "daemon/config/depth_limit.hpp"
#include "daemon/config/raw_config.hpp"
#include "daemon/config/reread.hpp"
#include "nat/printable.hpp"

namespace hanat {
namespace {

using namespace config;

/// The usual remedy for an error message of the TOML parser.
std::string_view syntax_remedy(std::string_view message) {
  struct Cause {
    std::string_view text, remedy;
  };
  static constexpr Cause causes[] = {
      {.text = "cannot redefine", .remedy = "define it once"},
      {.text = "could not determine value type", .remedy = "put text, times and addresses in double quotes"},
      {.text = "expected digit", .remedy = "put text, times and addresses in double quotes"},
      {.text = "control characters", .remedy = "close the string on its line, and use no control characters in it"},
      {.text = "escape sequence", .remedy = "double each backslash in a string"},
      {.text = "inline table", .remedy = "write a table in braces on one line, without a trailing comma"},
  };
  for (const auto& [text, remedy] : causes)
    if (message.find(text) != std::string_view::npos) return remedy;
  return "correct this line";
}

/// The parser stops at its first error, so the message says that the rest of the file was not read.
void add_syntax_error(const toml::parse_error& error, std::size_t file, Diagnostics& diagnostics) {
  std::string_view message = error.description();
  constexpr std::string_view preamble = "Error while parsing ";
  if (message.starts_with(preamble)) message.remove_prefix(preamble.size());
  const auto& begin = error.source().begin;
  diagnostics.add({.file = file, .line = begin.line, .column = begin.column},
                  fmt::format("this is not valid TOML ({}): {}, then check again; the rest of this file was not read", printable(message),
                              syntax_remedy(message)));
}

/// Reads the settings of one file. False: its text is not valid TOML.
bool read_text(std::string_view text, std::size_t file, bool main_file, RawConfig& raw, Diagnostics& diagnostics) {
  if (const auto deep = too_deep(text)) {
    diagnostics.add({.file = file, .line = deep->line, .column = deep->column},
                    "this key has more parts than any key of hanat: remove dots, then check again; the rest of this file was not read");
    raw.all_read = false;
    return false;
  }
  try {
    const toml::table root = toml::parse(text);
    read_tables(root, file, main_file, raw, diagnostics);
    return true;
  } catch (const toml::parse_error& error) {
    add_syntax_error(error, file, diagnostics);
    raw.all_read = false;
    return false;
  }
}

void add_places(const std::vector<Resolved>& services, const Diagnostics& diagnostics, ProbePlaces& places) {
  for (const Resolved& resolved : services)
    for (std::size_t server = 0; server < resolved.probe_locations.size(); ++server)
      for (const SourceLocation& location : resolved.probe_locations[server])
        places[{resolved.service.name, resolved.service.servers[server].role}].push_back(diagnostics.place(location));
}

/// `has_main`: the main file could be read. Without its [defaults] the services cannot be put together.
ConfigResult finish(const RawConfig& raw, bool has_main, Diagnostics& diagnostics, ProbePlaces* places = nullptr) {
  Config result{.on_stop = raw.on_stop,
                .operators = raw.operators,
                .reconcile = raw.reconcile,
                .metrics = raw.metrics,
                .resolver = raw.resolver,
                .path_check = raw.path_check,
                .probe_ports = raw.probe_ports,
                .pair = raw.pair,
                .hook = raw.hook,
                .services = {}};
  if (has_main) {
    std::vector<Resolved> services = apply_defaults(raw, diagnostics);
    join_groups(raw, services, diagnostics);
    validate(services, diagnostics);
    if (places != nullptr) add_places(services, diagnostics, *places);
    for (Resolved& resolved : services) result.services.push_back(std::move(resolved.service));
  }
  if (diagnostics.count() != 0) return diagnostics.sorted();
  return result;
}

ConfigResult load(const ConfigFiles& files, ProbePlaces* places, std::shared_ptr<const Outline>* outline = nullptr) {
  const WallTime begun = wall_now();
  Diagnostics diagnostics;
  RawConfig raw;
  const auto read = [&](const std::string& name, const FileContent& content, bool main_file) {
    const std::size_t index = diagnostics.add_file(name);
    if (const auto* text = std::get_if<std::string>(&content)) return read_text(*text, index, main_file, raw, diagnostics);
    diagnostics.add({.file = index, .line = 0, .column = 0}, std::get<Error>(content).text);
    raw.all_read = false;
    return false;
  };
  const bool has_main = read(files.main.string(), files.content, true);
  for (const ExtraFile& extra : files.extra) read(extra.name, extra.content, false);
  ConfigResult result = finish(raw, has_main, diagnostics, places);
  if (const auto* config = std::get_if<Config>(&result); outline != nullptr && config != nullptr)
    *outline = outline_of(raw, files, *config, begun);
  return result;
}

} // namespace

ConfigResult parse_config(std::string_view text, const std::string& name) {
  const std::array files{ConfigText{.name = name, .text = std::string{text}}};
  return parse_config(files);
}

ConfigResult parse_config(std::span<const ConfigText> files) {
  Diagnostics diagnostics;
  RawConfig raw;
  bool has_main = false;
  for (const ConfigText& file : files) {
    const bool main_file = &file == &files.front();
    const bool valid = read_text(file.text, diagnostics.add_file(file.name), main_file, raw, diagnostics);
    if (main_file) has_main = valid;
  }
  return finish(raw, has_main, diagnostics);
}

std::vector<ConfigText> config_texts(const std::filesystem::path& file) {
  std::vector<ConfigText> texts;
  const auto add = [&texts](const std::string& name, const FileContent& content) {
    if (const auto* text = std::get_if<std::string>(&content)) texts.push_back({.name = name, .text = *text});
  };
  const ConfigFiles files = read_config_files(file);
  add(file.string(), files.content);
  for (const ExtraFile& extra : files.extra) add(extra.name, extra.content);
  return texts;
}

ConfigResult load_config(const std::filesystem::path& file) { return load(read_config_files(file), nullptr); }

ConfigResult load_config(const std::filesystem::path& file, ProbePlaces& places) { return load(read_config_files(file), &places); }

ConfigResult load_config(const ConfigFiles& files, std::shared_ptr<const Outline>& outline) { return load(files, nullptr, &outline); }

} // namespace hanat
