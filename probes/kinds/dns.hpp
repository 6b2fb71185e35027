// Kind dns: one query over UDP; the response must hold a record. Not here: the messages (dns_message), sockets (io/udp_exchange).
#pragma once

#include <uv.h>

#include "probes/pending_probe.hpp"

namespace hanat::probes {

/// `probe` must outlive the returned PendingProbe.
StartResult probe_dns(uv_loop_t* loop, const Probe& probe, OnResult on_result);

} // namespace hanat::probes
