// Kind udp: sends `send`; the first datagram that comes back must hold `expect`. Not here: sockets (io/udp_exchange).
#pragma once

#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Timers;

/// `probe` must outlive the returned PendingProbe.
StartResult probe_udp(Timers& timers, const Probe& probe, OnResult on_result);

} // namespace hanat::probes
