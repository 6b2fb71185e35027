// Which servers are drained on purpose. Not here: the other keys (netns: control/methods_test), what is said of them (cli/notices_test).
#include "daemon/report/make_status.hpp"

#include <gtest/gtest.h>

#include "daemon/decision/service_state.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr Time begun_at{1'000s};

probes::Probe probe_with(probes::Kind kind) {
  probes::Probe probe;
  probe.spec.kind = kind;
  return probe;
}

class Drained : public testing::Test {
protected:
  /// Of the only server.
  void add_probe(const probes::Probe& probe, probes::Outcome outcome) {
    ProbeState& state = service.servers[0].probes.emplace_back(
        ProbeState{.probe = &probe, .window = FailureWindow{DownRule{}, UpRule{}}, .rate = {}, .last = {}});
    for (int result = 0; result < 3; ++result) state.window.record(outcome, begun_at + result * 10ms);
    state.window.evaluate({}, begun_at + 30ms);
    service.servers[0].health = Health::full;
  }
  bool drains() const { return report(service, begun_at + 1s).servers.at(0).drains; }

  const probes::Probe agent = probe_with(probes::Kind::agent), postgres = probe_with(probes::Kind::postgres);
  ServiceState service = [] {
    ServiceState made;
    made.servers.emplace_back();
    return made;
  }();
};

TEST_F(Drained, IsAServerWhoseAgentSaysSo) {
  add_probe(agent, probes::Outcome::full);
  EXPECT_TRUE(drains());
  add_probe(postgres, probes::Outcome::pass);
  EXPECT_TRUE(drains());
  service.servers[0].health = Health::down;
  EXPECT_FALSE(drains());
}

TEST_F(Drained, IsNotOneThatHasNoRoom) {
  add_probe(postgres, probes::Outcome::full);
  EXPECT_FALSE(drains());
  add_probe(agent, probes::Outcome::full);
  EXPECT_FALSE(drains());
}

TEST_F(Drained, IsOneThatAProgramReportsSo) {
  add_probe(postgres, probes::Outcome::pass);
  service.servers[0].report = HealthReport{.health = Health::full, .until = begun_at + 60s, .reason = {}, .by = "root"};
  EXPECT_TRUE(drains());
}

} // namespace
} // namespace hanat
