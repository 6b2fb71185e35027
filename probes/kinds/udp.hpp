// Kind udp: sends `send`; the first datagram that comes back must hold `expect`. Not here: sockets (io/udp_exchange).
#pragma once

#include <uv.h>

#include "probes/pending_probe.hpp"

namespace hanat::probes {

/// `probe` must outlive the returned PendingProbe.
StartResult probe_udp(uv_loop_t* loop, const Probe& probe, OnResult on_result);

} // namespace hanat::probes
