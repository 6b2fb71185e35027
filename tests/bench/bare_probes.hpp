// The least that so many TCP handshakes cost a thread on this machine: nothing but their system calls. Not here: probes.
#pragma once

#include <chrono>
#include <cstdint>

namespace hanat::bench {

/// The part of one core that a thread takes which makes `per_second` connections to 127.0.0.1 and resets each at once, ten in a millisecond
/// rather than each at its moment. The ports from `first_port` on have listeners.
double bare_handshakes(unsigned per_second, std::uint16_t first_port, std::uint16_t ports, std::chrono::seconds time);

/// CPU time of the calling thread.
std::chrono::microseconds cpu_time();

} // namespace hanat::bench
