// Durations, windows of the day, HTTP status codes and names. Not here: addresses (config_address).
#include "daemon/config_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace hanat::config {
namespace {

std::optional<Clock::duration> unit_length(std::string_view unit) {
  using namespace std::chrono;
  constexpr std::array<std::pair<std::string_view, nanoseconds>, 5> units{
      {{"ms", milliseconds{1}}, {"s", seconds{1}}, {"m", minutes{1}}, {"h", hours{1}}, {"d", days{1}}}};
  for (const auto& [word, length] : units)
    if (word == unit) return length;
  return std::nullopt;
}

std::optional<unsigned> number(std::string_view digits, std::size_t places) {
  unsigned value = 0;
  if (digits.size() != places || !std::ranges::all_of(digits, is_digit)) return std::nullopt;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

/// "02:00"
std::optional<std::chrono::minutes> parse_day_time(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hour = number(text.substr(0, 2), 2);
  const auto minute = number(text.substr(3), 2);
  if (!hour || !minute || *hour > 23 || *minute > 59) return std::nullopt;
  return std::chrono::hours{*hour} + std::chrono::minutes{*minute};
}

} // namespace

Parsed<Clock::duration> parse_duration(std::string_view text, std::string_view name, const DurationLimits& limits) {
  const auto digits_end = std::ranges::find_if_not(text, is_digit);
  const std::string_view digits{text.begin(), digits_end};
  const std::string_view unit{digits_end, text.end()};
  if (text.starts_with('-')) return complaint("{} = {} is negative: write a time like \"{}\"", name, shown(text), limits.example);
  if (!digits.empty() && unit.empty()) return complaint("{0} = {1} has no unit: write \"{2}s\" or \"{2}ms\"", name, shown(text), digits);
  const auto length = unit_length(unit);
  if (digits.empty() || !length)
    return complaint("{} = {} is not a time: write a whole number and ms, s, m, h or d, as in \"{}\"", name, shown(text), limits.example);

  // A number that does not fit is longer than any limit, and so is one that would overflow when multiplied.
  std::int64_t amount = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), amount);
  if (read.ec != std::errc{} || amount > limits.most / *length)
    return complaint("{} = {} is longer than {}, the most it can be: write a time like \"{}\"", name, shown(text),
                     duration_text(limits.most), limits.example);
  const Clock::duration value = amount * *length;
  if (value < limits.least)
    return complaint("{} = {} is shorter than {}, the least it can be: write a time like \"{}\"", name, shown(text),
                     duration_text(limits.least), limits.example);
  return value;
}

Parsed<DayWindow> parse_day_window(std::string_view text) {
  const auto dash = text.find('-');
  std::optional<std::chrono::minutes> from;
  std::optional<std::chrono::minutes> to;
  if (dash != std::string_view::npos) {
    from = parse_day_time(text.substr(0, dash));
    to = parse_day_time(text.substr(dash + 1));
  }
  if (!from || !to)
    return complaint(
        "failback.window = {} is not a window of the day: write two times from 00:00 to 23:59, as in \"02:00-04:00\"; midnight is 00:00",
        shown(text));
  if (*from == *to)
    return complaint(
        "failback.window = {} is empty: write two different times, as in \"02:00-04:00\", or leave window out for any time of day",
        shown(text));
  return DayWindow{.from = *from, .to = *to};
}

Parsed<FlowPolicy> parse_flow_policy(std::string_view text, std::string_view name) {
  using namespace std::chrono_literals;
  static constexpr std::string_view words[] = {"reset", "drain 60s", "keep"};
  static constexpr std::string_view drain = "drain";
  constexpr DurationLimits limits{.least = 1s, .most = 30 * day, .example = "drain 60s"};
  if (text == "reset") return FlowPolicy{};
  if (text == "keep") return FlowPolicy{.fate = FlowFate::keep, .time = {}};
  if (text == drain) return complaint("{} = {} does not say for how long: write {} = \"drain 60s\"", name, shown(text), name);
  const std::size_t space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  if (word == drain) {
    const auto time = parse_duration(text.substr(space + 1), fmt::format("{}: the time of drain", name), limits);
    if (const auto* wrong = std::get_if<Complaint>(&time)) return *wrong;
    return FlowPolicy{.fate = FlowFate::drain, .time = std::get<Clock::duration>(time)};
  }
  if (text.starts_with(drain) || nearest(word, std::span{&drain, 1}) == drain)
    return complaint("{} = {} is not known: did you mean \"drain 60s\"?", name, shown(text));
  return complaint("{} = {} is not known{}", name, shown(text), did_you_mean(text, words));
}

Parsed<probes::StatusRange> parse_status(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = number(text.substr(0, dash), 3);
  const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1), 3);
  if (!first || !last || *first < 100 || *first > 599 || *last < 100 || *last > 599)
    return complaint("probe.status = {} is not an HTTP status: write a code from 100 to 599 or a range, as in 204 or \"200-299\"",
                     shown(text));
  if (*first > *last) return complaint("probe.status = {} runs backwards: write \"{}-{}\"", shown(text), *last, *first);
  return probes::StatusRange{.first = static_cast<std::uint16_t>(*first), .last = static_cast<std::uint16_t>(*last)};
}

bool is_service_name(std::string_view name) {
  constexpr std::size_t longest = 64;
  return !name.empty() && name.size() <= longest && std::ranges::all_of(name, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
  });
}

} // namespace hanat::config
