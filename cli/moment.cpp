// strptime() and mktime() know the calendar and the zone.
#include "cli/moment.hpp"

#include <chrono>
#include <ctime>
#include <string>

#include "daemon/util/duration.hpp"

namespace hanat::cli {
namespace {

std::tm midnight_before(WallTime now) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::tm parts{};
  localtime_r(&seconds, &parts);
  parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
  parts.tm_isdst = -1;
  return parts;
}

/// `parts` with what `text` says in one of the formats; false: in none of them.
bool parse_into(std::tm& parts, const std::string& text, std::initializer_list<const char*> formats) {
  for (const char* format : formats) {
    std::tm tried = parts;
    const char* const end = strptime(text.c_str(), format, &tried);
    if (end == nullptr || *end != '\0') continue;
    parts = tried;
    return true;
  }
  return false;
}

std::optional<WallTime> moment_of(std::tm parts) {
  parts.tm_isdst = -1;
  const std::time_t seconds = mktime(&parts);
  if (seconds == static_cast<std::time_t>(-1)) return std::nullopt;
  return WallTime{std::chrono::seconds{seconds}};
}

} // namespace

std::optional<WallTime> parse_moment(std::string_view text, WallTime now) {
  if (const auto exact = parse_wall_time(text)) return exact;
  if (const auto ago = parse_duration(text)) {
    constexpr std::chrono::days longest{36'500};
    return now - std::chrono::floor<std::chrono::milliseconds>(std::min<std::chrono::nanoseconds>(*ago, longest));
  }
  const std::string copy{text};
  std::tm parts = midnight_before(now);
  if (parse_into(parts, copy, {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}))
    return moment_of(parts);
  if (!parse_into(parts, copy, {"%H:%M:%S", "%H:%M"})) return std::nullopt;
  const auto today = moment_of(parts);
  if (!today || *today <= now) return today;
  --parts.tm_mday;
  return moment_of(parts);
}

} // namespace hanat::cli
