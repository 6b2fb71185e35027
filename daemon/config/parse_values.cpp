// Parses durations, time windows, HTTP status codes and names.
// Not here: addresses (parse_address).
#include "daemon/config/parse_values.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace hanat::config {
namespace {

std::optional<unsigned> number(std::string_view digits, std::size_t locations) {
  unsigned value = 0;
  if (digits.size() != locations || !std::ranges::all_of(digits, is_digit)) return std::nullopt;
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
  if (text.starts_with('-')) return error("{} = {} is negative: write a time like \"{}\"", name, shown(text), limits.example);
  if (!text.empty() && std::ranges::all_of(text, is_digit))
    return error("{0} = {1} has no unit: write \"{2}s\" or \"{2}ms\"", name, shown(text), text);
  const std::optional<Clock::duration> value = hanat::parse_duration(text);
  if (!value)
    return error("{} = {} is not a time: write a whole number and ms, s, m, h or d, as in \"{}\"", name, shown(text), limits.example);
  if (*value > limits.most)
    return error("{} = {} is longer than {}, the maximum: write a time like \"{}\"", name, shown(text), duration_text(limits.most),
                 limits.example);
  if (*value < limits.least)
    return error("{} = {} is shorter than {}, the minimum: write a time like \"{}\"", name, shown(text), duration_text(limits.least),
                 limits.example);
  return *value;
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
    return error("failback.window = {} is not a time window: write two times from 00:00 to 23:59, as in \"02:00-04:00\"; midnight is 00:00",
                 shown(text));
  if (*from == *to)
    return error(
        "failback.window = {} is empty: write two different times, as in \"02:00-04:00\", or remove window to allow any time of day",
        shown(text));
  return DayWindow{.from = *from, .to = *to};
}

Parsed<FlowPolicy> parse_flow_policy(std::string_view text, std::string_view name) {
  using namespace std::chrono_literals;
  static constexpr std::string_view words[] = {"reset", "drain 60s", "keep"};
  static constexpr std::string_view drain = "drain";
  constexpr DurationLimits limits{.least = 1s, .most = 30 * day, .example = "drain 60s"};
  if (text == "reset") return FlowPolicy{};
  if (text == "keep") return FlowPolicy{.action = FlowAction::keep, .time = {}};
  if (text == drain) return error("{} = {} has no time: write {} = \"drain 60s\"", name, shown(text), name);
  const std::size_t space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  if (word == drain) {
    const auto time = parse_duration(text.substr(space + 1), fmt::format("{}: the drain time", name), limits);
    if (const auto* failed = std::get_if<Error>(&time)) return *failed;
    return FlowPolicy{.action = FlowAction::drain, .time = std::get<Clock::duration>(time)};
  }
  if (text.starts_with(drain) || nearest(word, std::span{&drain, 1}) == drain)
    return error("{} = {} is not known: did you mean \"drain 60s\"?", name, shown(text));
  return error("{} = {} is not known{}", name, shown(text), did_you_mean(text, words));
}

Parsed<probes::StatusRange> parse_status(std::string_view key, std::string_view text) {
  const auto dash = text.find('-');
  const auto first = number(text.substr(0, dash), 3);
  const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1), 3);
  if (!first || !last || *first < 100 || *first > 599 || *last < 100 || *last > 599)
    return error("probe.{} = {} is not an HTTP status: write a code from 100 to 599 or a range, as in 204 or \"200-299\"", key,
                 shown(text));
  if (*first > *last) return error("probe.{} = {} runs backwards: write \"{}-{}\"", key, shown(text), *last, *first);
  return probes::StatusRange{.first = static_cast<std::uint16_t>(*first), .last = static_cast<std::uint16_t>(*last)};
}

bool is_service_name(std::string_view name) {
  constexpr std::size_t longest = 64;
  return !name.empty() && name.size() <= longest && std::ranges::all_of(name, [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
  });
}

} // namespace hanat::config
