// Tells whether the files of a configuration have changed: by their status, which is cheap, and by their content, which is certain.
// Not here: when to look (config_watch), reading settings (load_config).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/config/read_files.hpp"

namespace hanat {

/// A file or directory of the configuration as stat() has it; all zero: there is none.
struct FileStatus {
  std::string name;
  std::int64_t size = 0, modified_ns = 0, changed_ns = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileStatus&) const = default;
};

FileStatus status_of(const std::filesystem::path& file);
/// Of `file`, conf.d beside it, and the files in there. Opens no file.
std::vector<FileStatus> config_file_status(const std::filesystem::path& file);

/// A hash of the content of all of them, with their names below the directory of `file`: a copy elsewhere has the same. What cannot be read
/// counts by the reason.
std::uint64_t config_content_hash(const std::filesystem::path& file);
std::uint64_t config_content_hash(const config::ConfigFiles& files);

} // namespace hanat
