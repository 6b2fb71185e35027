// Reads the configuration: the main file and the files in conf.d, from text to validated values.
// Not here: the values (config), the steps (read_files, toml_reader, read_service, apply_defaults, read_group, validate).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/config/config.hpp"
#include "daemon/config/diagnostics.hpp"
#include "daemon/config/read_files.hpp"

namespace hanat {

namespace config {
struct Outline;
}

using ConfigResult = std::variant<Config, std::vector<ConfigError>>;

/// Reads `file` and the files conf.d/*.toml beside it, in the order of their names. Returns the errors of all files together. Never blocks
/// on a fifo, reads at most 16 MiB per file, and does not throw for the content of a file.
ConfigResult load_config(const std::filesystem::path& file);
/// Where the probes of servers are configured: by service and role, in the order of ServerConfig::probes.
using ProbePlaces = std::map<std::pair<std::string, std::string>, std::vector<ConfigPlace>>;
/// The same, and where the probes stand.
ConfigResult load_config(const std::filesystem::path& file, ProbePlaces& places);
/// The same for files that have been read. `outline`: by what they can be read again (config/reread); null: they cannot.
ConfigResult load_config(const config::ConfigFiles& files, std::shared_ptr<const config::Outline>& outline);
/// A file as text; `name` is the file name in errors.
struct ConfigText {
  std::string name, text;
};
/// The same for texts in memory: the main file, then those of conf.d.
ConfigResult parse_config(std::span<const ConfigText> files);
/// The texts that load_config() reads; without those that it cannot read.
std::vector<ConfigText> config_texts(const std::filesystem::path& file);
/// The same for text in memory. `name` is the file name in errors.
ConfigResult parse_config(std::string_view text, const std::string& name);

} // namespace hanat
