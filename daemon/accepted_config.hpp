// The configuration that hanatd took last, kept in DIR/accepted: with an error in the files of today a start has something to go by.
// Not here: what a configuration says (config), which one is in force (main).
#pragma once

#include <filesystem>

namespace hanat {

/// Where the copy of `file` stands, if there is one.
std::filesystem::path accepted_config(const std::filesystem::path& dir, const std::filesystem::path& file);

/// Makes the copy, of the file and its conf.d, the disk included. Where one of them has an error by now, or cannot be read, the copy of
/// before stays. Waits for the disk. Throws std::system_error.
void keep_accepted(const std::filesystem::path& dir, const std::filesystem::path& file);

} // namespace hanat
