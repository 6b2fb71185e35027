// Moments as people write them: "14:00", "2026-11-28 14:00:05", "2h" (ago). Pure but for the time zone.
// Not here: the options that take one (arguments).
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

/// What the words name: "14:02" is a minute, a date is a day.
struct Moment {
  WallTime begin;
  std::chrono::milliseconds lasts{}; // 0: exactly then
  bool operator==(const Moment&) const = default;
};

/// A time of day is the last one before `now`; a duration is so long ago; a date without a time begins at midnight; with "Z" it is UTC, as
/// in JSON. nullopt: none of these.
std::optional<Moment> parse_moment(std::string_view text, WallTime now);

} // namespace hanat::cli
