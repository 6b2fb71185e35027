// hanatctl top: the status of a gateway live in a terminal. Not here: the screen (top/), its words (top_texts).
#pragma once

#include "cli/arguments.hpp"
#include "cli/commands.hpp"

namespace hanat::cli {

/// Until a key ends it. A signal that ends it ends the program, once the terminal is as it was before. Throws UsageError where there is no
/// terminal for it.
Exit run_top(const Invocation& invocation);

} // namespace hanat::cli
