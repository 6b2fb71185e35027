// hanatctl complete: what can stand at the end of a command line, for the completions of the shells. Not here: what that is (completion).
#pragma once

#include "cli/arguments.hpp"
#include "cli/commands.hpp"

namespace hanat::cli {

/// Without a daemon there are no names, and that is no error: somebody is typing.
Exit run_complete(const Invocation& invocation);

} // namespace hanat::cli
