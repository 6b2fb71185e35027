// What the probes of a server have answered since hanatd started: results by outcome and reason, and how long passes took, in classes.
// Counting takes a few instructions, and no memory as long as all results are of one kind, as ten thousand may come in a second. Not here:
// what a result means (failure_window), showing the counts (api/metrics_text).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemon/util/rare.hpp"
#include "probes/latency_buckets.hpp"
#include "probes/result.hpp"

namespace hanat {

/// How long passes took, of a server or of a whole service.
class PassTimes {
public:
  void count(const probes::ProbeResult& pass);

  /// As probes::latency_limits_s has them, and one class more.
  using Latencies = std::array<std::uint32_t, probes::latency_limits_s.size() + 1>;
  const Latencies& latencies() const { return latencies_; }
  double sum_s() const { return sum_s_; }

private:
  Latencies latencies_{};
  double sum_s_ = 0;
};

class ProbeTotals {
public:
  void count(const probes::ProbeResult& result);

  struct ResultCount {
    probes::Outcome outcome;
    probes::Reason reason;
    std::uint64_t number;
    bool operator==(const ResultCount&) const = default;
  };
  /// Those that there were.
  std::vector<ResultCount> results() const;
  const PassTimes& passes() const { return passes_; }

private:
  static constexpr std::size_t reasons = static_cast<std::size_t>(probes::Reason::local_error) + 1;
  static constexpr std::size_t other_outcomes = 4;                      // of reasons that have a second one
  using Counters = std::array<std::uint32_t, reasons + other_outcomes>; // a wrap, after years, is a restart for who reads them
  std::uint32_t& counter(std::size_t place);

  struct {
    std::size_t place = 0;
    std::uint32_t number = 0; // 0: there was no result yet
  } first_;
  Rare<Counters> others_; // than the first kind of result, which is the only one of a server that works
  PassTimes passes_;
};

} // namespace hanat
