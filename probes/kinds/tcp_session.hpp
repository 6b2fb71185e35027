// Runs a protocol client over a TCP connection of its own, with one absolute deadline. Not here: what the bytes mean (protocol).
#pragma once

#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Timers;
class TlsSessions;

/// For kinds with a protocol client, and tcp with `send`, `expect` or TLS. `probe` and `sessions` must outlive the returned PendingProbe.
StartResult tcp_session(Timers& timers, const Probe& probe, TlsSessions& sessions, OnResult on_result);

} // namespace hanat::probes
