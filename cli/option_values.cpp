// One function a kind of value.
#include "cli/option_values.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <fmt/format.h>

#include "daemon/config/config.hpp"
#include "daemon/util/arguments.hpp"
#include "daemon/util/duration.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {

std::chrono::milliseconds override_time(std::string_view text) {
  constexpr std::chrono::days longest{3650};
  const auto time = parse_duration(text);
  if (!time || *time > longest || *time < std::chrono::milliseconds{1})
    throw UsageError(fmt::format("--for {}: not a time; write for example 90s, 30m, 2h or 1h30m (ten years at most)", escaped(text)));
  return std::chrono::floor<std::chrono::milliseconds>(*time);
}

std::chrono::milliseconds drain_time(std::string_view text) {
  constexpr std::chrono::days longest{30};
  const auto time = parse_duration(text);
  if (!time || *time > longest || *time < std::chrono::seconds{1})
    throw UsageError(
        fmt::format("--drain {}: not a time from 1s to 30d; write for example 60s or 10m; without a drain: --reset", escaped(text)));
  return std::chrono::floor<std::chrono::milliseconds>(*time);
}

std::chrono::milliseconds confirm_time(std::string_view text) {
  const auto time = parse_duration(text);
  if (!time || *time > std::chrono::hours{24} || *time < std::chrono::seconds{1})
    throw UsageError(fmt::format("--confirm {}: not a time from 1s to 24h; write for example 60s or 10m", escaped(text)));
  return std::chrono::floor<std::chrono::milliseconds>(*time);
}

std::string backup_name(std::string_view text) {
  if (text == "primary") throw UsageError("--server primary: use hanatctl force-primary");
  constexpr std::string_view prefix = "backup";
  const auto number = text.starts_with(prefix) ? text.substr(prefix.size()) : std::string_view{"?"};
  const bool good = number.empty() || (number.size() < 6 && number.front() != '0' && number != "1" &&
                                       std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; }));
  if (!good) throw UsageError(fmt::format("--server {}: backups are named backup, backup2, backup3, ...", escaped(text)));
  return std::string{text};
}

std::string health_word(std::string_view text) {
  if (text == "up" || text == "down" || text == "drain" || text == "none") return std::string{text};
  throw UsageError(fmt::format("--health {}: write up, down, drain or none", escaped(text)));
}

Color color_of(std::string_view text) {
  if (text == "auto") return Color::automatic;
  if (text == "always") return Color::always;
  if (text == "never") return Color::never;
  throw UsageError(fmt::format("--color {}: write auto, always or never", escaped(text)));
}

std::int64_t number_of(std::string_view option, std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 1)
    throw UsageError(fmt::format("{} {}: write a number from 1 on", option, escaped(text)));
  return number;
}

Moment moment_of(std::string_view option, std::string_view text) {
  if (const auto moment = parse_moment(text, wall_now())) return *moment;
  throw UsageError(
      fmt::format("{} {}: not a time; write for example 14:00, \"2026-11-28 14:00\", or 2h for two hours ago", option, escaped(text)));
}

WallTime past_moment(std::string_view option, std::string_view text) {
  const WallTime begin = moment_of(option, text).begin;
  if (begin > wall_now()) throw UsageError(fmt::format("{} {}: that is in the future", option, escaped(text)));
  return begin;
}

std::vector<std::string> addresses_of(std::string_view text) {
  std::vector<std::string> addresses;
  for (std::string_view rest = text; !rest.empty();) {
    const auto comma = rest.find(',');
    const auto address = Address::parse(rest.substr(0, comma));
    if (!address || address->is_unspecified())
      throw UsageError(fmt::format(
          "--address {}: write the address that clients connect to, as in 203.0.113.10 or 203.0.113.10,2001:db8::10", escaped(text)));
    addresses.push_back(address->text());
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return addresses;
}

} // namespace hanat::cli
