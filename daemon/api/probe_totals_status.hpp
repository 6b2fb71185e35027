// What the probes of a server have answered since hanatd started, as a part of the status. Not here: counting (decision/probe_totals).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/api/rounded.hpp"

namespace hanat {

struct ResultCountStatus {
  std::string outcome, reason;
  std::uint64_t number = 0;
  bool operator==(const ResultCountStatus&) const = default;
};
struct ProbeTotalsStatus {
  std::vector<ResultCountStatus> results; // those that there were
  std::vector<std::uint64_t> latencies;   // passes that took at most 1, 5, 20, 100, 500 and 2000 ms (latency_buckets.hpp), and longer
  double latency_sum_s = 0;               // of all of them
  bool operator==(const ProbeTotalsStatus&) const = default;
};

template <class To> void describe(To&& to, const ResultCountStatus& result) {
  to("outcome", result.outcome);
  to("reason", result.reason);
  to("number", result.number);
}
/// As json_text.hpp has it.
template <class To> void describe(To&& to, const ProbeTotalsStatus& totals) {
  to("results", totals.results);
  to("latencies", totals.latencies);
  to("latency_sum_s", rounded(totals.latency_sum_s));
}
/// As read_status.hpp has it.
template <class Tree> ProbeTotalsStatus probe_totals_from(const Tree& from) {
  ProbeTotalsStatus totals;
  for (const auto& result : from.at("results"))
    totals.results.push_back({.outcome = result.at("outcome"), .reason = result.at("reason"), .number = result.at("number")});
  totals.latencies = from.at("latencies").template get<std::vector<std::uint64_t>>();
  totals.latency_sum_s = from.at("latency_sum_s");
  return totals;
}
void to_json(nlohmann::json& json, const ProbeTotalsStatus& totals);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, ProbeTotalsStatus& totals);

} // namespace hanat
