// The commands that move traffic by hand: each asks hanatd, counts the connections of the old target, and with --wait returns when they
// are gone. Not here: the texts (replies), the other commands (commands).
#pragma once

#include "cli/arguments.hpp"
#include "cli/commands.hpp"

namespace hanat::cli {

Exit run_force(const Invocation& invocation);
Exit run_auto(const Invocation& invocation);
Exit run_disable(const Invocation& invocation);
Exit run_report(const Invocation& invocation);
Exit run_enable(const Invocation& invocation);

} // namespace hanat::cli
