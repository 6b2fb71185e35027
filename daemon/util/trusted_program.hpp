// Whether a program may be run on behalf of hanatd: nobody but its owner can have changed it. Reads the file system, which may block, so
// never on the loop. Not here: whose programs are asked about (config, report/hooks).
#pragma once

#include <span>
#include <string>

#include <sys/types.h>

namespace hanat {

/// Why the program at this absolute path may not be run, with the remedy; empty: it may. It and everything on the way to it, links
/// included, must belong to root or one of `owners`, and neither its group nor others may write there, but in a directory with the sticky
/// bit.
std::string untrusted(const std::string& path, std::span<const uid_t> owners);

} // namespace hanat
