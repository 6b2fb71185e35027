// Writes that survive a loss of power. Not here: what is written (state, last_good_config, history).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace hanat {

/// Writes all of `text`. Throws std::system_error, which names the file.
void write_all(int fd, std::string_view text, const std::string& name);
/// Returns when created, renamed and removed names of the directory are on the disk. Throws std::system_error.
void sync_directory(const std::filesystem::path& dir);

} // namespace hanat
