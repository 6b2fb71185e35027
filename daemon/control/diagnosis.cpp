// Values to values.
#include "daemon/control/diagnosis.hpp"

#include <chrono>

#include <nlohmann/json.hpp>

namespace hanat {
namespace {

using nlohmann::json;

json text_or_null(const std::string& text) { return text.empty() ? json() : json(text); }

} // namespace

ServiceCheck check_of(const ServiceState& service) {
  const bool has_target = service.current && !service.refused && *service.current < service.config.servers.size();
  const ServerConfig* const target = has_target ? &service.config.servers[*service.current] : nullptr;
  return check_of(service.config, target, has_target && service.servers[*service.current].health == Health::up);
}

json diagnosis_json(const Diagnosis& diagnosis) {
  json list = json::array(), checked = json::array();
  for (const Finding& finding : diagnosis.found)
    list.push_back({{"severity", to_text(finding.severity)},
                    {"code", finding.code},
                    {"service", text_or_null(finding.service)},
                    {"what", finding.what},
                    {"remedy", finding.remedy},
                    {"seen_by", text_or_null(finding.seen_by)}});
  for (const Diagnosis::Checked& service : diagnosis.services)
    checked.push_back({{"service", service.service},
                       {"sent", service.sent},
                       {"answered", service.answered},
                       {"slowest_ms", std::chrono::duration<double, std::milli>(service.slowest).count()}});
  return {{"findings", std::move(list)},
          {"checked", std::move(checked)},
          {"interface", diagnosis.interface},
          {"failure", text_or_null(diagnosis.failure)}};
}

} // namespace hanat
