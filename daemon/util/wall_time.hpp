// Wall clock times as text, as the status and the state file have them: RFC 3339, UTC, milliseconds.
// Not here: the monotonic clock that decisions use (nat/clock).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace hanat {

using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

inline WallTime wall_now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

/// The times of what happens one after the other: none is earlier than the one before. A clock that is set back by a few seconds (NTP)
/// seems to stand still until it has caught up; one that is set back further is believed.
class EventClock {
public:
  static constexpr std::chrono::seconds caught_up{10};
  WallTime at(WallTime reading);

private:
  WallTime last_{};
};

/// "2026-01-31T10:00:00.123Z"
std::string to_text(WallTime time);
/// Accepts only what to_text() writes: UTC, years 1970 to 9999, with or without milliseconds.
std::optional<WallTime> parse_wall_time(std::string_view text);

} // namespace hanat
