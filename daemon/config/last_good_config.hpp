// A copy of the last configuration that hanatd applied, in DIR/accepted. hanatd starts with it if the current files have an error.
// Not here: reading a configuration (load_config), which one hanatd uses (main).
#pragma once

#include <filesystem>

namespace hanat {

/// The path of the copy of `file`. The copy may not exist.
std::filesystem::path last_good_config(const std::filesystem::path& dir, const std::filesystem::path& file);

/// Copies the file and its conf.d, and syncs the copy to the disk. Keeps the previous copy if a file has an error or cannot be read. Blocks
/// until the disk has written. Throws std::system_error.
void save_last_good(const std::filesystem::path& dir, const std::filesystem::path& file);

} // namespace hanat
