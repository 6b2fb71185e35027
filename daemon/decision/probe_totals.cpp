// Each reason has a counter for its usual outcome; the few that come with another one, too, have a second.
#include "daemon/decision/probe_totals.hpp"

#include <algorithm>
#include <chrono>

namespace hanat {
namespace {

struct ResultKind {
  probes::Outcome outcome;
  probes::Reason reason;
};
constexpr std::array second_kinds = {
    ResultKind{probes::Outcome::fail, probes::Reason::certificate_expires},
    ResultKind{probes::Outcome::fail, probes::Reason::slow}, // of a critical probe
    ResultKind{probes::Outcome::inconclusive, probes::Reason::no_carrier},
    ResultKind{probes::Outcome::inconclusive, probes::Reason::net_unreachable} // of a machine that is cut off
};

probes::Outcome usual_outcome(probes::Reason reason) {
  if (reason == probes::Reason::full) return probes::Outcome::full;
  if (reason >= probes::Reason::no_descriptors) return probes::Outcome::inconclusive;
  const bool passes = reason == probes::Reason::connected || reason == probes::Reason::answered ||
                      reason == probes::Reason::certificate_expires || reason == probes::Reason::slow;
  return passes ? probes::Outcome::pass : probes::Outcome::fail;
}

} // namespace

void PassTimes::count(const probes::ProbeResult& pass) {
  const double seconds = std::chrono::duration<double>(pass.latency).count();
  const auto limit = std::ranges::lower_bound(probes::latency_limits_s, seconds);
  ++latencies_[static_cast<std::size_t>(limit - probes::latency_limits_s.begin())];
  sum_s_ += seconds;
}

void ProbeTotals::count(const probes::ProbeResult& result) {
  static_assert(second_kinds.size() == other_outcomes);
  std::size_t place = static_cast<std::size_t>(result.reason);
  if (result.outcome != usual_outcome(result.reason))
    for (std::size_t index = 0; index < second_kinds.size(); ++index)
      if (second_kinds[index].outcome == result.outcome && second_kinds[index].reason == result.reason) place = reasons + index;
  ++counter(place);
  if (result.outcome == probes::Outcome::pass) passes_.count(result);
}

std::uint32_t& ProbeTotals::counter(std::size_t place) {
  if (first_.number == 0) first_.place = place;
  if (first_.place == place) return first_.number;
  return (others_ ? *others_ : others_.emplace()).at(place);
}

std::vector<ProbeTotals::ResultCount> ProbeTotals::results() const {
  std::vector<ResultCount> counts;
  for (std::size_t place = 0; place < reasons + other_outcomes; ++place) {
    const std::uint32_t number = first_.number > 0 && first_.place == place ? first_.number : others_ ? others_->at(place) : 0;
    if (number == 0) continue;
    const ResultKind kind = place < reasons
                                ? ResultKind{usual_outcome(static_cast<probes::Reason>(place)), static_cast<probes::Reason>(place)}
                                : second_kinds[place - reasons];
    counts.push_back({.outcome = kind.outcome, .reason = kind.reason, .number = number});
  }
  return counts;
}

} // namespace hanat
