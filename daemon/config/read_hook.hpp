// The keys hook and hook_timeout, which [hanatd], [defaults] and [service.X] have, and the programs that they name.
// Not here: running them (report/hooks).
#pragma once

#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "daemon/config/config.hpp"

namespace hanat {

/// Why programs of hooks may not be run, a line each; none: all may. Reads the file system. `owners`: users, beside root, who may own them.
std::vector<std::string> hook_errors(const Config& config, std::span<const uid_t> owners);

} // namespace hanat
