// Opens and reads configuration files so that no fifo, device, huge file or planted link can hurt. Not here: what the text means.
#pragma once

#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "daemon/config_findings.hpp"

namespace hanat::config {

/// The text, or what is wrong with the file and what to do.
using FileText = std::variant<std::string, Complaint>;

/// The main file; a symbolic link is followed, as its name was given by the operator.
FileText read_main_file(const std::filesystem::path& file);

struct ExtraFile {
  std::string name; // full path, for errors
  FileText text;
};
/// conf.d beside the main file: its *.toml in the order of their names. Links are refused, and files of other owners than root, the main
/// file's owner and us. No conf.d: nothing. An unreadable one: one entry with the complaint.
std::vector<ExtraFile> read_extra_files(const std::filesystem::path& main_file);

} // namespace hanat::config
