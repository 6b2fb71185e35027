// Opens the socket of a probe: non-blocking, with the configured source and interface. Closing a TCP one leaves no TIME_WAIT.
// Not here: connecting it (connect).
#pragma once

#include <variant>

#include <sys/socket.h>

#include "nat/fd.hpp"
#include "probes/spec.hpp"

namespace hanat::probes {

/// The socket for a probe, or the errno of the call that failed: a local failure. `type`: SOCK_STREAM, SOCK_DGRAM, or SOCK_RAW with its
/// protocol.
std::variant<Fd, int> open_probe_socket(const Probe& probe, int type = SOCK_STREAM, int protocol = 0);

/// The pending errno of a socket after connect(); 0: it is connected.
int pending_error(int fd);

} // namespace hanat::probes
