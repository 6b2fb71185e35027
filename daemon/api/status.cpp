// Status and history to JSON and back: one function per struct each way, key by key. Not here: the declared types (methods).
#include "daemon/api/status.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "daemon/api/health_change.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/api/rounded.hpp"

namespace hanat {
namespace {

using nlohmann::json;

template <typename T> json or_null(const std::optional<T>& value) { return value ? json(*value) : json(nullptr); }

template <typename T> std::optional<T> optional_at(const json& from, const char* key) {
  const auto& value = from.at(key);
  return value.is_null() ? std::nullopt : std::optional<T>{value.template get<T>()};
}
/// For keys that an older daemon does not send.
template <typename T> std::optional<T> optional_or_absent(const json& from, const char* key) {
  return from.contains(key) ? optional_at<T>(from, key) : std::nullopt;
}

json to_value(const LastResult& last) {
  json value = {
      {"outcome", last.outcome}, {"reason", last.reason}, {"latency_ms", rounded(last.latency_ms)}, {"age_s", rounded(last.age_s)}};
  if (!last.detail.empty()) value["detail"] = last.detail;
  if (!last.wanted.empty()) value["wanted"] = last.wanted;
  if (last.certificate_left_s) value["certificate_left_s"] = std::round(*last.certificate_left_s);
  return value;
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

json to_value(const FailbackStatus& failback) {
  return {{"mode", failback.mode}, {"to", or_null(failback.to)}, {"waits_for", or_null(failback.waits_for)}};
}
FailbackStatus failback_from(const json& from) {
  return {.mode = from.at("mode"), .to = optional_at<std::string>(from, "to"), .waits_for = optional_at<std::string>(from, "waits_for")};
}

json to_value(const FailsStatus& fails) { return {{"count", fails.count}, {"of", fails.of}, {"within_s", rounded(fails.within_s)}}; }
FailsStatus fails_from(const json& from) { return {.count = from.at("count"), .of = from.at("of"), .within_s = from.at("within_s")}; }

json to_value(const ProbeStatus& probe) {
  return {{"name", probe.name},
          {"health", probe.health},
          {"fails", to_value(probe.fails)},
          {"last", probe.last ? to_value(*probe.last) : json(nullptr)}};
}
ProbeStatus probe_from(const json& from) {
  ProbeStatus probe{.name = from.at("name"), .health = from.at("health"), .fails = fails_from(from.at("fails")), .last = {}};
  if (const auto& last = from.at("last"); !last.is_null()) probe.last = last_from(last);
  return probe;
}

json to_value(const DisabledStatus& disabled) {
  return {{"since", disabled.since}, {"until", or_null(disabled.until)}, {"reason", disabled.reason}, {"by", disabled.by}};
}
json to_value(const ReportStatus& report) {
  return {{"health", report.health}, {"since", report.since}, {"until", report.until}, {"reason", report.reason}, {"by", report.by}};
}
ReportStatus report_from(const json& from) {
  return {
      .health = from.at("health"), .since = from.at("since"), .until = from.at("until"), .reason = from.at("reason"), .by = from.at("by")};
}
DisabledStatus disabled_from(const json& from) {
  return {.since = from.at("since"), .until = optional_at<std::string>(from, "until"), .reason = from.at("reason"), .by = from.at("by")};
}

json to_value(const std::vector<ProbeStatus>& probes) {
  json value = json::array();
  for (const ProbeStatus& probe : probes) value.push_back(to_value(probe));
  return value;
}
std::vector<ProbeStatus> probes_from(const json& from) {
  std::vector<ProbeStatus> probes;
  for (const auto& one : from) probes.push_back(probe_from(one));
  return probes;
}

json to_value(const ServerStatus& server) {
  json value = {{"role", server.role},
                {"address", server.address},
                {"health", server.health},
                {"fails", to_value(server.fails)},
                {"last", server.last ? to_value(*server.last) : json(nullptr)}};
  if (!server.addresses.empty()) value["addresses"] = server.addresses;
  if (server.drains) value["drains"] = true;
  if (server.group_health) value["group_health"] = *server.group_health;
  if (server.recovering) value["recovering"] = *server.recovering;
  if (server.flapping) value["flapping"] = *server.flapping;
  if (server.warning) value["warning"] = *server.warning;
  if (server.totals) value["totals"] = *server.totals;
  if (server.new_flows) value["new_flows"] = *server.new_flows;
  if (!server.probes.empty()) value["probes"] = to_value(server.probes);
  if (server.disabled) value["disabled"] = to_value(*server.disabled);
  if (server.report) value["report"] = to_value(*server.report);
  if (const auto& fresh = server.new_probes)
    value["new_probes"] = {{"since", fresh->since}, {"failing", fresh->failing}, {"probes", to_value(fresh->probes)}};
  if (server.name) value["name"] = *server.name;
  if (server.former_since) value["former_since"] = *server.former_since;
  return value;
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

json to_value(const ForcedStatus& forced) {
  json value = {{"target", forced.target}, {"until", or_null(forced.until)}, {"reason", forced.reason}, {"by", forced.by}};
  if (forced.until_down) value["until_down"] = true;
  if (forced.drill) value["drill"] = true;
  return value;
}
ForcedStatus forced_from(const json& from) {
  return {.target = from.at("target"),
          .until = optional_at<std::string>(from, "until"),
          .reason = from.at("reason"),
          .by = from.at("by"),
          .until_down = from.value("until_down", false),
          .drill = from.value("drill", false)};
}

json to_value(const FlipStatus& flip) {
  json value = {{"at", flip.at},
                {"from", flip.from},
                {"to", flip.to},
                {"why", flip.why},
                {"commit_us", flip.commit_us},
                {"cut", {{"tcp", flip.cut.tcp}, {"udp", flip.cut.udp}, {"sctp", flip.cut.sctp}}},
                {"nudged", flip.nudged},
                {"drained", flip.drained},
                {"left", or_null(flip.left)},
                {"drain_ends_in_s", flip.drain_ends_in_s ? json(rounded(*flip.drain_ends_in_s)) : json(nullptr)},
                {"cut_ms", flip.cut_ms ? json(rounded(*flip.cut_ms)) : json(nullptr)}};
  if (flip.interrupted) value["interrupted"] = true;
  return value;
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

json to_value(const DrainingStatus& draining) {
  return {{"server", draining.server},
          {"address", draining.address},
          {"drained", draining.drained},
          {"left", or_null(draining.left)},
          {"ends_in_s", draining.ends_in_s ? json(rounded(*draining.ends_in_s)) : json(nullptr)}};
}
DrainingStatus draining_from(const json& from) {
  return {.server = from.at("server"),
          .address = from.at("address"),
          .drained = from.at("drained"),
          .left = optional_at<std::uint64_t>(from, "left"),
          .ends_in_s = optional_at<double>(from, "ends_in_s")};
}

json to_value(const PathStatus& path) {
  return {{"state", path.state},
          {"unanswered_clients", path.unanswered_clients},
          {"refused_clients", path.refused_clients},
          {"since", or_null(path.since)},
          {"findings", path.findings}};
}
PathStatus path_from(const json& from) {
  return {.state = from.at("state"),
          .unanswered_clients = from.at("unanswered_clients"),
          .refused_clients = from.at("refused_clients"),
          .since = optional_at<std::string>(from, "since"),
          .findings = from.at("findings").get<std::vector<FindingStatus>>()};
}

json to_value(const TotalsStatus& totals) {
  return {{"flips", totals.flips},
          {"cut", {{"tcp", totals.cut.tcp}, {"udp", totals.cut.udp}, {"sctp", totals.cut.sctp}}},
          {"nudged", totals.nudged},
          {"drained", totals.drained},
          {"clients_unanswered", totals.clients_unanswered},
          {"clients_refused", totals.clients_refused},
          {"latencies", totals.latencies},
          {"latency_sum_s", rounded(totals.latency_sum_s)}};
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

json to_value(const ServiceStatus& service) {
  json servers = json::array();
  for (const auto& server : service.servers) servers.push_back(to_value(server));
  json value = {{"name", service.name},
                {"target", service.target},
                {"target_address", or_null(service.target_address)},
                {"since", service.since},
                {"why", service.why},
                {"mode", service.mode},
                {"group", or_null(service.group)},
                {"forced", service.forced ? to_value(*service.forced) : json(nullptr)},
                {"failback_in_s", service.failback_in_s ? json(rounded(*service.failback_in_s)) : json(nullptr)},
                {"failback", to_value(service.failback)},
                {"flips", service.flips},
                {"listen", service.listen},
                {"servers", std::move(servers)},
                {"last_flip", service.last_flip ? to_value(*service.last_flip) : json(nullptr)},
                {"path", to_value(service.path)},
                {"totals", to_value(service.totals)}};
  for (const auto& draining : service.draining) value["draining"].push_back(to_value(draining));
  if (!service.cutting.empty()) value["cutting"] = service.cutting;
  for (const auto& [listen, server, flows] : service.foreign)
    value["foreign"].push_back({{"listen", listen}, {"server", server}, {"flows", flows}});
  if (service.outage) value["outage"] = *service.outage;
  if (service.witness) value["witness"] = *service.witness;
  if (!service.interfaces.empty()) value["interfaces"] = service.interfaces;
  if (service.would_target) value["would_target"] = *service.would_target;
  if (service.would_why) value["would_why"] = *service.would_why;
  if (service.in_table) value["in_table"] = true;
  if (service.standby) value["standby"] = true;
  return value;
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
  target = entry.flip ? to_value(*entry.flip) : json::object();
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

void to_json(json& target, const ForcedStatus& forced) { target = to_value(forced); }
void from_json(const json& source, ForcedStatus& forced) { forced = forced_from(source); }

void to_json(json& target, const ServiceStatus& service) { target = to_value(service); }
void from_json(const json& source, ServiceStatus& service) { service = service_from(source); }

void to_json(json& target, const Status& status) {
  json services = json::array();
  for (const auto& service : status.services) services.push_back(to_value(service));
  target = {{"version", status_version}, {"daemon", status.daemon}, {"services", std::move(services)}};
}

void from_json(const json& source, Status& status) {
  status.daemon = source.at("daemon").get<DaemonStatus>();
  status.services.clear();
  for (const auto& service : source.at("services")) status.services.push_back(service_from(service));
}

} // namespace hanat
