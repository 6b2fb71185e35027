// How long a probe took, in classes: the same for the daemon, which counts, and for who shows the counts. Not here: counting
// (daemon/decision/probe_totals).
#pragma once

#include <array>

namespace hanat::probes {

/// In seconds, each inclusive; what takes longer is in a class of its own. From a server beside this machine to one that is about to fail.
inline constexpr std::array latency_limits_s = {0.001, 0.005, 0.02, 0.1, 0.5, 2.0};

} // namespace hanat::probes
