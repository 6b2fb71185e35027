// What the status says of witnesses, and of outages in mode observe.
#include "daemon/report/make_stability.hpp"

#include <gtest/gtest.h>

#include "daemon/decision/service_state.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;
using probes::Outcome;

constexpr Time looked_at{1'000s};

ServiceStatus stability_of(const ServiceState& service) {
  ServiceStatus status;
  report_stability(service, status, looked_at);
  return status;
}

TEST(MakeStability, AWitnessThatWasNotProbedYetIsNotSilent) {
  const probes::Probe probe{.spec = {}, .server = {.address = Address::parse("192.0.2.1").value(), .port = 0}};
  ServiceState service;
  service.witness = ProbeState{.probe = &probe, .window = FailureWindow{DownRule{}, UpRule{}}, .rate = {}, .last = {}};
  EXPECT_EQ(stability_of(service).witness->answers, std::nullopt);
  const auto record = [&](Outcome outcome, probes::Reason reason) {
    service.witness->way.record({.outcome = outcome, .reason = reason, .latency = 1ms, .detail = {}}, looked_at);
    return stability_of(service).witness->answers;
  };
  EXPECT_EQ(record(Outcome::fail, probes::Reason::timeout), false);
  EXPECT_EQ(record(Outcome::pass, probes::Reason::answered), true);
}

TEST(MakeStability, InModeObserveNoOutageKeepsOrRefusesAnything) {
  ServiceState service;
  service.outage = {.phase = OutagePhase::doubted, .since = looked_at, .began = looked_at};
  EXPECT_TRUE(stability_of(service).outage);
  service.shadow.emplace();
  EXPECT_FALSE(stability_of(service).outage);
}

} // namespace
} // namespace hanat
