// Parts of the status about servers that recover or keep losing the traffic, outages that are in doubt and warnings of probes, with their
// JSON. Not here: the rest of the status (status), gathering them (report/make_stability).
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

/// The passes in a row of a server that is not up again yet.
struct RecoveringStatus {
  unsigned passes = 0, of = 0; // so many are needed
  double for_s = 0, stable_for_s = 0;
  bool operator==(const RecoveringStatus&) const = default;
};
/// A server that keeps losing the traffic soon after it got it.
struct FlappingStatus {
  unsigned times = 0;       // not forgiven yet
  double wait_s = 0;        // so long it must be up before it gets the traffic, while another server works
  double forgiven_in_s = 0; // until all of it is forgiven
  bool operator==(const FlappingStatus&) const = default;
};
/// Of the last result of a probe: it passes, and something is wrong all the same.
struct WarningStatus {
  std::string reason, detail; // "certificate-expires", "slow"
  bool operator==(const WarningStatus&) const = default;
};
/// No server answers, and that may be the gateway's own failure.
struct OutageStatus {
  std::string state; // "doubted", "settling"
  double for_s = 0;
  std::optional<double> ends_in_s; // absent: when the witness answers
  bool new_refused = false;
  bool operator==(const OutageStatus&) const = default;
};
struct WitnessStatus {
  std::string address;
  std::optional<bool> answers = {}; // absent: no probe of it has ended yet
  bool operator==(const WitnessStatus&) const = default;
};

void to_json(nlohmann::json& json, const RecoveringStatus& recovering);
void to_json(nlohmann::json& json, const FlappingStatus& flapping);
void to_json(nlohmann::json& json, const WarningStatus& warning);
void to_json(nlohmann::json& json, const OutageStatus& outage);
void to_json(nlohmann::json& json, const WitnessStatus& witness);
/// They throw nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, RecoveringStatus& recovering);
void from_json(const nlohmann::json& json, FlappingStatus& flapping);
void from_json(const nlohmann::json& json, WarningStatus& warning);
void from_json(const nlohmann::json& json, OutageStatus& outage);
void from_json(const nlohmann::json& json, WitnessStatus& witness);

} // namespace hanat
