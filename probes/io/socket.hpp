// Opens the socket of a probe: non-blocking, with the configured source and interface. Closing a TCP one leaves no TIME_WAIT.
// Not here: connecting it (connect).
#pragma once

#include <variant>

#include <sys/socket.h>

#include "nat/fd.hpp"
#include "nat/probe_ports.hpp"
#include "probes/spec.hpp"

namespace hanat::probes {

/// The socket for a probe, or the errno of the call that failed: a local failure. `type`: SOCK_STREAM, SOCK_DGRAM, or SOCK_RAW with its
/// protocol.
std::variant<Fd, int> open_probe_socket(const Probe& probe, int type = SOCK_STREAM, int protocol = 0);

/// The source ports of probes that bypass conntrack, from now on: those that the rules are for. For the loop's thread only.
void use_probe_ports(const nat::ProbePorts& ports);

/// The pending errno of a socket after connect(); 0: it is connected. As error_of_network() has it.
int pending_error(int fd);

/// The errno of a connection that was being made. Once connect() has begun, such an error comes from the network: an ICMP error whose errno
/// would be a local failure if it came from a call of this machine's is EHOSTUNREACH.
int error_of_network(int error);

} // namespace hanat::probes
