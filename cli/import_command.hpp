// hanatctl import: reads a file of another system and prints a hanat.toml. Needs no daemon.
// Not here: what becomes of the file's lines (cli/import).
#pragma once

#include "cli/commands.hpp"

namespace hanat::cli {

Exit run_import(const Invocation& invocation);

} // namespace hanat::cli
