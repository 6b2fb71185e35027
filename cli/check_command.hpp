// hanatctl check: reads a configuration as hanatd would and prints its errors, or that it has none. Needs no daemon.
// Not here: asking servers with it (check --ask: diagnosis).
#pragma once

#include "cli/commands.hpp"

namespace hanat::cli {

Exit run_check(const Invocation& invocation);

} // namespace hanat::cli
