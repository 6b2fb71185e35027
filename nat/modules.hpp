// Which of the kernel's modules hanat stands on are not there: for the words of a start that the kernel refused.
// Not here: loading them, which the kernel does itself at the first request.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hanat::nat {

/// The names, as modprobe takes them, that have no folder in `loaded`, which is the kernel's list; what is built into the kernel may have
/// none either. Empty where there is no such list.
std::vector<std::string> modules_not_loaded(const std::filesystem::path& loaded = "/sys/module");

} // namespace hanat::nat
