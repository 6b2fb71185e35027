// Times, durations and colour for people. Pure but for the time zone.
// Not here: the texts themselves (show, replies); text from outside made safe for a terminal (util/escape).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

/// "0.4 s", "43 s", "9 min 5 s", "2 h 3 min", "3 d 4 h".
std::string duration(double seconds);

/// "14:30:05" in local time, with the date in front where it is not today's.
std::string local_time(WallTime time, WallTime now);
/// The same for a time as JSON has it; other text is shown as it is, escaped.
std::string local_time(std::string_view text, WallTime now);
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
