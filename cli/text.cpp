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

std::string plural(std::size_t number, std::string_view what) { return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s"); }

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

std::string local_clock(WallTime time) {
  const std::tm then = local(time);
  return fmt::format("{:02}:{:02}:{:02}", then.tm_hour, then.tm_min, then.tm_sec);
}

std::string local_day(WallTime time) {
  const std::tm then = local(time);
  return fmt::format("{:04}-{:02}-{:02}", then.tm_year + 1900, then.tm_mon + 1, then.tm_mday);
}

std::string zone_name(WallTime time) {
  const std::tm then = local(time);
  return then.tm_zone == nullptr ? "" : escaped(then.tm_zone);
}

std::string local_time(WallTime time, WallTime now) {
  const std::string day = local_day(time);
  return (day == local_day(now) ? "" : day + " ") + local_clock(time);
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width, std::size_t hang) {
  std::vector<std::string> lines;
  std::string line;
  const std::size_t least = std::min(hang, width / 2); // a narrow screen still has room for words
  while (width > 0 && line.size() + text.size() > width) {
    const std::size_t room = width - line.size();
    std::size_t end = text.rfind(' ', room);
    const bool only_blanks = end == std::string_view::npos || text.find_first_not_of(' ') > end;
    if (only_blanks) end = room; // a word longer than the line
    lines.push_back(line.append(text.substr(0, end)));
    lines.back().erase(lines.back().find_last_not_of(' ') + 1);
    text.remove_prefix(only_blanks ? end : end + 1);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    line.assign(least, ' ');
  }
  if (!text.empty() || lines.empty()) lines.push_back(line.append(text));
  return lines;
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
