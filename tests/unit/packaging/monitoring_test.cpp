// The examples for Prometheus, Grafana and Icinga name nothing but what hanat has: every metric of the rules and of the dashboard is one
// that hanatd serves, with these labels. Not here: what the rules say (packaging/examples/prometheus/hanat.rules.test.yml, by promtool).
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/api/metrics_text.hpp"
#include "tests/unit/structure/tree.hpp"

namespace hanat::monitoring {
namespace {

const std::string examples = HANAT_SOURCE "/packaging/examples/";

/// Every metric has a line.
Status full_status() {
  Status status;
  status.daemon.pair = PairStatus{.role = "active", .since = "2026-01-31T10:00:00.500Z", .address = "203.0.113.10"};
  status.daemon.pair->peer.emplace();
  status.daemon.pair->peer->seen_s = 1;
  status.daemon.pair->peer->lag_ms = 4;
  status.daemon.config_loaded_at = "2026-01-31T10:00:00.500Z";
  ServiceStatus& service = status.services.emplace_back();
  service.last_flip.emplace().at = "2026-01-31T10:00:00.500Z";
  service.draining = {{.server = "primary", .address = "", .left = 1, .ends_in_s = 1}};
  ServerStatus& server = service.servers.emplace_back();
  service.totals.latencies = {1, 0, 0, 0, 0, 0, 0};
  server.last.emplace().certificate_left_s = 1;
  server.totals = {.results = {{.outcome = "pass", .reason = "connected", .number = 1}}, .latencies = {1, 0, 0, 0, 0, 0, 0}};
  return status;
}

/// The labels that each metric is served with.
std::map<std::string, std::set<std::string>> served() {
  std::map<std::string, std::set<std::string>> metrics;
  const std::string text = metrics_text(full_status());
  const std::regex sample{R"((^|\n)(hanat_\w+)(\{([^\n]*)\})? )"}, label{R"((\w+)=")"};
  for (std::sregex_iterator at{text.begin(), text.end(), sample}, end; at != end; ++at) {
    std::set<std::string>& labels = metrics[(*at)[2]];
    labels.insert("instance"); // Prometheus adds it
    const std::string inner = (*at)[4];
    for (std::sregex_iterator one{inner.begin(), inner.end(), label}; one != end; ++one) labels.insert((*one)[1]);
  }
  return metrics;
}

/// What is wrong with the metrics of an expression; empty: nothing.
std::string unknown_in(const std::string& expression) {
  static const auto known = served();
  static const std::regex metric{R"((hanat_\w+)(\{([^}]*)\})?)"}, label{R"re((\w+)\s*(=|!=|=~|!~)")re"};
  std::string wrong;
  for (std::sregex_iterator at{expression.begin(), expression.end(), metric}, end; at != end; ++at) {
    const auto found = known.find((*at)[1]);
    if (found == known.end()) {
      wrong += "no metric " + (*at)[1].str() + "; ";
      continue;
    }
    const std::string inner = (*at)[3];
    for (std::sregex_iterator one{inner.begin(), inner.end(), label}; one != end; ++one)
      if (!found->second.contains((*one)[1])) wrong += (*at)[1].str() + " has no label " + (*one)[1].str() + "; ";
  }
  return wrong;
}

void collect(const nlohmann::json& value, std::vector<std::string>& expressions) {
  for (const auto& [key, inner] : value.items()) {
    if (inner.is_string() && (key == "expr" || key == "query" || key == "definition")) expressions.push_back(inner);
    if (inner.is_structured()) collect(inner, expressions);
  }
}

TEST(Monitoring, TheCheckOfExpressionsFindsWhatIsUnknown) {
  EXPECT_EQ(unknown_in("sum(rate(hanat_cut_total{service=~\"$service\",protocol=\"tcp\"}[5m])) / hanat_services"), "");
  EXPECT_EQ(unknown_in("hanat_probe_duration_seconds_bucket{le=\"0.1\"}"), "");
  EXPECT_NE(unknown_in("hanat_cuts_total"), "");
  EXPECT_NE(unknown_in("hanat_forced{server=\"primary\"}"), "");
}

TEST(Monitoring, TheDashboardShowsMetricsThatThereAre) {
  const auto dashboard = nlohmann::json::parse(structure::read_text(examples + "grafana/hanat.json"));
  std::vector<std::string> expressions;
  collect(dashboard, expressions);
  EXPECT_GT(expressions.size(), 20U);
  for (const std::string& expression : expressions) EXPECT_EQ(unknown_in(expression), "") << expression;
  std::set<int> ids;
  for (const auto& panel : dashboard.at("panels")) EXPECT_TRUE(ids.insert(panel.at("id").get<int>()).second) << panel.at("title");
}

TEST(Monitoring, TheAlertsAreOnMetricsThatThereAre) {
  for (const char* file : {"prometheus/hanat.rules.yml", "prometheus/hanat.rules.test.yml"}) {
    const std::string text = structure::read_text(examples + file);
    ASSERT_FALSE(text.empty()) << file;
    const std::regex comment{"#[^\n]*"};
    EXPECT_EQ(unknown_in(std::regex_replace(text, comment, "")), "") << file;
  }
}

// Each alert has a test in which it fires.
TEST(Monitoring, EveryAlertHasATest) {
  const std::string rules = structure::read_text(examples + "prometheus/hanat.rules.yml");
  const std::string tests = structure::read_text(examples + "prometheus/hanat.rules.test.yml");
  const std::regex alert{R"(- alert: (\w+))"};
  std::size_t count = 0;
  for (std::sregex_iterator at{rules.begin(), rules.end(), alert}, end; at != end; ++at, ++count)
    EXPECT_THAT(tests, testing::HasSubstr("alertname=\"" + (*at)[1].str() + "\"")) << (*at)[1];
  EXPECT_GT(count, 20U);
}

} // namespace
} // namespace hanat::monitoring
