// The two largest units.
#include "cli/top/times.hpp"

#include <algorithm>
#include <cstdint>
#include <ctime>

#include <fmt/format.h>

namespace hanat::cli::top {
namespace {

std::tm local_parts(WallTime time) {
  const std::time_t since_1970 = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  localtime_r(&since_1970, &parts);
  return parts;
}

} // namespace

std::string short_duration(std::chrono::seconds time) {
  constexpr std::int64_t longest_days = 99'999;
  const std::int64_t whole = std::max<std::int64_t>(time.count(), 0);
  const std::int64_t minutes = whole / 60, hours = minutes / 60, days = hours / 24;
  if (minutes == 0) return fmt::format("{}s", whole);
  if (hours == 0) return fmt::format("{}m{:02}s", minutes, whole % 60);
  if (days == 0) return fmt::format("{}h{:02}m", hours, minutes % 60);
  if (days < 100) return fmt::format("{}d{:02}h", days, hours % 24);
  return fmt::format("{}d", std::min(days, longest_days));
}

std::string short_time(WallTime time, WallTime now) {
  const std::tm then = local_parts(time), today = local_parts(now);
  if (then.tm_year == today.tm_year && then.tm_yday == today.tm_yday)
    return fmt::format("{:02}:{:02}:{:02}", then.tm_hour, then.tm_min, then.tm_sec);
  return fmt::format("{:02}-{:02} {:02}:{:02}", then.tm_mon + 1, then.tm_mday, then.tm_hour, then.tm_min);
}

} // namespace hanat::cli::top
