// What the probes of one server say together: which of them decide, and their verdict. Pure.
// Not here: the window of one probe (failure_window), what follows for the service (decision).
#pragma once

#include <span>
#include <vector>

#include "daemon/decision/service_state.hpp"

namespace hanat {

/// The probes whose worst verdict is the server's: of a list `any` the best for each family, and none of those that only warn.
std::vector<const ProbeState*> deciding_probes(std::span<const ProbeState> probes);
/// Their worst. Unknown without a probe that decides.
Health verdict_of(std::span<const ProbeState> probes);
/// Whether new probes of a server may take over: each that decides has passed, and of a list `any` one.
bool have_passed(std::span<const ProbeState> probes);
/// The probe that stands for the server: of those that decide the one with the worst health, and of those the one with the most fails. It
/// has at least one.
const ProbeState& worst_probe(const ServerState& server, Time now);

} // namespace hanat
