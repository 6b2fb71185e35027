// The data of the status page: what comes first, what is left out of very many, and that it is the JSON of the status. Not here: the page
// in a browser (tests/page.sh), serving it (the metrics_server_test of netns).
#include "daemon/report/page_status.hpp"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace hanat::page {
namespace {

using nlohmann::json;

ServerStatus server(const char* role, const char* health) {
  ServerStatus made;
  made.role = role;
  made.health = health;
  return made;
}
ServiceStatus service(std::string name) {
  ServiceStatus made;
  made.name = std::move(name);
  made.target = "primary";
  made.why = "primary-up";
  made.servers = {server("primary", "up"), server("backup", "up")};
  return made;
}

json page_of(const std::vector<ServiceStatus>& services, const std::vector<HistoryEntry>& history = {}) {
  PageStatus page{DaemonStatus{}, history};
  for (const ServiceStatus& one : services) page.add(one);
  return json::parse(page.take());
}

TEST(PageStatus, IsTheStatusWithASummaryAndTheLastEvents) {
  const HistoryEntry flip{.at = "2026-01-31T10:00:00.123Z", .kind = "override", .service = "web", .text = "forced", .flip = {}};
  const json page = page_of({service("web")}, {flip});
  EXPECT_EQ(page.at("version"), status_version);
  EXPECT_EQ(page.at("daemon"), json(DaemonStatus{}));
  json web = page.at("services").at(0);
  EXPECT_EQ(web.at("severity"), "ok");
  web.erase("severity");
  EXPECT_EQ(web, json(service("web"))) << "as hanatctl --json status has it";
  EXPECT_EQ(page.at("history"), json::array({json(flip)}));
  EXPECT_EQ(page.at("summary"), json({{"services", 1}, {"shown", 1}, {"problems", 0}, {"warnings", 0}}));
}

TEST(PageStatus, ProblemsComeFirstAndVeryManyAreCounted) {
  std::vector<ServiceStatus> services;
  for (int number = 0; number < 1'000; ++number) services.push_back(service("s" + std::to_string(number)));
  services[600].servers[1].disabled.emplace();
  services[900].target = "none";
  services[900].why = "no-server-up";
  const json page = page_of(services);
  EXPECT_EQ(page.at("summary"), json({{"services", 1'000}, {"shown", PageStatus::most_services}, {"problems", 1}, {"warnings", 1}}));
  EXPECT_EQ(page.at("services").size(), PageStatus::most_services);
  EXPECT_EQ(page.at("services").at(0).at("name"), "s900");
  EXPECT_EQ(page.at("services").at(1).at("name"), "s600");
  EXPECT_EQ(page.at("services").at(2).at("name"), "s0") << "otherwise in their order";
}

Attention attention(const std::function<void(ServiceStatus&)>& change) {
  ServiceStatus changed = service("web");
  change(changed);
  return attention_of(changed);
}

TEST(PageStatus, WhatHanatctlMarksAsTroubleIsAProblem) {
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].health = "down"; }), Attention::problem) << "redundancy lost";
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].health = "full"; }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].group_health = "down"; }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].health = "down", one.mode = "observe"; }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[0].health = "down", one.target = "backup"; }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].health = "down", one.servers.push_back(server("backup2", "up")); }),
            Attention::warning)
      << "another one is left";
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].health = "down", one.servers[1].disabled.emplace(); }), Attention::warning)
      << "somebody wants it so";
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].health = "full", one.servers[1].drains = true; }), Attention::warning);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].health = "unknown"; }), Attention::warning) << "no redundancy yet";
  EXPECT_EQ(attention([](ServiceStatus& one) {
              one.servers[1].health = "down",
              one.servers[1].recovering = RecoveringStatus{.passes = 2, .of = 2, .for_s = 1, .stable_for_s = 5};
            }),
            Attention::warning)
      << "it takes over at once";
  EXPECT_EQ(attention([](ServiceStatus& one) {
              one.interfaces = {
                  {.listen = "eth0:443/tcp", .interface = "eth0", .addresses = {}, .problems = {"there is no interface eth0"}}};
            }),
            Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[0].new_probes.emplace().failing = true; }), Attention::problem);
}

TEST(PageStatus, WhatNeedsSomebody) {
  EXPECT_EQ(attention([](ServiceStatus&) {}), Attention::ok);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.path.state = "unanswered"; }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.outage.emplace(); }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[0].health = "down"; }), Attention::problem) << "it has the traffic";
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[0].group_health = "down"; }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[0].health = "full"; }), Attention::problem);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[0].health = "unknown"; }), Attention::warning);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.target = "none", one.why = "starting"; }), Attention::ok);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.target = "none", one.why = "no-server-up", one.mode = "observe"; }), Attention::ok);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.forced.emplace(); }), Attention::warning);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].disabled.emplace(); }), Attention::warning);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[1].warning.emplace(); }), Attention::warning);
  EXPECT_EQ(attention([](ServiceStatus& one) { one.servers[0].health = "down", one.why = "followed"; }), Attention::warning)
      << "the active gateway of the pair decides";
}

TEST(PageStatus, BytesThatAreNoTextDoNoHarm) {
  ServiceStatus odd = service("web");
  odd.forced = ForcedStatus{.target = "primary", .until = {}, .reason = "\xff</script>\"", .by = "root"};
  EXPECT_EQ(page_of({odd}).at("services").at(0).at("forced").at("reason"), "\uFFFD</script>\"");
}

} // namespace
} // namespace hanat::page
