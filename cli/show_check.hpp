// The status as one line for monitoring, with the exit status that monitoring expects. Pure. Not here: the screen (show_status).
#pragma once

#include <cstdint>
#include <string>

#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

/// In the order of their exit status.
enum class Alarm : std::uint8_t { ok, warning, critical, unknown };

struct CheckLine {
  Alarm alarm = Alarm::ok;
  std::string text; // with the line's end
};
CheckLine show_check(const Status& status, WallTime now);

} // namespace hanat::cli
