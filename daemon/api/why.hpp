// Why a service has its target, or had it at a time: the entries of the history that led to it, and what counts now; with its JSON. Not
// here: finding them (report/make_why), the text (cli/show_why).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/api/health_change.hpp"
#include "daemon/api/status.hpp"

namespace hanat {

struct WhyReport {
  std::string service;
  std::optional<std::string> at;             // RFC 3339, UTC; absent: now
  std::string from;                          // every change of target from then to `at` is in the chain; empty: the last one is
  std::string target, why;                   // then: a role or "none"; empty: the history does not go back so far
  std::string since;                         // likewise
  std::vector<HistoryEntry> chain;           // what led to it, oldest first, and what came after that up to then
  std::uint64_t omitted = 0;                 // older entries, of which there were too many
  std::string known_from;                    // the time of the first entry about the service; empty: there is none
  std::optional<HistoryEntry> last_reload;   // that was accepted, before then, and is not in the chain
  std::optional<HistoryEntry> last_override; // likewise
  std::vector<ObservationStatus> pending;    // that count now, and have changed nothing yet; empty with `at`
  std::optional<ServiceStatus> status;       // absent with `at`, and of a service that is no longer configured
};

void to_json(nlohmann::json& json, const WhyReport& report);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, WhyReport& report);

} // namespace hanat
