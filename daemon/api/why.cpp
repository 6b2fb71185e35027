// A report to JSON and back.
#include "daemon/api/why.hpp"

#include <nlohmann/json.hpp>

namespace hanat {

using nlohmann::json;

void to_json(json& target, const WhyReport& report) {
  target = {{"service", report.service}, {"at", report.at ? json(*report.at) : json(nullptr)},
            {"target", report.target},   {"why", report.why},
            {"since", report.since},     {"chain", report.chain},
            {"pending", report.pending}, {"omitted", report.omitted}};
  if (!report.from.empty()) target["from"] = report.from;
  if (!report.known_from.empty()) target["known_from"] = report.known_from;
  if (report.last_reload) target["last_reload"] = *report.last_reload;
  if (report.last_override) target["last_override"] = *report.last_override;
  if (report.status) target["status"] = *report.status;
}

void from_json(const json& source, WhyReport& report) {
  report = {};
  report.service = source.at("service");
  if (!source.at("at").is_null()) report.at = source.at("at").get<std::string>();
  report.target = source.at("target");
  report.why = source.at("why");
  report.since = source.at("since");
  report.chain = source.at("chain").get<std::vector<HistoryEntry>>();
  report.omitted = source.value("omitted", std::uint64_t{0});
  report.from = source.value("from", std::string{});
  report.known_from = source.value("known_from", std::string{});
  report.pending = source.at("pending").get<std::vector<ObservationStatus>>();
  if (source.contains("last_reload")) report.last_reload = source.at("last_reload").get<HistoryEntry>();
  if (source.contains("last_override")) report.last_override = source.at("last_override").get<HistoryEntry>();
  if (source.contains("status")) report.status = source.at("status").get<ServiceStatus>();
}

} // namespace hanat
