// A copy of the last configuration that hanatd applied and nobody has to confirm any more, in DIR/accepted. hanatd starts with it if the
// current files have an error, or are on trial and were not confirmed.
// Not here: reading a configuration (load_config), which one hanatd uses (main).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "daemon/config/read_files.hpp"

namespace hanat {

/// The path of the copy of `file`. The copy may not exist.
std::filesystem::path last_good_config(const std::filesystem::path& dir, const std::filesystem::path& file);

/// Writes a copy of these files of a configuration that was accepted, and syncs it to the disk. Keeps the previous copy if a file could
/// not be read, or reads otherwise from the disk. Blocks until the disk has written. Throws std::system_error.
void save_last_good(const std::filesystem::path& dir, const config::ConfigFiles& files);

/// Notes on the disk that the configuration with this content (config_content_hash()) is to be confirmed: until then a start does not use
/// it. Blocks; throws std::system_error.
void save_unconfirmed(const std::filesystem::path& dir, std::uint64_t content);
void forget_unconfirmed(const std::filesystem::path& dir);
std::optional<std::uint64_t> unconfirmed_content(const std::filesystem::path& dir);

} // namespace hanat
