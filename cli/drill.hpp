// hanatctl drill: a real failover that returns by itself, watched until the traffic is back. Not here: what is seen of it (drill_report,
// show_drill), its end, which hanatd keeps.
#pragma once

#include "cli/arguments.hpp"
#include "cli/commands.hpp"

namespace hanat::cli {

/// Ctrl-C ends the drill at once. hanatd ends it at its time, whether somebody watches or not.
Exit run_drill(const Invocation& invocation);

} // namespace hanat::cli
