// One message to a server and what comes back, on a connected UDP socket under one absolute deadline. Connected: the kernel lets in only
// datagrams of the server, and ICMP errors that quote this very flow. Not here: what is said, and what the answer is worth (udp, dns).
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

/// What a datagram of the server is worth; nullopt: it is no answer to this question, listen on.
using JudgeDatagram = std::function<std::optional<Answer>(std::string_view datagram, Clock::duration latency)>;

/// `question` must outlive what is returned.
Asked ask_datagram(uv_loop_t* loop, const Question& question, std::string_view message, JudgeDatagram judge, Done done);

} // namespace hanat::probes
