// One grammar of durations for the configuration and the command line.
#include "daemon/util/duration.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace hanat {
namespace {

using std::chrono::nanoseconds;

struct Unit {
  std::string_view name;
  nanoseconds length;
};
constexpr std::array units = {Unit{"d", std::chrono::days{1}}, Unit{"h", std::chrono::hours{1}}, Unit{"m", std::chrono::minutes{1}},
                              Unit{"s", std::chrono::seconds{1}}, Unit{"ms", std::chrono::milliseconds{1}}};

/// Takes the leading characters for which `belongs` holds.
template <class Belongs> std::string_view take_while(std::string_view& text, Belongs belongs) {
  const auto length = static_cast<std::size_t>(std::ranges::find_if_not(text, belongs) - text.begin());
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(length);
  return taken;
}

/// nanoseconds::max() where the product does not fit.
nanoseconds product(std::string_view digits, nanoseconds unit) {
  std::int64_t number = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (read.ec != std::errc{} || number > nanoseconds::max() / unit) return nanoseconds::max();
  return number * unit;
}

} // namespace

std::optional<nanoseconds> parse_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  nanoseconds total{0};
  while (!text.empty()) {
    const std::string_view digits = take_while(text, [](char c) { return c >= '0' && c <= '9'; });
    const std::string_view name = take_while(text, [](char c) { return c >= 'a' && c <= 'z'; });
    const auto* const unit = std::ranges::find(units, name, &Unit::name);
    if (digits.empty() || unit == units.end()) return std::nullopt;
    const nanoseconds part = product(digits, unit->length);
    total = part > nanoseconds::max() - total ? nanoseconds::max() : total + part;
  }
  return total;
}

std::string duration_text(nanoseconds duration) {
  if (duration <= nanoseconds{0}) return "0s";
  for (const auto& [name, length] : units)
    if (duration % length == nanoseconds{0}) return fmt::format("{}{}", duration / length, name);
  return fmt::format("{}ns", duration.count());
}

} // namespace hanat
