// Values to values.
#include "daemon/control/diagnosis.hpp"

#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "daemon/report/make_status.hpp"

namespace hanat {

using nlohmann::json;

namespace {

struct Target {
  const ServerConfig* server = nullptr; // nullptr: no server has the traffic
  bool is_up = false;
};
Target target_of(const ServiceState& service) {
  if (!service.current || service.refused || *service.current >= service.config->servers.size()) return {};
  return {&service.config->servers[*service.current], service.servers[*service.current].health == Health::up};
}

} // namespace

ServiceCheck check_of(const ServiceState& service) {
  const Target target = target_of(service);
  return check_of(service.config, target.server, target.is_up);
}

std::vector<OtherServer> others_of(const ServiceState& service) { return others_of(service.config, target_of(service).server); }

Examined examined_in(const Diagnosis& diagnosis, const std::string& service, const Address& client) {
  Examined examined;
  examined.client = client;
  const auto checked = std::ranges::find(diagnosis.services, service, &Diagnosis::Checked::service);
  if (checked == diagnosis.services.end()) return examined;
  examined.saw_client = checked->saw_client;
  // Where real clients are served, hanatd's own says nothing.
  if (checked->sent > 0 && !checked->served) examined.own_client = checked->answered == checked->sent;
  return examined;
}

/// What only may be in the way is told where nothing surely is.
std::vector<Finding> causes_in(const std::vector<Finding>& found, const std::string& service) {
  std::vector<Finding> causes, possible;
  for (const Finding& finding : found) {
    if (finding.severity == Severity::note || (!finding.service.empty() && finding.service != service)) continue;
    const bool surely = finding.severity == Severity::problem || finding.witness == Witness::real_client;
    (surely ? causes : possible).push_back(finding);
  }
  return causes.empty() ? possible : causes;
}

json diagnosis_json(const Diagnosis& diagnosis, const std::vector<ClientEvidence::OfClient>& clients) {
  json list = json::array(), checked = json::array(), single = json::array();
  for (const Finding& finding : diagnosis.found)
    if (!finding.client_only || finding.witness != Witness::real_client) list.push_back(report(finding));
  for (const auto& [finding, at] : clients) {
    json one = report(finding);
    one["at"] = to_text(at);
    single.push_back(std::move(one));
  }
  for (const Diagnosis::Checked& service : diagnosis.services)
    checked.push_back({{"service", service.service},
                       {"sent", service.sent},
                       {"answered", service.answered},
                       {"served", service.served},
                       {"slowest_ms", std::chrono::duration<double, std::milli>(service.slowest).count()}});
  return {{"findings", std::move(list)},
          {"checked", std::move(checked)},
          {"clients", std::move(single)},
          {"interface", diagnosis.interface},
          {"failure", diagnosis.failure.empty() ? json() : json(diagnosis.failure)}};
}

} // namespace hanat
