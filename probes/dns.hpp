// Kind dns: one question over UDP, which must have a record for its answer. Not here: the messages (dns_message), sockets (datagram).
#pragma once

#include <uv.h>

#include "probes/asking.hpp"

namespace hanat::probes {

/// `question` must outlive what is returned.
Asked ask_dns(uv_loop_t* loop, const Question& question, Done done);

} // namespace hanat::probes
