// Key by key.
#include "daemon/api/probe_totals_status.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/json_text.hpp"

namespace hanat {

void to_json(nlohmann::json& json, const ProbeTotalsStatus& totals) { json = tree_of(totals); }

void from_json(const nlohmann::json& json, ProbeTotalsStatus& totals) {
  totals.results.clear();
  for (const auto& result : json.at("results"))
    totals.results.push_back({.outcome = result.at("outcome"), .reason = result.at("reason"), .number = result.at("number")});
  totals.latencies = json.at("latencies").get<std::vector<std::uint64_t>>();
  totals.latency_sum_s = json.at("latency_sum_s");
}

} // namespace hanat
