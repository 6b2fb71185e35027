// Calendar arithmetic is std::chrono's: no time zone data, no locale.
#include "daemon/util/wall_time.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace hanat {
namespace {

/// A number of digits only; nullopt where there is a sign, a blank or another character.
std::optional<unsigned> digits(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  unsigned value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

} // namespace

WallTime EventClock::at(WallTime reading) {
  if (reading < last_ && last_ - reading <= caught_up) return last_;
  return last_ = reading;
}

std::string to_text(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<WallTime> parse_wall_time(std::string_view text) {
  constexpr std::string_view shape = "0000-00-00T00:00:00.000Z";
  constexpr std::size_t seconds_end = 19;
  if (text.size() != shape.size() && text.size() != seconds_end + 1) return std::nullopt;
  if (text.back() != 'Z') return std::nullopt;
  for (std::size_t i = 0; i + 1 < text.size(); ++i)
    if (shape[i] != '0' && text[i] != shape[i]) return std::nullopt;

  const auto year = digits(text.substr(0, 4)), month = digits(text.substr(5, 2)), day = digits(text.substr(8, 2));
  const auto hour = digits(text.substr(11, 2)), minute = digits(text.substr(14, 2)), second = digits(text.substr(17, 2));
  const auto milli = text.size() == shape.size() ? digits(text.substr(20, 3)) : std::optional<unsigned>{0};
  if (!year || !month || !day || !hour || !minute || !second || !milli) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)}, std::chrono::month{*month}, std::chrono::day{*day}};
  if (!date.ok() || *year < 1970 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} + std::chrono::seconds{*second} +
         std::chrono::milliseconds{*milli};
}

} // namespace hanat
