// The interface description: that it parses, describes every method, and declares every field of the JSON; the check of parameters. Not
// here: what a running daemon sends (tests/netns/daemon/control/methods_test).
#include "daemon/api/methods.hpp"

#include <gmock/gmock.h>

#include "daemon/api/connections.hpp"
#include "daemon/api/probe_answer.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/api/status.hpp"
#include "daemon/api/why.hpp"
#include "tests/unit/daemon/api/varlink_idl.hpp"

namespace hanat {
namespace {

using nlohmann::json;
using test::IdlChecker;
using test::parse_idl;
using testing::HasSubstr;
using testing::IsSupersetOf;

/// Every optional value is there.
ServerStatus full_server() {
  ServerStatus server;
  server.addresses = {"10.0.0.1:1", "[fd00::1]:1"};
  server.drains = true;
  server.group_health = "down";
  server.recovering.emplace();
  server.flapping.emplace();
  server.warning.emplace();
  server.last =
      LastResult{.outcome = "fail", .reason = "wrong-status", .detail = "503", .wanted = "status 200-299", .certificate_left_s = 9};
  server.totals = ProbeTotalsStatus{.results = {{.outcome = "pass", .reason = "connected", .number = 3}}, .latencies = {3}};
  server.new_flows = 4;
  server.disabled = DisabledStatus{.since = "t", .until = "t", .reason = "because", .by = "root"};
  server.report = ReportStatus{.health = "down", .since = "t", .until = "t", .reason = "because", .by = "root"};
  server.probes = {{.name = "tcp", .health = "up", .fails = {}, .last = server.last}};
  server.new_probes = NewProbesStatus{.since = "t", .failing = true, .probes = server.probes};
  server.former_since = "t";
  server.name = NameStatus{.name = "n", .state = "resolved", .answered = "t", .others = {"a"}, .error = "e", .failing_since = "t"};
  return server;
}
Status full_status() {
  Status status;
  status.daemon.kernel_error = status.daemon.fallback = status.daemon.inconclusive = "why";
  status.daemon.config_loaded_at = "t";
  status.daemon.reload_refused.emplace();
  status.daemon.unconfirmed.emplace();
  status.daemon.reverted.emplace();
  status.daemon.reload_hangs.emplace();
  status.daemon.findings = {{.severity = "problem", .code = "c", .service = "s", .what = "w", .remedy = "r", .seen_by = "b"}};
  status.daemon.hooks = HookStatus{.running = 1, .waiting = 2, .events = 3, .calls = {{"ok", 4}}};
  status.daemon.pair.emplace();
  status.daemon.pair->peer.emplace();
  status.daemon.pair->peer->seen_s = 0.5;
  status.daemon.pair->peer->failure = status.daemon.pair->peer->role = status.daemon.pair->peer->version = "x";
  status.daemon.pair->peer->lag_ms = 4;
  const FlipStatus flip{.at = "t",
                        .from = "primary",
                        .to = "backup",
                        .why = "forced",
                        .commit_us = 14,
                        .cut = {},
                        .nudged = 1,
                        .drained = 2,
                        .left = 3,
                        .drain_ends_in_s = 4.5,
                        .cut_ms = 5.5};
  ServiceStatus service;
  service.target_address = service.would_target = service.would_why = service.group = "text";
  service.standby = service.in_table = true;
  service.offload = true;
  service.forced = ForcedStatus{.target = "backup", .until = "t", .reason = "because", .by = "root", .until_down = true, .drill = true};
  service.failback_in_s = 43;
  service.failback.to = service.failback.waits_for = "text";
  service.last_flip = flip;
  service.cutting = {"primary"};
  service.draining = {{.server = "primary", .address = "10.0.0.1:1", .drained = 3, .left = 1, .ends_in_s = 4.5}};
  service.foreign = {{.listen = "203.0.113.10:443/tcp", .server = "10.0.0.9:1", .flows = 7}};
  service.path = {.state = "unanswered",
                  .unanswered_clients = 1,
                  .refused_clients = 2,
                  .since = "t",
                  .findings = {{.severity = "problem", .code = "c", .service = "web", .what = "w", .remedy = "r", .seen_by = "client"}}};
  service.totals.flips = {{"failover", 2}};
  service.outage = OutageStatus{.state = "doubted", .for_s = 1, .ends_in_s = 2, .new_refused = true};
  service.witness = WitnessStatus{.address = "192.0.2.1", .answers = true};
  service.interfaces = {
      {.listen = "eth0:1/tcp", .interface = "eth0", .addresses = {"a"}, .problems = {"p"}, .held = {{.address = "a", .left_s = 1}}}};
  service.servers.push_back(full_server());
  status.services.push_back(service);
  return status;
}
/// No optional value is there.
Status bare_status() {
  Status status;
  ServiceStatus service;
  service.servers.emplace_back();
  status.services.push_back(service);
  service.last_flip.emplace().left.reset();
  service.draining.emplace_back();
  service.servers[0].last.emplace();
  service.forced.emplace();
  status.services.push_back(service);
  return status;
}

ObservationStatus observed(const char* kind) {
  return {.at = "t",
          .kind = kind,
          .server = "primary",
          .probe = "p",
          .reason = "refused",
          .detail = "d",
          .wanted = "w",
          .latency_ms = 1,
          .count = 1,
          .of = 3};
}
ServicePlan full_service_plan() {
  return {.service = "web",
          .change = "changed",
          .keys = {{.key = "down", .before = "3 in 10s", .after = "2 in 10s"}},
          .move = MovePlan{.from = "primary", .to = "backup", .why = "forced"},
          .flows = {{.flows = "web primary", .server = "10.0.0.1:1", .action = "reset"}},
          .probes = {.kept = 1, .started = 2, .ended = 3},
          .held = {"primary"},
          .serves_on = "10.0.0.1:1",
          .take_over = TakeOverPlan{.target = "primary", .address = "10.0.0.1:1", .why = "primary-up"},
          .observed = true};
}

TEST(Methods, AreDescribedWithTheirParameters) {
  const test::Idl idl = parse_idl(interface_description());
  EXPECT_EQ(idl.name, control_interface);
  EXPECT_EQ(idl.methods.size(), control_methods().size());
  for (const Method& method : control_methods()) {
    const auto found = idl.methods.find(std::string{method.name});
    ASSERT_NE(found, idl.methods.end()) << method.name;
    ASSERT_EQ(found->second.parameters.fields.size(), method.parameters.size()) << method.name;
    for (std::size_t index = 0; index < method.parameters.size(); ++index)
      EXPECT_EQ(found->second.parameters.fields[index].name, method.parameters[index].name);
    EXPECT_FALSE(found->second.result.fields.empty()) << method.name;
  }
  const std::string text{interface_description()};
  EXPECT_THAT(
      text, HasSubstr("method Force(service: ?string, all: ?bool, server: string, for_s: ?float, reason: ?string, even_if_down: ?bool, "
                      "until_down: ?bool, drain_s: ?float, reset: ?bool, drill: ?bool) -> (services: []Forced, forwarded_to: ?string)\n"));
  for (const auto* error : {"Refused", "Failed", "UnknownService", "NotPermitted", "BadConfiguration", "InvalidParameter"})
    EXPECT_TRUE(idl.errors.contains(error)) << error;
  EXPECT_EQ(parse_idl(service_description()).name, "org.varlink.service");
}

/// Types that no status has.
const std::set<std::string> of_others = {"DoctorFinding", "CheckedService", "HistoryEntry",   "ReloadCounts",      "HealthChange",
                                         "Observation",   "WhyReport",      "ConfigFile",     "ReloadPlan",        "ServicePlan",
                                         "KeyChange",     "Move",           "OldFlows",       "OldConnections",    "DisabledServer",
                                         "EnabledServer", "ProbeChanges",   "ProbeAnswer",    "ConnectionsReport", "ConnectionServer",
                                         "Connection",    "ServerName",     "ReportedServer", "TakeOver",          "ClientFinding"};

TEST(Methods, DeclareEveryFieldOfAStatus) {
  IdlChecker checker{parse_idl(interface_description())};
  EXPECT_EQ(checker.check_result("Status", {{"status", bare_status()}}), "");
  EXPECT_EQ(checker.check_result("Status", {{"status", full_status()}}), "");
  EXPECT_EQ(json::parse(json_text(full_status().services.at(0))), json(full_status().services.at(0)));
  std::set<std::string> fields;
  for (const std::string& field : checker.declared()) {
    const std::string type = field.substr(0, field.find('.'));
    if (checker.idl().types.contains(type) && !of_others.contains(type) && !type.ends_with("orced")) fields.insert(field);
  }
  EXPECT_GT(fields.size(), 60U);
  EXPECT_THAT(checker.seen(), IsSupersetOf(fields)) << "declared and never sent";
}

TEST(Methods, DeclareEveryFieldOfTheHistory) {
  IdlChecker checker{parse_idl(interface_description())};
  const HistoryEntry plain{.at = "t", .kind = "repair", .service = {}, .text = "x", .flip = {}};
  const HistoryEntry flip{.at = "t", .kind = "flip", .service = "web", .text = "x", .flip = full_status().services[0].last_flip};
  const HistoryEntry forced{.at = "t", .kind = "override", .service = "web", .text = "x", .until = "t", .by = "root", .flip = {}};
  HistoryEntry reload{.at = "t", .kind = "reload", .service = {}, .text = "x", .reload = ReloadCounts{}, .flip = {}};
  reload.changes = std::make_shared<const std::vector<ServicePlan>>(std::vector<ServicePlan>{full_service_plan()});
  HistoryEntry health{.at = "t", .kind = "health", .service = "web", .text = "x", .flip = {}};
  health.health = std::make_shared<const HealthChangeStatus>(HealthChangeStatus{.server = "primary",
                                                                                .address = "a",
                                                                                .health = "down",
                                                                                .of = 3,
                                                                                .within_s = 10,
                                                                                .observations = {observed("event"), observed("fail")}});
  HistoryEntry cut = flip, target = plain, interrupted = flip;
  cut.kind = "cut";
  cut.from_address = cut.to_address = "a";
  target.target = "primary";
  interrupted.flip->cut_ms.reset();
  interrupted.flip->interrupted = true;
  EXPECT_EQ(checker.check_result("History", {{"version", status_version},
                                             {"next", 5},
                                             {"history", json::array({plain, flip, cut, target, interrupted, forced, reload, health})}}),
            "");
  for (const std::string& field : checker.unseen())
    for (const char* type : {"HistoryEntry.", "HealthChange.", "Observation.", "ServicePlan.", "KeyChange.", "Move.", "TakeOver.",
                             "OldFlows.", "ProbeChanges."})
      EXPECT_FALSE(field.starts_with(type)) << field;
}

TEST(Methods, DeclareEveryFieldOfAnswers) {
  IdlChecker checker{parse_idl(interface_description())};
  const HistoryEntry plain{.at = "t", .kind = "repair", .service = {}, .text = "x", .flip = {}};
  WhyReport why{.service = "web",
                .at = "t",
                .from = "t",
                .target = "backup",
                .why = "failover",
                .since = "t",
                .chain = {plain},
                .omitted = 1,
                .known_from = "t",
                .last_reload = plain,
                .last_override = plain,
                .pending = {observed("pass")},
                .status = full_status().services[0]};
  EXPECT_EQ(checker.check_result("Why", {{"services", json::array({why, WhyReport{}})}, {"others", 0}, {"begin", nullptr}}), "");
  ReloadPlan plan{
      .services = 1, .changes = {full_service_plan()}, .settings = {{.key = "k", .before = "", .after = "v"}}, .warnings = {"w"}};
  EXPECT_EQ(checker.check_result("Plan", {{"plan", plan}}), "");
  EXPECT_EQ(checker.check_result("Plan", {{"plan", ReloadPlan{}}}), "");
  const ProbeAnswer answer{.service = "web",
                           .role = "primary",
                           .probe = "p",
                           .outcome = "fail",
                           .reason = "refused",
                           .detail = "d",
                           .wanted = "w",
                           .explanation = "e",
                           .latency_ms = 1};
  EXPECT_EQ(checker.check_result("Ask", {{"answers", json::array({answer, ProbeAnswer{}})}}), "");
  ConnectionsReport connections{.service = "web", .took_ms = 1.5, .servers = {{}, {}}, .list = {{}}};
  connections.observed = true;
  connections.servers[0].ends_in_s = connections.servers[0].returns_in_s = 1.5;
  EXPECT_EQ(checker.check_result("Connections", {{"connections", connections}}), "");
  const json names = {{"services", {"web"}}, {"servers", json::array({{{"role", "primary"}, {"address", "a"}}})}};
  EXPECT_EQ(checker.check_result("Names", names), "");
  EXPECT_EQ(checker.check_result("Follow", {{"event", plain}, {"next", 4}}), "");
  EXPECT_EQ(checker.check_result("Follow", {{"skipped", 4}}), "");
  const std::set<std::string> unseen = checker.unseen();
  for (const char* type : {"WhyReport.", "ReloadPlan.", "ServicePlan.", "ProbeAnswer.", "ConnectionsReport.", "ConnectionServer.",
                           "Connection.", "ServerName."})
    for (const std::string& field : unseen) EXPECT_FALSE(field.starts_with(type)) << field;
  EXPECT_EQ(json(json(plan).get<ReloadPlan>()), json(plan)) << "and back";
  EXPECT_EQ(json(json(why).get<WhyReport>()), json(why));
  EXPECT_EQ(json(json(connections).get<ConnectionsReport>()), json(connections));
  EXPECT_EQ(json(answer).get<ProbeAnswer>(), answer);
}

TEST(Methods, ThatOnlyReadAreThese) {
  std::vector<std::string_view> reading;
  for (const auto& method : control_methods())
    if (!method.changes) reading.push_back(method.name);
  EXPECT_EQ(reading, (std::vector<std::string_view>{"Status", "History", "Doctor", "Version", "Why", "Follow", "Connections", "Names"}));
}

TEST(Methods, CheckNamesAndTypesOfParameters) {
  const auto wrong = [](const char* method, const json& parameters) {
    const auto found = check_parameters(*find_method(method), parameters);
    return found ? found->parameter : "";
  };
  EXPECT_EQ(wrong("Status", json::object()), "");
  EXPECT_EQ(wrong("Status", {{"service", nullptr}}), "");
  EXPECT_EQ(wrong("Status", {{"service", 1}}), "service");
  EXPECT_EQ(wrong("Status", {{"servce", "web"}}), "servce");
  EXPECT_EQ(wrong("Force", json::object()), "server");
  EXPECT_EQ(wrong("Force", {{"server", nullptr}}), "server");
  EXPECT_EQ(wrong("Force", {{"server", "backup"}, {"for_s", 30}, {"all", true}}), "");
  EXPECT_EQ(wrong("Force", {{"server", "backup"}, {"for_s", "30m"}}), "for_s");
  EXPECT_EQ(wrong("Force", {{"server", "backup"}, {"even_if_down", 1}}), "even_if_down");
  EXPECT_EQ(wrong("Reload", {{"x", 1}}), "x");
  EXPECT_EQ(wrong("Plan", {{"files", json::array()}}), "");
  EXPECT_EQ(wrong("Plan", {{"files", "text"}}), "files");
  EXPECT_EQ(find_method("status"), nullptr);
}

TEST(VarlinkIdl, FindsWhatDoesNotMatch) {
  IdlChecker checker{parse_idl("# comment\ninterface a.b\ntype T (x: int, y: ?string, z: ?[]float, m: [string]int)\n"
                               "method M() -> (t: T)\nerror E ()\n")};
  EXPECT_EQ(checker.check_result("M", {{"t", {{"x", 1}, {"m", json::object()}}}}), "");
  EXPECT_EQ(checker.unseen(), (std::set<std::string>{"T.y", "T.z"}));
  EXPECT_EQ(checker.check_result("M", {{"t", {{"x", 1}, {"y", nullptr}, {"z", {1, 2.5}}, {"m", {{"k", 1}}}}}}), "");
  EXPECT_EQ(checker.check_result("M", json::array()), "M is no object: []\n");
  EXPECT_EQ(checker.check_result("M", json::object()), "M.t is missing\n");
  EXPECT_EQ(checker.check_type("T", {{"m", json::object()}}), "T.x is missing\n");
  EXPECT_EQ(checker.check_type("T", {{"x", nullptr}, {"m", json::object()}}), "T.x is null\n");
  EXPECT_EQ(checker.check_type("T", {{"x", 1.5}, {"m", json::object()}}), "T.x has another type: 1.5\n");
  EXPECT_EQ(checker.check_type("T", {{"x", 1}, {"m", json::array()}}), "T.m has another type: []\n");
  EXPECT_EQ(checker.check_type("T", {{"x", 1}, {"m", {{"k", "v"}}}}), "T.m[] has another type: \"v\"\n");
  EXPECT_EQ(checker.check_type("T", {{"x", 1}, {"m", json::object()}, {"q", 1}}), "T.q is not declared\n");
  EXPECT_EQ(checker.check_error("F", json::object()), "error F is not declared\n");
  for (const auto* bad : {"", "interface ab", "interface a.b\ntype t ()", "interface a.b\ntype T (x int)", "interface a.b\nmethod M()",
                          "interface a.b\ntype T ()\nerror T ()", "interface a.b\ntype T (x: int, x: int)", "interface a.b\nkind T ()"})
    EXPECT_THROW(parse_idl(bad), std::runtime_error) << bad;
}

} // namespace
} // namespace hanat
