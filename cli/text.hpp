// Small pieces of text for people: what came from outside made safe for a terminal, times and durations, colour.
// Pure but for the time zone. Not here: what is said (show, said).
#pragma once

#include <string>
#include <string_view>

#include "daemon/walltime.hpp"

namespace hanat::cli {

/// Printable ASCII as it is, every other byte as \xNN: a server's or a service's text cannot move the cursor or colour the screen.
std::string printable(std::string_view text);

/// "0.4 s", "43 s", "9 min 5 s", "2 h 3 min", "3 d 4 h".
std::string duration(double seconds);

/// "14:30:05" in local time, with the date in front where it is not today's.
std::string local_time(WallTime time, WallTime now);
/// The same for a moment as JSON has it; text that is none is shown as it came, made printable.
std::string local_time(std::string_view text, WallTime now);
/// Seconds from the moment to now, 0 for a moment to come; nullopt: not a moment.
std::optional<double> seconds_since(std::string_view text, WallTime now);

enum class Colour : std::uint8_t { none, red, yellow, green, bold };

class Paint {
public:
  explicit Paint(bool on) : on_(on) {}
  std::string operator()(Colour colour, std::string_view text) const;

private:
  bool on_;
};

} // namespace hanat::cli
