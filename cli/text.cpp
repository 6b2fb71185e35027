// Text for a terminal.
#include "cli/text.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>

#include <fmt/format.h>

#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

std::tm local(WallTime time) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  localtime_r(&seconds, &parts);
  return parts;
}

} // namespace

std::string duration(double seconds) {
  if (!(seconds >= 0)) seconds = 0; // NaN too
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  const auto whole = std::llround(std::min(seconds, 1e12));
  const long long minutes = whole / 60, hours = minutes / 60, days = hours / 24;
  if (minutes == 0) return fmt::format("{} s", whole);
  const auto two = [](long long large, const char* unit, long long small, const char* small_unit) {
    return small == 0 ? fmt::format("{} {}", large, unit) : fmt::format("{} {} {} {}", large, unit, small, small_unit);
  };
  if (hours == 0) return two(minutes, "min", whole % 60, "s");
  if (days == 0) return two(hours, "h", minutes % 60, "min");
  return two(days, "d", hours % 24, "h");
}

std::string local_time(WallTime time, WallTime now) {
  const std::tm then = local(time), today = local(now);
  auto clock = fmt::format("{:02}:{:02}:{:02}", then.tm_hour, then.tm_min, then.tm_sec);
  if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday) return clock;
  return fmt::format("{:04}-{:02}-{:02} {}", then.tm_year + 1900, then.tm_mon + 1, then.tm_mday, clock);
}

std::string local_time(std::string_view text, WallTime now) {
  const auto time = parse_wall_time(text);
  return time ? local_time(*time, now) : escaped(text);
}

std::optional<double> seconds_since(std::string_view text, WallTime now) {
  const auto time = parse_wall_time(text);
  if (!time) return std::nullopt;
  return std::max(0.0, std::chrono::duration<double>(now - *time).count());
}

std::string Colorizer::operator()(Colour colour, std::string_view text) const {
  if (!on_) return std::string{text};
  switch (colour) {
  case Colour::none: return std::string{text};
  case Colour::red: return fmt::format("\x1b[1;31m{}\x1b[0m", text);
  case Colour::yellow: return fmt::format("\x1b[33m{}\x1b[0m", text);
  case Colour::green: return fmt::format("\x1b[32m{}\x1b[0m", text);
  case Colour::bold: return fmt::format("\x1b[1m{}\x1b[0m", text);
  }
  return std::string{text};
}

} // namespace hanat::cli
