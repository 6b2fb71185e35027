// Times, durations and colour for people. Pure but for the time zone.
// Not here: the texts themselves (show, replies); text from outside made safe for a terminal (util/escape).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

/// "1 service", "2 services".
std::string plural(std::size_t number, std::string_view what);
/// "0.4 s", "43 s", "9 min 5 s", "2 h 3 min", "3 d 4 h".
std::string duration(double seconds);

/// "14:30:05" in local time, with the date in front where it is not today's.
std::string local_time(WallTime time, WallTime now);
/// The same for a time as JSON has it; other text is shown as it is, escaped.
std::string local_time(std::string_view text, WallTime now);
/// "14:30:05", "2026-01-31" and the zone's "CET".
std::string local_clock(WallTime time);
std::string local_day(WallTime time);
std::string zone_name(WallTime time);
/// Lines of at most `width` columns, broken at blanks where there are some; those after the first begin with `hang` blanks. 0: one line.
std::vector<std::string> wrapped(std::string_view text, std::size_t width, std::size_t hang);
/// Seconds since that time, 0 for one in the future; nullopt: not a time.
std::optional<double> seconds_since(std::string_view text, WallTime now);

enum class Colour : std::uint8_t { none, red, yellow, green, bold };

class Colorizer {
public:
  explicit Colorizer(bool on) : on_(on) {}
  std::string operator()(Colour colour, std::string_view text) const;

private:
  bool on_;
};

} // namespace hanat::cli
