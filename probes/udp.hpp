// Kind udp: something is said, and the first datagram that comes back must hold what is expected. Not here: sockets (datagram).
#pragma once

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

/// `question` must outlive what is returned.
Asked ask_udp(uv_loop_t* loop, const Question& question, Done done);

} // namespace hanat::probes
