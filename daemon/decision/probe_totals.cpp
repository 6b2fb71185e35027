// Each reason has a counter for its usual outcome; the few that come with another one, too, have a second.
#include "daemon/decision/probe_totals.hpp"

#include <algorithm>
#include <chrono>

namespace hanat {
namespace {

using probes::Outcome;
using probes::Reason;

struct Kind {
  Outcome outcome;
  Reason reason;
};
constexpr std::array second_kinds = {
    Kind{Outcome::fail, Reason::certificate_expires}, Kind{Outcome::fail, Reason::slow},                  // of a critical probe
    Kind{Outcome::inconclusive, Reason::no_carrier}, Kind{Outcome::inconclusive, Reason::net_unreachable} // of a machine that is cut off
};

Outcome usual_outcome(Reason reason) {
  if (reason == Reason::full) return Outcome::full;
  if (reason >= Reason::no_descriptors) return Outcome::inconclusive;
  const bool passes =
      reason == Reason::connected || reason == Reason::answered || reason == Reason::certificate_expires || reason == Reason::slow;
  return passes ? Outcome::pass : Outcome::fail;
}

} // namespace

void ProbeTotals::count(const probes::ProbeResult& result) {
  static_assert(second_kinds.size() == other_outcomes);
  std::size_t place = static_cast<std::size_t>(result.reason);
  if (result.outcome != usual_outcome(result.reason))
    for (std::size_t index = 0; index < second_kinds.size(); ++index)
      if (second_kinds[index].outcome == result.outcome && second_kinds[index].reason == result.reason) place = reasons + index;
  ++results_[place];
  if (result.outcome != Outcome::pass) return;
  const double seconds = std::chrono::duration<double>(result.latency).count();
  const auto limit = std::ranges::lower_bound(probes::latency_limits_s, seconds);
  ++latencies_[static_cast<std::size_t>(limit - probes::latency_limits_s.begin())];
  latency_sum_s_ += seconds;
}

std::vector<ProbeTotals::ResultCount> ProbeTotals::results() const {
  std::vector<ResultCount> counts;
  for (std::size_t place = 0; place < results_.size(); ++place) {
    if (results_[place] == 0) continue;
    const Kind kind =
        place < reasons ? Kind{usual_outcome(static_cast<Reason>(place)), static_cast<Reason>(place)} : second_kinds[place - reasons];
    counts.push_back({.outcome = kind.outcome, .reason = kind.reason, .number = results_[place]});
  }
  return counts;
}

} // namespace hanat
