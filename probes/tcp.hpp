// Kind tcp: is the handshake completed in time? Not here: sending or expecting anything (talk).
#pragma once

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

/// `question` must outlive what is returned.
Asked ask_tcp(uv_loop_t* loop, const Question& question, Done done);

} // namespace hanat::probes
