// The JSON of a status, both ways, also with the keys of an older and a newer daemon. Not here: the declared types (methods_test).
#include "daemon/api/status.hpp"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/api/service_reader.hpp"

namespace hanat {
namespace {

using nlohmann::json;

/// What hanatctl(8) documents.
const json example_json = json::parse(R"(
{"version": 2, "daemon": {"pid": 1, "uptime_s": 12.5, "kernel": "in-step", "config": "/etc/hanat/hanat.toml", "version": "0.1.0", "blind": null,
   "config_loaded_at": "2026-01-31T09:00:00.000Z", "config_stale": false},
 "services": [{"name": "web", "target": "primary", "target_address": "10.0.0.11:8443", "since": "2026-01-31T10:00:00.123Z", "why": "primary-up",
   "mode": "auto", "group": null, "forced": null, "failback_in_s": null,
   "failback": {"mode": "auto", "to": null, "waits_for": null}, "flips": 3,
   "listen": ["203.0.113.10:443/tcp"],
   "servers": [{"role": "primary", "address": "10.0.0.11:8443", "health": "up", "fails": {"count": 0, "of": 3, "within_s": 10.0},
                "last": {"outcome": "pass", "reason": "connected", "latency_ms": 0.21, "age_s": 0.4}}],
   "last_flip": {"at": "2026-01-31T10:00:00.123Z", "from": "backup", "to": "primary", "why": "failback", "commit_us": 14,
                 "cut": {"tcp": 41, "udp": 7, "sctp": 0}, "nudged": 41, "drained": 0, "left": 0,
                 "drain_ends_in_s": null, "cut_ms": 3.1},
   "path": {"state": "unanswered", "unanswered_clients": 37, "refused_clients": 0, "since": "2026-01-31T10:02:00.123Z",
            "findings": [{"severity": "problem", "code": "ip-forward-off", "what": "net.ipv4.ip_forward is 0",
                          "remedy": "sysctl -w net.ipv4.ip_forward=1", "seen_by": null, "service": null}]},
   "totals": {"latencies": [4, 0, 1, 0, 0, 0, 0], "latency_sum_s": 0.012,
              "flips": {"failover": 2, "failback": 1}, "cut": {"tcp": 41, "udp": 7, "sctp": 0}, "nudged": 41, "drained": 0,
              "clients_unanswered": 40, "clients_refused": 2}}]}
)");

/// As it is read from a text of its own, and written again.
json reread(const json& service) { return ServiceReader{}.read(service.dump()); }

TEST(StatusJson, IsTheDocumentedExampleBothWays) {
  const auto status = example_json.get<Status>();
  EXPECT_EQ(status.services.at(0).servers.at(0).fails.of, 3U);
  EXPECT_EQ(status.services.at(0).last_flip->cut_ms, 3.1);
  EXPECT_EQ(json(status), example_json);
  EXPECT_EQ(json::parse(json_text(status.services.at(0))), example_json.at("services").at(0));
  EXPECT_EQ(reread(example_json.at("services").at(0)), example_json.at("services").at(0));
}

TEST(StatusJson, KeepsWhatIsKnownOfAnInterface) {
  ServiceStatus service;
  EXPECT_FALSE(json(service).contains("interfaces"));
  service.interfaces = {
      {.listen = "eth0:443/tcp", .interface = "eth0", .addresses = {"203.0.113.10"}, .held = {{.address = "203.0.113.10", .left_s = 1.5}}},
      {.listen = "ppp0:443/tcp", .interface = "ppp0", .addresses = {}, .problems = {"there is no interface ppp0"}}};
  EXPECT_EQ(json(service).get<ServiceStatus>().interfaces, service.interfaces);
  EXPECT_EQ(ServiceReader{}.read(json_text(service)).interfaces, service.interfaces);
}

TEST(StatusJson, KeepsWhatIsKnownOfAName) {
  ServiceStatus service;
  service.servers.emplace_back().name = NameStatus{.name = "db1.lan:1",
                                                   .state = "resolved",
                                                   .answered = "2026-01-31T10:01:00.000Z",
                                                   .others = {"10.0.0.3"},
                                                   .error = "the resolver does not answer",
                                                   .failing_since = "2026-01-31T10:02:00.000Z"};
  EXPECT_EQ(json(service).get<ServiceStatus>().servers.at(0).name, service.servers[0].name);
}

TEST(StatusJson, KeepsEveryOptionalValue) {
  Status status;
  status.daemon.kernel = "failed";
  status.daemon.kernel_error = "No such file";
  status.daemon.inconclusive = "no descriptors";
  status.daemon.config_stale = true;
  status.daemon.findings = {{.severity = "problem", .code = "ip-forward-off", .what = "it is 0", .remedy = "sysctl"}};
  status.daemon.unconfirmed = UnconfirmedConfig{.by = "root", .until = "2026-01-31T10:01:00.000Z", .left_s = 43.5};
  status.daemon.reverted = RevertedConfig{.at = "2026-01-31T10:01:00.000Z", .by = "root"};
  status.daemon.pair = PairStatus{.role = "active", .since = "2026-01-31T10:01:00.000Z", .settled = true, .address = "203.0.113.10"};
  status.daemon.reload_hangs = HungReload{.since = "2026-01-31T10:01:00.000Z", .by = "SIGHUP"};
  status.daemon.reload_refused = RefusedReload{.at = "2026-01-31T10:00:00.000Z", .by = "root", .errors = 2, .first = "a.toml:1:2: bad"};
  ServiceStatus service;
  service.target = "none";
  service.forced = ForcedStatus{
      .target = "backup", .until = "2026-01-31T10:00:00.000Z", .reason = "because", .by = "root", .until_down = true, .drill = true};
  service.failback_in_s = 43;
  service.failback = {.mode = "manual", .to = "primary", .waits_for = "operator"};
  service.mode = "observe";
  service.would_target = "backup";
  service.would_why = "failover";
  service.group = "voice";
  ServerStatus server;
  server.addresses = {"10.0.0.1:1", "[fd00::1]:1"};
  server.group_health = "down";
  server.flapping = FlappingStatus{.times = 3, .wait_s = 40, .forgiven_in_s = 1'700.5};
  server.warning = WarningStatus{.reason = "slow", .detail = "late"};
  server.recovering = RecoveringStatus{.passes = 14, .of = 2, .for_s = 3.1, .stable_for_s = 5};
  server.last = LastResult{.outcome = "fail", .reason = "wrong-status", .detail = "503", .wanted = "status 200-299"};
  server.disabled = DisabledStatus{.since = "2026-01-31T10:00:00.000Z", .until = {}, .reason = "new disk", .by = "root"};
  server.probes = {
      {.name = "tcp 10.0.0.1:1", .health = "up", .fails = {}, .last = {}},
      {.name = "http 10.0.0.1:1 GET /", .health = "down", .fails = {.count = 3, .of = 3, .within_s = 10}, .last = server.last}};
  server.new_probes = NewProbesStatus{.since = "2026-01-31T10:02:00.000Z", .failing = true, .probes = server.probes};
  server.former_since = "2026-01-31T10:02:00.000Z";
  service.servers.push_back(server);
  service.last_flip.emplace();
  service.last_flip->drained = 3;
  service.last_flip->left.reset();
  service.last_flip->drain_ends_in_s = 4.5;
  service.draining = {{.server = "primary", .address = "10.0.0.1:1", .drained = 3, .left = std::nullopt, .ends_in_s = 4.5},
                      {.server = "backup", .address = "10.0.0.2:1", .drained = 0, .left = 2, .ends_in_s = std::nullopt}};
  service.outage = OutageStatus{.state = "doubted", .for_s = 1.5, .ends_in_s = {}, .new_refused = true};
  service.witness = WitnessStatus{.address = "192.0.2.1", .answers = true};
  service.foreign = {{.listen = "203.0.113.10:443/tcp", .server = "10.0.0.9:1", .flows = 7}};
  status.services.push_back(service);

  const json written = status;
  EXPECT_EQ(written["services"][0]["target_address"], nullptr);
  EXPECT_EQ(written["services"][0]["last_flip"]["cut_ms"], nullptr);
  EXPECT_EQ(written["daemon"]["blind"], "no descriptors") << "keys are never renamed";
  EXPECT_EQ(json(written.get<Status>()), written);
  EXPECT_EQ(reread(written["services"][0]), written["services"][0]);
  const auto read = written.get<Status>().services[0];
  EXPECT_EQ(read.servers[0].flapping, server.flapping);
  EXPECT_EQ(read.servers[0].warning, server.warning);
  EXPECT_EQ(read.outage, service.outage);
  EXPECT_EQ(read.witness, service.witness);
}

TEST(StatusJson, AWitnessThatWasNotAskedYetIsNull) {
  const json unprobed = WitnessStatus{.address = "192.0.2.1", .answers = {}};
  EXPECT_EQ(unprobed.at("answers"), nullptr);
  EXPECT_EQ(unprobed.get<WitnessStatus>().answers, std::nullopt);
}

TEST(StatusJson, RoundsToMeaningfulDigits) {
  Status status;
  status.daemon.uptime_s = 1.23456789;
  EXPECT_EQ(json(status)["daemon"]["uptime_s"].dump(), "1.235");
}

TEST(StatusJson, OfAnOlderOrNewerDaemonIsRead) {
  json older = example_json;
  older["daemon"].erase("version");
  for (const char* key : {"blind", "config_loaded_at", "config_stale"}) older["daemon"].erase(key);
  older["services"][0].erase("group");
  for (const char* key : {"failback", "path"}) older["services"][0].erase(key);
  for (const char* key : {"drained", "left", "drain_ends_in_s"}) older["services"][0]["last_flip"].erase(key);
  EXPECT_EQ(older.get<Status>().services[0].last_flip->left, 0U);
  EXPECT_EQ(older.get<Status>().daemon.version, "");
  EXPECT_EQ(reread(older["services"][0])["last_flip"]["left"], 0U);
  json newer = example_json;
  newer["services"][0]["would_target"] = "backup";
  newer["tomorrow"] = 1;
  EXPECT_EQ(newer.get<Status>().services.size(), 1U);
  EXPECT_EQ(reread(newer["services"][0])["would_target"], "backup");
}

TEST(StatusJson, WithoutARequiredKeyIsRefused) {
  for (const auto& [key, value] : example_json["services"][0].items()) {
    if (key == "group" || key == "totals" || key == "failback" || key == "path") continue; // came later
    json broken = example_json;
    broken["services"][0].erase(key);
    EXPECT_THROW(broken.get<Status>(), json::exception) << key;
    EXPECT_THROW(reread(broken["services"][0]), json::exception) << key;
  }
  for (const auto* key : {"daemon", "services"}) {
    json broken = example_json;
    broken.erase(key);
    EXPECT_THROW(broken.get<Status>(), json::exception) << key;
  }
  json wrong_type = example_json;
  wrong_type["services"][0]["flips"] = "three";
  EXPECT_THROW(wrong_type.get<Status>(), json::exception);
  EXPECT_THROW(reread(wrong_type["services"][0]), json::exception);
}

TEST(StatusJson, OfAServiceThatIsNoJsonIsRefused) {
  ServiceReader reader;
  for (const std::string text : {"", "{", "{} {}", "[1, ]", "\"\xff\"", "{\"name\": nul}"})
    EXPECT_THROW(reader.read(text), json::parse_error) << text;
  EXPECT_THROW(reader.read(std::string(100'000, '[')), json::exception);
  EXPECT_EQ(reader.read(example_json["services"][0].dump()).name, "web") << "after all of these";
}

} // namespace
} // namespace hanat
