// Status and history from JSON and to JSON. Not here: the keys of a service (read_status, status_keys), the declared types (methods).
#include "daemon/api/status.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/health_change.hpp"
#include "daemon/api/json_text.hpp"
#include "daemon/api/read_status.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/api/status_keys.hpp"

namespace hanat {

using nlohmann::json;

void to_json(json& target, const FindingStatus& finding) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? json(nullptr) : json(text); };
  target = {{"severity", finding.severity}, {"code", finding.code},     {"service", text_or_null(finding.service)},
            {"what", finding.what},         {"remedy", finding.remedy}, {"seen_by", text_or_null(finding.seen_by)}};
}
void from_json(const json& source, FindingStatus& finding) {
  finding = {.severity = source.at("severity"),
             .code = source.at("code"),
             .service = optional_at<std::string>(source, "service").value_or(""),
             .what = source.at("what"),
             .remedy = source.at("remedy"),
             .seen_by = optional_at<std::string>(source, "seen_by").value_or("")};
}

void to_json(json& target, const HistoryEntry& entry) {
  target = entry.flip ? tree_of(*entry.flip) : json::object();
  target["at"] = entry.at;
  target["kind"] = entry.kind;
  target["service"] = entry.service.empty() ? json(nullptr) : json(entry.service);
  target["text"] = entry.text;
  if (entry.until) target["until"] = *entry.until;
  if (!entry.by.empty()) target["by"] = entry.by;
  if (!entry.target.empty()) target["target"] = entry.target;
  if (!entry.from_address.empty()) target["from_address"] = entry.from_address;
  if (!entry.to_address.empty()) target["to_address"] = entry.to_address;
  if (entry.kind == "cut" && entry.flip) target["flip_at"] = entry.flip->at;
  if (entry.health) target["health"] = *entry.health;
  if (entry.changes) target["changes"] = *entry.changes;
  if (entry.reload)
    target["reload"] = {{"added", entry.reload->added}, {"changed", entry.reload->changed}, {"removed", entry.reload->removed}};
}

void from_json(const json& source, HistoryEntry& entry) {
  entry.at = source.at("at");
  entry.kind = source.at("kind");
  entry.service = optional_at<std::string>(source, "service").value_or("");
  entry.text = source.at("text");
  entry.until = optional_or_absent<std::string>(source, "until");
  entry.by = optional_or_absent<std::string>(source, "by").value_or("");
  entry.target = optional_or_absent<std::string>(source, "target").value_or("");
  entry.from_address = optional_or_absent<std::string>(source, "from_address").value_or("");
  entry.to_address = optional_or_absent<std::string>(source, "to_address").value_or("");
  entry.reload.reset();
  if (source.contains("reload")) {
    const auto& reload = source.at("reload");
    entry.reload = ReloadCounts{.added = reload.at("added"), .changed = reload.at("changed"), .removed = reload.at("removed")};
  }
  entry.health.reset();
  if (source.contains("health")) entry.health = std::make_shared<const HealthChangeStatus>(source.at("health").get<HealthChangeStatus>());
  entry.changes.reset();
  if (source.contains("changes"))
    entry.changes = std::make_shared<const std::vector<ServicePlan>>(source.at("changes").get<std::vector<ServicePlan>>());
  entry.flip = source.contains("to") ? std::optional{flip_from(source)} : std::nullopt;
  if (entry.flip && source.contains("flip_at")) entry.flip->at = source.at("flip_at");
}

void to_json(json& target, const ForcedStatus& forced) { target = tree_of(forced); }
void from_json(const json& source, ForcedStatus& forced) { forced = forced_from(source); }

std::string json_text(const ServiceStatus& service) {
  std::string text;
  JsonText object{text};
  describe(object, service);
  object.end();
  return text;
}
void to_json(json& target, const ServiceStatus& service) { target = tree_of(service); }
void from_json(const json& source, ServiceStatus& service) { service = service_from(source); }

void to_json(json& target, const Status& status) {
  target = {{"version", status_version}, {"daemon", status.daemon}, {"services", tree_of(status.services)}};
}

void from_json(const json& source, Status& status) {
  status.daemon = source.at("daemon").get<DaemonStatus>();
  status.services.clear();
  for (const auto& service : source.at("services")) status.services.push_back(service_from(service));
}

} // namespace hanat
