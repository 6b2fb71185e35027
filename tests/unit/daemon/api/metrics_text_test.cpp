// The status in the Prometheus text format: every metric, and the rules of the format. Not here: serving it (the metrics_server_test of
// netns).
#include "daemon/api/metrics_text.hpp"

#include <map>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace hanat {
namespace {

using testing::HasSubstr;
using testing::Not;

Status example() {
  Status status;
  status.daemon = {
      .pid = 1, .uptime_s = 12.5, .kernel = "in-step", .kernel_error = {}, .config = "/c", .version = "1.0", .inconclusive = {}};
  ServiceStatus web;
  web.name = "web";
  web.target = "backup";
  web.flips = 3;
  web.servers = {{.role = "primary", .address = "10.0.0.11:8443", .addresses = {}, .health = "down", .fails = {3, 3, 10}, .last = {}},
                 {.role = "backup",
                  .address = "10.0.0.12:8443",
                  .addresses = {},
                  .health = "up",
                  .fails = {0, 3, 10},
                  .last = LastResult{.outcome = "pass", .reason = "connected", .detail = {}, .latency_ms = 0.21, .age_s = 0.4}}};
  web.servers[1].totals = ProbeTotalsStatus{
      .results = {{.outcome = "pass", .reason = "connected", .number = 7}, {.outcome = "fail", .reason = "timeout", .number = 2}},
      .latencies = {4, 2, 0, 0, 1, 0, 0},
      .latency_sum_s = 0.125};
  web.servers[1].last->certificate_left_s = 86'400;
  web.last_flip = FlipStatus{.at = "2026-01-31T10:00:00.123Z",
                             .from = "primary",
                             .to = "backup",
                             .why = "failover",
                             .commit_us = 14,
                             .cut = {},
                             .nudged = 41,
                             .cut_ms = {}};
  web.totals = {.flips = {{"failover", 2}, {"primary-up", 1}}, .cut = {.tcp = 41, .udp = 7, .sctp = 0}, .nudged = 40, .drained = 5};
  web.totals.latencies = {5, 2, 0, 0, 1, 0, 0}; // one by a server that is gone
  web.totals.latency_sum_s = 0.25;
  web.totals.clients_unanswered = 37;
  web.totals.clients_refused = 4;
  web.path.state = "unanswered";
  web.outage.emplace();
  web.servers[0].flapping = FlappingStatus{.times = 3, .wait_s = 40, .forgiven_in_s = 1'700};
  web.servers[1].warning = WarningStatus{.reason = "slow", .detail = {}};
  web.servers[1].new_probes = NewProbesStatus{.since = "t", .failing = true, .probes = {}};
  web.draining = {{.server = "primary", .address = "10.0.0.11:8443", .drained = 2, .left = 12, .ends_in_s = 43},
                  {.server = "primary", .address = "10.0.0.11:8443", .drained = 1, .left = 3, .ends_in_s = {}}};
  ServiceStatus idle;
  idle.name = "idle";
  idle.target = "none";
  idle.forced = ForcedStatus{.target = "primary", .until = {}, .reason = {}, .by = "root"};
  idle.servers = {{.role = "primary", .address = "[fd00::11]:1", .addresses = {}, .health = "unknown", .fails = {}, .last = {}}};
  status.services = {web, idle};
  return status;
}

/// What promtool would reject; empty: nothing.
std::string format_errors(const std::string& text) {
  static const std::regex sample{R"(([a-z_]+)(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.]+(e[-+][0-9]+)?))"};
  static const std::regex heading{R"(# (HELP|TYPE) ([a-z_]+) (.+))"};
  std::string wrong, current, type;
  std::set<std::string> names, series;
  bool helped = false;
  const auto is_of = [&](const std::string& name) {
    if (type != "histogram") return name == current;
    return name == current + "_bucket" || name == current + "_sum" || name == current + "_count";
  };
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch part;
    if (std::regex_match(line, part, heading)) {
      if (part[1] == "HELP") {
        if (!names.insert(part[2]).second) wrong += "twice: " + line + "\n";
        current = part[2], helped = true, type.clear();
      } else if (!helped || part[2] != current) {
        wrong += "TYPE without HELP: " + line + "\n";
      } else {
        type = part[3];
        if ((type == "counter") != current.ends_with("_total")) wrong += "a counter's name ends in _total: " + line + "\n";
      }
    } else if (!std::regex_match(line, part, sample)) {
      wrong += "no sample: " + line + "\n";
    } else {
      if (!is_of(part[1]) || type.empty()) wrong += "not under its heading: " + line + "\n";
      if (!series.insert(line.substr(0, line.rfind(' '))).second) wrong += "one series twice: " + line + "\n";
    }
  }
  if (!text.ends_with('\n')) wrong += "the last line does not end";
  return wrong;
}

TEST(MetricsText, OfAPairTellsTheRole) {
  Status status = example();
  EXPECT_THAT(metrics_text(status), Not(HasSubstr("hanat_pair")));
  status.daemon.pair = PairStatus{.role = "settling", .since = "2026-01-31T10:00:00.500Z", .settled = false, .address = "203.0.113.10"};
  const std::string text = metrics_text(status);
  EXPECT_THAT(text,
              HasSubstr("hanat_pair_role{role=\"standby\"} 0\nhanat_pair_role{role=\"settling\"} 1\nhanat_pair_role{role=\"active\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("hanat_pair_role_since_timestamp_seconds 1769853600.500\n"));
  EXPECT_THAT(text, HasSubstr("hanat_pair_settled 0\n"));
  EXPECT_THAT(text, HasSubstr("hanat_pair_conntrackd{state=\"unknown\"} 1\nhanat_pair_conntrackd{state=\"ok\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("hanat_pair_keepalived{state=\"unknown\"} 1\nhanat_pair_keepalived{state=\"ok\"} 0\n"));
  status.daemon.pair->peer = PeerStatus{.address = "198.18.9.2:9718", .seen_s = 0.5, .keepalived = "absent", .none_active = true};
  EXPECT_THAT(metrics_text(status), HasSubstr("hanat_peer_keepalived{state=\"absent\"} 1\n"));
  EXPECT_THAT(metrics_text(status), HasSubstr("hanat_peer_conntrackd{state=\"unknown\"} 1\n"));
  EXPECT_THAT(metrics_text(status), HasSubstr("hanat_peer_none_active 1\n"));
}

TEST(MetricsText, OfHooksCountsCallsByResult) {
  Status status = example();
  EXPECT_THAT(metrics_text(status), Not(HasSubstr("hanat_hook")));
  status.daemon.hooks = HookStatus{.running = 1, .waiting = 2, .events = 30, .calls = {{"ok", 4}, {"time-limit", 0}}};
  const std::string text = metrics_text(status);
  for (const char* line : {"hanat_hook_calls_total{result=\"ok\"} 4\n", "hanat_hook_calls_total{result=\"time-limit\"} 0\n",
                           "hanat_hook_events_total 30\n", "hanat_hooks_running 1\n", "hanat_hook_events_waiting 2\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST(MetricsText, HasEveryMetric) {
  const std::string text = metrics_text(example());
  for (const char* line : {
           "hanat_info{version=\"1.0\"} 1",
           "hanat_uptime_seconds 12.5",
           "hanat_kernel_in_step 1",
           "hanat_kernel_state{state=\"failed\"} 0",
           "hanat_blind 0",
           "hanat_services 2",
           R"(hanat_target{service="web",server="primary"} 0)",
           R"(hanat_target{service="web",server="backup"} 1)",
           R"(hanat_target{service="web",server="none"} 0)",
           R"(hanat_target{service="idle",server="none"} 1)",
           R"(hanat_forced{service="web"} 0)",
           R"(hanat_forced{service="idle"} 1)",
           R"(hanat_flips_total{service="web",why="failover"} 2)",
           R"(hanat_flips_total{service="web",why="primary-up"} 1)",
           R"(hanat_flips_total{service="web",why="failback"} 0)",
           R"(hanat_cut_total{service="web",protocol="tcp"} 41)",
           R"(hanat_cut_total{service="web",protocol="udp"} 7)",
           R"(hanat_nudged_total{service="web"} 40)",
           R"(hanat_clients_unanswered_total{service="web"} 37)",
           R"(hanat_clients_unanswered_total{service="idle"} 0)",
           R"(hanat_clients_refused_total{service="web"} 4)",
           R"(hanat_path_state{service="web"} 1)",
           R"(hanat_path_state{service="idle"} 0)",
           R"(hanat_drained_total{service="web"} 8)",
           R"(hanat_old_flows{service="web",server="primary"} 15)",
           R"(hanat_last_flip_timestamp_seconds{service="web"} 1769853600.123)",
           R"(hanat_last_flip_commit_seconds{service="web"} 1.4e-05)",
           R"(hanat_up{service="web",server="primary",address="10.0.0.11:8443"} 0)",
           R"(hanat_up{service="web",server="backup",address="10.0.0.12:8443"} 1)",
           R"(hanat_unknown{service="idle",server="primary"} 1)",
           R"(hanat_full{service="web",server="primary"} 0)",
           R"(hanat_flips_total{service="web",why="full"} 0)",
           R"(hanat_probe_fails{service="web",server="primary"} 3)",
           R"(hanat_probe_latency_seconds{service="web",server="backup"} 0.00021)",
           R"(hanat_probe_age_seconds{service="web",server="backup"} 0.4)",
           R"(hanat_flapping{service="web",server="primary"} 3)",
           R"(hanat_flapping{service="web",server="backup"} 0)",
           R"(hanat_failback_wait_seconds{service="web",server="primary"} 40)",
           R"(hanat_probe_warning{service="web",server="primary"} 0)",
           R"(hanat_probe_warning{service="web",server="backup"} 1)",
           R"(hanat_new_probes_failing{service="web",server="primary"} 0)",
           R"(hanat_new_probes_failing{service="web",server="backup"} 1)",
           R"(hanat_outage_doubted{service="web"} 1)",
           R"(hanat_outage_doubted{service="idle"} 0)",
       })
    EXPECT_THAT("\n" + text, HasSubstr("\n" + std::string{line} + "\n"));
  EXPECT_THAT(text, Not(HasSubstr("hanat_last_flip_commit_seconds{service=\"idle\"}"))) << "it has not flipped";
}

TEST(MetricsText, HasWhatProbesAnsweredAndTheConfigurationsState) {
  const std::string text = metrics_text(example());
  for (const char* line : {
           "hanat_config_unconfirmed 0",
           "hanat_config_reverted 0",
           "hanat_reload_hangs 0",
           "hanat_forwarding_off 0",
           R"(hanat_redundancy{service="web"} 0)",
           R"(hanat_redundancy{service="idle"} 0)",
           R"(hanat_probe_results_total{service="web",server="backup",outcome="pass",reason="connected"} 7)",
           R"(hanat_probe_results_total{service="web",server="backup",outcome="fail",reason="timeout"} 2)",
           R"(hanat_probe_duration_seconds_bucket{service="web",le="0.001"} 5)",
           R"(hanat_probe_duration_seconds_bucket{service="web",le="0.1"} 7)",
           R"(hanat_probe_duration_seconds_bucket{service="web",le="+Inf"} 8)",
           R"(hanat_probe_duration_seconds_sum{service="web"} 0.250)",
           R"(hanat_probe_duration_seconds_count{service="web"} 8)",
           R"(hanat_probe_pass_seconds_total{service="web",server="backup"} 0.125)",
           R"(hanat_certificate_expires_seconds{service="web",server="backup"} 86400)",
       })
    EXPECT_THAT("\n" + text, HasSubstr("\n" + std::string{line} + "\n"));
}

/// As they are handed to a socket: no turn of a loop has the time to make one text of tens of megabytes.
TEST(MetricsText, OfManyServicesIsInPieces) {
  const Status status = example();
  MetricsText text{status.daemon}, same{status.daemon};
  for (int number = 0; number < 2'000; ++number) {
    ServiceStatus service = status.services[0];
    service.name = "web" + std::to_string(number);
    text.add(service);
    same.add(service);
  }
  std::string all;
  const std::vector<std::string> pieces = text.take_pieces();
  for (const std::string& piece : pieces) {
    EXPECT_LT(piece.size(), 80'000U);
    all += piece;
  }
  EXPECT_GT(pieces.size(), 50U);
  EXPECT_EQ(all, same.take());
}

TEST(MetricsText, AFullServerIsNotUpAndNotDown) {
  Status status = example();
  status.services[0].servers[1].health = "full";
  const std::string text = metrics_text(status);
  EXPECT_THAT(text, HasSubstr("hanat_full{service=\"web\",server=\"backup\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("hanat_up{service=\"web\",server=\"backup\",address=\"10.0.0.12:8443\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("hanat_unknown{service=\"web\",server=\"backup\"} 0\n"));
}

TEST(MetricsText, RedundancyIsWhatMayStillTakeOver) {
  Status status = example();
  ServiceStatus& web = status.services[0];
  const auto redundancy = [&] {
    const std::string text = metrics_text(status), name = "hanat_redundancy{service=\"web\"} ";
    return text.substr(text.find(name) + name.size(), 1);
  };
  web.servers.push_back({.role = "backup2", .address = "10.0.0.13:8443", .addresses = {}, .health = "up", .fails = {}, .last = {}});
  EXPECT_EQ(redundancy(), "1");
  web.servers[2].disabled.emplace();
  EXPECT_EQ(redundancy(), "0") << "it is never chosen";
  web.servers[2].disabled.reset();
  web.servers[2].group_health = "down";
  EXPECT_EQ(redundancy(), "0") << "another service of the group sees it down";
  web.servers[0].health = "up";
  EXPECT_EQ(redundancy(), "1");
  web.target = "none";
  web.servers[1].health = "down";
  EXPECT_EQ(redundancy(), "1");
}

TEST(MetricsText, TheFirstCertificateToExpireCounts) {
  Status status = example();
  ServerStatus& backup = status.services[0].servers[1];
  backup.probes = {{.name = "a", .health = "up", .fails = {}, .last = backup.last},
                   {.name = "b", .health = "up", .fails = {}, .last = backup.last}};
  backup.probes[1].last->certificate_left_s = -60;
  EXPECT_THAT(metrics_text(status), HasSubstr("hanat_certificate_expires_seconds{service=\"web\",server=\"backup\"} -60\n"));
}

TEST(MetricsText, FollowsTheFormat) {
  EXPECT_EQ(format_errors(metrics_text(example())), "");
  EXPECT_EQ(format_errors(metrics_text({})), "");
  Status odd = example();
  odd.daemon.version = "1\"\\\n2";
  odd.services[0].name = "a\"b\\c\nd{}";
  odd.daemon.inconclusive = "forbidden";
  odd.daemon.kernel = "failed";
  EXPECT_EQ(format_errors(metrics_text(odd)), "");
  EXPECT_THAT(metrics_text(odd), HasSubstr(R"(service="a\"b\\c\nd{}")"));
  EXPECT_NE(format_errors("hanat_up 1\n"), "") << "the check can fail";
}

TEST(MetricsText, IsTheSameFromTheStatusThatHanatctlReads) {
  const nlohmann::json sent = example();
  EXPECT_EQ(metrics_text(sent.get<Status>()), metrics_text(example()));
  nlohmann::json old = sent; // of a daemon that did not count yet
  for (auto& service : old.at("services")) service.erase("totals");
  EXPECT_EQ(format_errors(metrics_text(old.get<Status>())), "");
}

} // namespace
} // namespace hanat
