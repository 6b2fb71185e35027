// The socket of a server in the laboratory. Not here: what serves on it (peers, flows, slow_server).
#pragma once

#include <cstdint>

#include "tests/netns/lab/fd.hpp"
#include "tests/netns/lab/lab.hpp"

namespace hanat::test {

/// A socket on [::]:port that takes IPv4 too, made in the host's namespace. Non-blocking; it does not listen yet.
Fd bound_socket(Lab& lab, Host host, int type, std::uint16_t port);

} // namespace hanat::test
