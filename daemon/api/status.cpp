// Status and history from JSON, key by key, and to JSON. Not here: the keys that are written (status_keys), the declared types (methods).
#include "daemon/api/status.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "daemon/api/health_change.hpp"
#include "daemon/api/json_text.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/api/status_keys.hpp"

namespace hanat {

using nlohmann::json;

namespace {

template <typename T> std::optional<T> optional_at(const json& from, const char* key) {
  const auto& value = from.at(key);
  return value.is_null() ? std::nullopt : std::optional<T>{value.template get<T>()};
}
/// For keys that an older daemon does not send.
template <typename T> std::optional<T> optional_or_absent(const json& from, const char* key) {
  return from.contains(key) ? optional_at<T>(from, key) : std::nullopt;
}

LastResult last_from(const json& from) {
  return {.outcome = from.at("outcome"),
          .reason = from.at("reason"),
          .detail = optional_or_absent<std::string>(from, "detail").value_or(""),
          .wanted = optional_or_absent<std::string>(from, "wanted").value_or(""),
          .latency_ms = from.at("latency_ms"),
          .age_s = from.at("age_s"),
          .certificate_left_s = optional_or_absent<double>(from, "certificate_left_s")};
}

FailbackStatus failback_from(const json& from) {
  return {.mode = from.at("mode"), .to = optional_at<std::string>(from, "to"), .waits_for = optional_at<std::string>(from, "waits_for")};
}

FailsStatus fails_from(const json& from) { return {.count = from.at("count"), .of = from.at("of"), .within_s = from.at("within_s")}; }

ProbeStatus probe_from(const json& from) {
  ProbeStatus probe{.name = from.at("name"), .health = from.at("health"), .fails = fails_from(from.at("fails")), .last = {}};
  if (const auto& last = from.at("last"); !last.is_null()) probe.last = last_from(last);
  return probe;
}

ReportStatus report_from(const json& from) {
  return {
      .health = from.at("health"), .since = from.at("since"), .until = from.at("until"), .reason = from.at("reason"), .by = from.at("by")};
}
DisabledStatus disabled_from(const json& from) {
  return {.since = from.at("since"), .until = optional_at<std::string>(from, "until"), .reason = from.at("reason"), .by = from.at("by")};
}

std::vector<ProbeStatus> probes_from(const json& from) {
  std::vector<ProbeStatus> probes;
  for (const auto& one : from) probes.push_back(probe_from(one));
  return probes;
}

ServerStatus server_from(const json& from) {
  ServerStatus server{.role = from.at("role"),
                      .address = from.at("address"),
                      .addresses = optional_or_absent<std::vector<std::string>>(from, "addresses").value_or(std::vector<std::string>{}),
                      .health = from.at("health"),
                      .drains = from.value("drains", false),
                      .group_health = optional_or_absent<std::string>(from, "group_health"),
                      .fails = fails_from(from.at("fails")),
                      .last = std::nullopt};
  if (from.contains("disabled")) server.disabled = disabled_from(from.at("disabled"));
  if (from.contains("report")) server.report = report_from(from.at("report"));
  server.recovering = optional_or_absent<RecoveringStatus>(from, "recovering");
  if (const auto fresh = from.find("new_probes"); fresh != from.end())
    server.new_probes = {.since = fresh->at("since"), .failing = fresh->at("failing"), .probes = probes_from(fresh->at("probes"))};
  server.name = optional_or_absent<NameStatus>(from, "name");
  server.former_since = optional_or_absent<std::string>(from, "former_since");
  server.flapping = optional_or_absent<FlappingStatus>(from, "flapping");
  server.warning = optional_or_absent<WarningStatus>(from, "warning");
  server.totals = optional_or_absent<ProbeTotalsStatus>(from, "totals");
  server.new_flows = optional_or_absent<std::uint64_t>(from, "new_flows");
  if (const auto& last = from.at("last"); !last.is_null()) server.last = last_from(last);
  if (const auto probes = from.find("probes"); probes != from.end()) server.probes = probes_from(*probes);
  return server;
}

ForcedStatus forced_from(const json& from) {
  return {.target = from.at("target"),
          .until = optional_at<std::string>(from, "until"),
          .reason = from.at("reason"),
          .by = from.at("by"),
          .until_down = from.value("until_down", false),
          .drill = from.value("drill", false)};
}

FlipStatus flip_from(const json& from) {
  const auto& cut = from.at("cut");
  return {.at = from.at("at"),
          .from = from.at("from"),
          .to = from.at("to"),
          .why = from.at("why"),
          .commit_us = from.at("commit_us"),
          .cut = {.tcp = cut.at("tcp"), .udp = cut.at("udp"), .sctp = cut.at("sctp")},
          .nudged = from.at("nudged"),
          .drained = optional_or_absent<std::uint64_t>(from, "drained").value_or(0),
          .left = from.contains("left") ? optional_at<std::uint64_t>(from, "left") : std::optional<std::uint64_t>{0},
          .drain_ends_in_s = optional_or_absent<double>(from, "drain_ends_in_s"),
          .cut_ms = optional_at<double>(from, "cut_ms"),
          .interrupted = optional_or_absent<bool>(from, "interrupted").value_or(false)};
}

DrainingStatus draining_from(const json& from) {
  return {.server = from.at("server"),
          .address = from.at("address"),
          .drained = from.at("drained"),
          .left = optional_at<std::uint64_t>(from, "left"),
          .ends_in_s = optional_at<double>(from, "ends_in_s")};
}

PathStatus path_from(const json& from) {
  return {.state = from.at("state"),
          .unanswered_clients = from.at("unanswered_clients"),
          .refused_clients = from.at("refused_clients"),
          .since = optional_at<std::string>(from, "since"),
          .findings = from.at("findings").get<std::vector<FindingStatus>>()};
}

TotalsStatus totals_from(const json& from) {
  const auto& cut = from.at("cut");
  return {.flips = from.at("flips").get<std::map<std::string, std::uint64_t>>(),
          .cut = {.tcp = cut.at("tcp"), .udp = cut.at("udp"), .sctp = cut.at("sctp")},
          .nudged = from.at("nudged"),
          .drained = from.value("drained", std::uint64_t{0}),
          .clients_unanswered = from.value("clients_unanswered", std::uint64_t{0}),
          .clients_refused = from.value("clients_refused", std::uint64_t{0}),
          .latencies = from.value("latencies", std::vector<std::uint64_t>{}),
          .latency_sum_s = from.value("latency_sum_s", 0.0)};
}

ServiceStatus service_from(const json& from) {
  ServiceStatus service{.name = from.at("name"),
                        .target = from.at("target"),
                        .target_address = optional_at<std::string>(from, "target_address"),
                        .since = from.at("since"),
                        .why = from.at("why"),
                        .mode = from.at("mode"),
                        .would_target = optional_or_absent<std::string>(from, "would_target"),
                        .would_why = optional_or_absent<std::string>(from, "would_why"),
                        .in_table = from.value("in_table", false),
                        .standby = from.value("standby", false),
                        .offload = optional_or_absent<bool>(from, "offload"),
                        .group = optional_or_absent<std::string>(from, "group"),
                        .forced = std::nullopt,
                        .failback_in_s = optional_at<double>(from, "failback_in_s"),
                        .failback = from.contains("failback") ? failback_from(from.at("failback")) : FailbackStatus{},
                        .flips = from.at("flips"),
                        .listen = from.at("listen").get<std::vector<std::string>>(),
                        .servers = {},
                        .last_flip = std::nullopt,
                        .draining = {},
                        .cutting = {},
                        .foreign = {},
                        .path = {},
                        .outage = {},
                        .witness = {},
                        .interfaces = from.value("interfaces", std::vector<ListenStatus>{}),
                        .totals = {}};
  if (const auto& forced = from.at("forced"); !forced.is_null()) service.forced = forced_from(forced);
  for (const auto& server : from.at("servers")) service.servers.push_back(server_from(server));
  if (const auto& flip = from.at("last_flip"); !flip.is_null()) service.last_flip = flip_from(flip);
  if (const auto draining = from.find("draining"); draining != from.end())
    for (const auto& one : *draining) service.draining.push_back(draining_from(one));
  service.cutting = from.value("cutting", std::vector<std::string>{});
  if (const auto foreign = from.find("foreign"); foreign != from.end())
    for (const auto& one : *foreign)
      service.foreign.push_back({.listen = one.at("listen"), .server = one.at("server"), .flows = one.at("flows")});
  if (from.contains("path")) service.path = path_from(from.at("path"));
  service.outage = optional_or_absent<OutageStatus>(from, "outage");
  service.witness = optional_or_absent<WitnessStatus>(from, "witness");
  if (from.contains("totals")) service.totals = totals_from(from.at("totals"));
  return service;
}

} // namespace

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
