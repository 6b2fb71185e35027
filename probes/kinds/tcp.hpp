// Kind tcp: does the TCP handshake complete in time? Not here: sending or expecting anything (send_expect).
#pragma once

#include <uv.h>

#include "probes/pending_probe.hpp"

namespace hanat::probes {

/// `probe` must outlive the returned PendingProbe.
StartResult probe_tcp(uv_loop_t* loop, const Probe& probe, OnResult on_result);

} // namespace hanat::probes
