// The least that so many TCP handshakes cost a thread on this machine, and how late it makes them: nothing but their system calls.
// Not here: probes.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace hanat::bench {

/// Of the calling thread.
struct CpuTime {
  std::chrono::microseconds user{}, kernel{};
};
CpuTime cpu_time();

/// What part of one core a thread takes.
struct Share {
  double user = 0, kernel = 0;
  double all() const { return user + kernel; }
};
Share share_since(const CpuTime& before, std::chrono::seconds time);

struct Handshakes {
  Share share;
  std::vector<double> late; // milliseconds: each behind its moment
};
/// Makes `per_second` connections to 127.0.0.1 and resets each at once. Like a loop with a clock of milliseconds it begins, each time that
/// it wakes, all that have become due. The ports from `first_port` on have listeners.
Handshakes bare_handshakes(unsigned per_second, std::uint16_t first_port, std::uint16_t ports, std::chrono::seconds time);

} // namespace hanat::bench
