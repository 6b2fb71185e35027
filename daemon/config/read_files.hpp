// Opens and reads configuration files, and rejects fifos, devices, huge files and links that others may have placed.
// Not here: what the text means (toml_reader).
#pragma once

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "daemon/config/diagnostics.hpp"

namespace hanat::config {

/// The text, or what is wrong with the file and the remedy.
using FileContent = std::variant<std::string, Error>;

/// The main file. Follows a symbolic link, because the operator chose the path.
FileContent read_main_file(const std::filesystem::path& file);

struct ExtraFile {
  std::string name; // full path, for errors
  FileContent content;
};
/// The files conf.d/*.toml beside the main file, in the order of their names. Symbolic links are errors, and so are files of another owner
/// than root, the owner of the main file, or the user of this process. Empty without conf.d. If conf.d cannot be read: one entry with the
/// error.
std::vector<ExtraFile> read_extra_files(const std::filesystem::path& main_file);

/// All files of a configuration, each read once: what is parsed, compared and copied is then the same.
struct ConfigFiles {
  std::filesystem::path main;
  FileContent content; // of the main file
  std::vector<ExtraFile> extra;
};
ConfigFiles read_config_files(const std::filesystem::path& main_file);

} // namespace hanat::config
