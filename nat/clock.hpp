// The clock for everything that measures or waits.
// Not here: times that people read (daemon/util/wall_time).
#pragma once

#include <chrono>

namespace hanat {

using Clock = std::chrono::steady_clock; // CLOCK_MONOTONIC: not affected by clock steps
using Time = Clock::time_point;

} // namespace hanat
