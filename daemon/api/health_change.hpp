// Why a server's health changed, as the history keeps it: what was learnt of the server and counted, and the rule by which that made the
// change; with its JSON. Not here: gathering it (report/make_event).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

struct ObservationStatus {
  std::string at;     // RFC 3339, UTC, milliseconds
  std::string kind;   // "event" (of the kernel: a probe was sent at once), "fail", "full", "pass"
  std::string server; // its role
  std::string probe;  // "tcp 10.0.0.11:8443"; empty: of an event
  std::string reason; // "refused"
  std::string detail, wanted;
  double latency_ms = 0;
  std::uint64_t count = 0, of = 0; // the second of three within the time; of a pass: in a row; 0: of an event
  bool operator==(const ObservationStatus&) const = default;
};

struct HealthChangeStatus {
  std::string server, address, health; // its role; the new health
  std::uint64_t of = 0;                // the rule: so many
  double within_s = 0;                 // within this time; up: over this time
  std::vector<ObservationStatus> observations;
  bool operator==(const HealthChangeStatus&) const = default;
};

void to_json(nlohmann::json& json, const ObservationStatus& observation);
void from_json(const nlohmann::json& json, ObservationStatus& observation);
void to_json(nlohmann::json& json, const HealthChangeStatus& change);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, HealthChangeStatus& change);

} // namespace hanat
