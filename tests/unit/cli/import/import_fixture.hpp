// Where the samples are, and imports of a text. Not here: what is expected of them.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "cli/import/import.hpp"
#include "daemon/config/load_config.hpp"
#include "tests/unit/temp_dir.hpp"

namespace hanat::test {

inline std::filesystem::path samples() { return std::filesystem::path{HANAT_SOURCE} / "tests/unit/cli/import/samples"; }

/// Files below the samples of a system; "*" in a pattern is the end of its name.
inline cli::imports::Includes sample_includes(const std::string& folder) {
  return [folder](const std::string& pattern, const std::string&) {
    std::vector<cli::imports::SourceText> files;
    const std::string begin = (samples() / folder / pattern.substr(0, pattern.find('*'))).string();
    const auto directory = std::filesystem::path{begin}.parent_path();
    for (const auto& entry : std::filesystem::directory_iterator(directory))
      if (entry.path().string().starts_with(begin))
        files.push_back({.name = "conf.d/" + entry.path().filename().string(), .text = read_text(entry.path())});
    std::ranges::sort(files, {}, &cli::imports::SourceText::name);
    return files;
  };
}

inline cli::imports::Outcome imported(cli::imports::System system, const std::string& text, const std::vector<Address>& any = {}) {
  const cli::imports::Includes none = [](const std::string&, const std::string&) { return std::vector<cli::imports::SourceText>{}; };
  cli::imports::Options options;
  options.any = any;
  return cli::imports::import_text(system, {.name = "old", .text = text}, none, options);
}

/// What it says where it cannot be imported; empty: it can.
inline std::string import_error(cli::imports::System system, const std::string& text) {
  try {
    imported(system, text);
  } catch (const cli::imports::ImportError& error) {
    return error.what();
  }
  return {};
}

} // namespace hanat::test
