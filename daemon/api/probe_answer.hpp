// What came of a probe that was sent once because somebody asked for it; with its JSON. Not here: sending it (control/probe_run).
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

struct ProbeAnswer {
  std::string service, role, probe;    // "tcp 10.0.0.11:8443"
  std::string outcome, reason, detail; // as in the status
  std::string wanted;                  // what would have passed, where another answer came
  std::string explanation;             // of a reason that is no pass: what happened, and its usual cause
  double latency_ms = 0;
  bool operator==(const ProbeAnswer&) const = default;
};

void to_json(nlohmann::json& json, const ProbeAnswer& answer);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, ProbeAnswer& answer);

} // namespace hanat
