// Levels and waits.
#include "daemon/decision/flap_damping.hpp"

#include <algorithm>
#include <utility>

namespace hanat {
namespace {

// Without any wait of its own a service would have nothing to double.
constexpr std::chrono::milliseconds least_base{100};

/// The level from which on the wait is as long as it gets.
unsigned highest_level(const FlapRule& rule) {
  unsigned level = 0;
  for (Clock::duration wait = rule.base; wait < rule.limit; wait *= 2) ++level;
  return std::max(level, 1U);
}

} // namespace

FlapRule flap_rule(const ServiceConfig& service) {
  return {.base = std::max<Clock::duration>({service.up.stable_for, service.failback.after, least_base}),
          .limit = service.failback.penalty};
}

void FlapDamping::gained(Time now) {
  if (!std::exchange(taken_by_order_, false)) record_.gained_at = now;
}

bool FlapDamping::lost(const FlapRule& rule, Time now) {
  const auto gained = std::exchange(record_.gained_at, std::nullopt);
  if (rule.limit <= Clock::duration::zero() || !gained || now - *gained >= rule.limit) return false;
  record_.level = std::min(level(rule, now) + 1, highest_level(rule));
  record_.lost_at = now;
  return true;
}

unsigned FlapDamping::level(const FlapRule& rule, Time now) const {
  if (record_.level == 0 || rule.limit <= Clock::duration::zero()) return 0;
  const auto forgiven = (now - record_.lost_at) / rule.limit;
  return forgiven >= record_.level ? 0 : record_.level - static_cast<unsigned>(forgiven);
}

Clock::duration FlapDamping::wait(const FlapRule& rule, Time now) const {
  const unsigned times = level(rule, now);
  if (times == 0) return {};
  if (times >= highest_level(rule)) return rule.limit;
  return std::min<Clock::duration>(rule.base * (1U << times), rule.limit); // the level is limited, so this does not overflow
}

std::optional<Time> FlapDamping::forgiven_at(const FlapRule& rule, Time now) const {
  if (level(rule, now) == 0) return std::nullopt;
  return record_.lost_at + rule.limit * record_.level;
}

std::optional<Time> FlapDamping::next_change(const FlapRule& rule, Time now) const {
  if (level(rule, now) == 0) return std::nullopt;
  return record_.lost_at + rule.limit * ((now - record_.lost_at) / rule.limit + 1);
}

unsigned most_gains(const FlapRule& rule, Clock::duration period) {
  // The first is free, then one for each level, and one each time that the longest wait is over.
  return 1 + highest_level(rule) + static_cast<unsigned>((period + rule.limit - Clock::duration{1}) / rule.limit);
}

} // namespace hanat
