// Kind dns: one query over UDP; the response must hold a record. Not here: the messages (dns_message), sockets (io/udp_exchange).
#pragma once

#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Timers;

/// `probe` must outlive the returned PendingProbe.
StartResult probe_dns(Timers& timers, const Probe& probe, OnResult on_result);

} // namespace hanat::probes
