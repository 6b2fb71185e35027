// Writing so that a loss of power finds it whole. Not here: what is written (state, accepted_config).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace hanat {

/// All of it. Throws std::system_error, which names the file.
void write_all(int fd, std::string_view text, const std::string& name);
/// Returns when names made, renamed or removed in the directory are on the disk. Throws std::system_error.
void sync_directory(const std::filesystem::path& dir);

} // namespace hanat
