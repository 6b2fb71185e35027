// What is kept of a server's last results and events: bounded, the first and the last of equal ones, nothing for a server that passes. Not
// here: which results there are (failover/health_monitor_test).
#include "daemon/decision/observations.hpp"

#include <gmock/gmock.h>

#include "daemon/decision/service_state.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;

Observation fail(int at, unsigned count, probes::Reason reason = probes::Reason::refused) {
  return {
      .kind = Observation::Kind::fail, .at = Time{std::chrono::seconds{at}}, .event = {}, .detail = {}, .reason = reason, .count = count};
}

TEST(Observations, KeepTheFirstAndTheLastOfEqualOnes) {
  Observations list;
  for (int number = 1; number <= 5; ++number) list.add(fail(number, static_cast<unsigned>(number)));
  ASSERT_EQ(list.all().size(), 2U);
  EXPECT_EQ(list.all()[0].count, 1U);
  EXPECT_EQ(list.all()[1].count, 5U);
  list.add(fail(6, 6, probes::Reason::timeout));
  EXPECT_EQ(list.all().size(), 3U);
}

TEST(Observations, AreBounded) {
  Observations list;
  for (int number = 0; number < 100; ++number)
    list.add(fail(number, 1, number % 2 == 0 ? probes::Reason::refused : probes::Reason::timeout));
  EXPECT_EQ(list.all().size(), Observations::at_most);
  EXPECT_EQ(list.all().back().at, Time{99s});
  list.drop_before(Time{98s});
  EXPECT_EQ(list.all().size(), 2U);
  list.drop_before(Time{1000s});
  EXPECT_TRUE(list.empty());
}

class ObserveTest : public testing::Test {
protected:
  ServiceState service;
  probes::Probe probe;
  Time now{1000s};

  ObserveTest() {
    ServiceConfig& config = service.config.edit();
    config.down = {.fails = 3, .within = 10s};
    config.up = {.passes = 2, .stable_for = 5s};
    service.servers.push_back({.role = "primary", .addresses = {}, .probes = {}});
    service.servers[0].probes.push_back(
        {.probe = &probe, .id = {}, .window = FailureWindow{service.config->down, service.config->up}, .rate = {}, .last = {}});
  }
  ServerState& server() { return service.servers[0]; }
  void result(Outcome outcome, probes::Reason reason) {
    const probes::ProbeResult result{.outcome = outcome, .reason = reason, .latency = 1ms, .detail = {}};
    server().probes[0].window.record(outcome, now);
    observe(service, server(), 0, result, now);
    evaluate(service, now);
    server().last_logged = server().health;
    now += 1s;
  }
  std::vector<unsigned> counts() {
    std::vector<unsigned> all;
    for (const Observation& one : server().observations.all()) all.push_back(one.count);
    return all;
  }
};

TEST_F(ObserveTest, NothingIsKeptOfAServerThatPasses) {
  for (int number = 0; number < 100; ++number) result(Outcome::pass, probes::Reason::connected);
  EXPECT_TRUE(server().observations.empty());
  result(Outcome::inconclusive, probes::Reason::no_ports);
  EXPECT_TRUE(server().observations.empty());
}

TEST_F(ObserveTest, ThePassThatMakesAnUnknownServerUpIsKeptForItsTelling) {
  result(Outcome::pass, probes::Reason::connected);
  EXPECT_EQ(server().health, Health::up);
  EXPECT_EQ(counts(), (std::vector<unsigned>{1}));
  EXPECT_EQ(server().probes[0].window.up_by(), (UpRule{.passes = 1, .stable_for = 0s})) << "the rule asks for more, and nobody waits";
}

TEST_F(ObserveTest, FailsThatMayStillCountAreKeptAndThenForgotten) {
  result(Outcome::pass, probes::Reason::connected);
  result(Outcome::fail, probes::Reason::timeout);
  for (int number = 0; number < 4; ++number) result(Outcome::pass, probes::Reason::connected);
  EXPECT_EQ(counts(), (std::vector<unsigned>{1}));
  for (int number = 0; number < 10; ++number) result(Outcome::pass, probes::Reason::connected);
  EXPECT_TRUE(server().observations.empty());
}

TEST_F(ObserveTest, TheWayDownAndTheWayUpAreKeptAndNotWhatIsBetween) {
  result(Outcome::pass, probes::Reason::connected);
  for (int number = 0; number < 3; ++number) result(Outcome::fail, probes::Reason::refused);
  EXPECT_EQ(server().health, Health::down);
  EXPECT_EQ(counts(), (std::vector<unsigned>{1, 3}));
  server().observations.clear(); // as when the change was logged
  for (int number = 0; number < 50; ++number) result(Outcome::fail, probes::Reason::refused);
  EXPECT_TRUE(server().observations.empty());
  result(Outcome::pass, probes::Reason::connected);
  result(Outcome::fail, probes::Reason::refused);
  EXPECT_TRUE(server().observations.empty()) << "the passes in a row have ended";
  result(Outcome::pass, probes::Reason::connected);
  result(Outcome::pass, probes::Reason::connected);
  EXPECT_EQ(counts(), (std::vector<unsigned>{1, 2}));
}

} // namespace
} // namespace hanat
