// Names the kernel modules that hanat needs and that are not loaded, for the error message of a failed start.
// Not here: loading them; the kernel does that itself on first use.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hanat::nat {

/// Module names, as modprobe takes them, without a directory in `loaded`, the kernel's list. Built-in modules may be missing there, too.
/// Empty if the list does not exist.
std::vector<std::string> modules_not_loaded(const std::filesystem::path& loaded = "/sys/module");

} // namespace hanat::nat
