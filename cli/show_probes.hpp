// The answers of servers that were probed once, for people. Pure. Not here: probes that are sent all the time (show_status).
#pragma once

#include <string>
#include <vector>

#include "cli/view.hpp"
#include "daemon/api/probe_answer.hpp"

namespace hanat::cli {

/// A server that works: it passed, or takes no more clients.
bool is_good(const ProbeAnswer& answer);

std::string show_probes(const std::vector<ProbeAnswer>& answers, const View& view);

} // namespace hanat::cli
