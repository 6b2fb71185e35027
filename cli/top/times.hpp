// Times in few columns. Pure but for the time zone. Not here: times within sentences (cli/text).
#pragma once

#include <chrono>
#include <string>

#include "daemon/util/wall_time.hpp"

namespace hanat::cli::top {

/// "43s", "9m05s", "2h03m", "3d04h", "120d": at most six columns.
std::string short_duration(std::chrono::seconds time);
/// "14:30:05" in local time; of another day than `now` "01-31 14:30".
std::string short_time(WallTime time, WallTime now);

} // namespace hanat::cli::top
