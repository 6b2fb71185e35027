// Sends one datagram to a server and waits for the reply, on a connected UDP socket with one absolute deadline. The kernel delivers only
// datagrams of the server, and ICMP errors that quote this flow. Not here: what is sent and what a reply means (kinds/udp, kinds/dns).
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "probes/pending_probe.hpp"

namespace hanat::probes {

class Timers;

/// What a datagram of the server means; nullopt: it is not a reply to this probe, keep waiting.
using JudgeReply = std::function<std::optional<ProbeResult>(std::string_view datagram, Clock::duration latency)>;

/// `probe` must outlive the returned PendingProbe.
StartResult udp_exchange(Timers& timers, const Probe& probe, std::string_view message, JudgeReply judge, OnResult on_result);

} // namespace hanat::probes
