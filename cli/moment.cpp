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

std::optional<Moment> parse_moment(std::string_view text, WallTime now) {
  if (const auto exact = parse_wall_time(text)) return Moment{*exact};
  if (const auto ago = parse_duration(text)) {
    constexpr std::chrono::days longest{36'500};
    return Moment{now - std::chrono::floor<std::chrono::milliseconds>(std::min<std::chrono::nanoseconds>(*ago, longest))};
  }
  const std::string copy{text};
  std::tm parts = midnight_before(now);
  const auto moment = [&](std::chrono::milliseconds lasts) -> std::optional<Moment> {
    const auto begin = moment_of(parts);
    return begin ? std::optional{Moment{*begin, lasts}} : std::nullopt;
  };
  if (parse_into(parts, copy, {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"})) return moment(std::chrono::seconds{1});
  if (parse_into(parts, copy, {"%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"})) return moment(std::chrono::minutes{1});
  if (parse_into(parts, copy, {"%Y-%m-%d"})) return moment(std::chrono::days{1});
  const bool to_the_second = parse_into(parts, copy, {"%H:%M:%S"});
  if (!to_the_second && !parse_into(parts, copy, {"%H:%M"})) return std::nullopt;
  const std::chrono::milliseconds lasts = to_the_second ? std::chrono::seconds{1} : std::chrono::minutes{1};
  const auto today = moment(lasts);
  if (!today || today->begin <= now) return today;
  --parts.tm_mday;
  return moment(lasts);
}

} // namespace hanat::cli
