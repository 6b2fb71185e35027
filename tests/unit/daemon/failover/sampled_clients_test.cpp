// What a sample of clients makes HealthMonitor do. Not here: when it is a sign (decision/client_waits_test).
#include "daemon/failover/health_monitor.hpp"

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

using probes::KernelEventKind;

class SampledClients : public testing::Test, protected Flows {
protected:
  SampledClients() {
    ServiceConfig config = small_service("web", 443);
    for (ServerConfig& server : config.servers) server.probes = {probes::ProbeSpec{}};
    service.current = 0;
    const Reconfiguration next = reconfigure(service, config);
    for (const ServerConfig& server : next.config->servers)
      service.servers.push_back({.role = server.role, .addresses = server.addresses, .probes = {}});
    std::vector<ServerState> none;
    health.configure(none, service.servers, next);
    service.config = next.config;
    registry.list(service);
    health.assign(service);
    for (const ServerState& server : service.servers)
      for (int times = 0; times < 10; ++times) health.on_probe_result(server.probes.front().id, passed, now += 1s);
    health.update_rates(service);
    service.loaded.dnat[vip()] = {endpoint("198.18.1.2", 443), "web primary"};
    service.target_loaded_at = now;
    now += 2s;
  }
  const Vip& vip() const { return service.config->listen.front(); }
  void sample(KernelEventKind kind, unsigned times = 1) {
    for (; times > 0; --times) health.on_kernel_event({.kind = kind, .vip = vip()}, now += 20ms);
  }
  probes::ProbeId primary() const { return service.servers[0].probes.front().id; }

  static constexpr probes::Rate burst{.interval = 50ms, .in_flight = 3};
  const probes::ProbeResult passed{.outcome = probes::Outcome::pass, .reason = probes::Reason::connected, .latency = 1ms, .detail = {}};
  FakeScheduler scheduler;
  FakePaths paths;
  HealthMonitor health{scheduler, paths, [] { return false; }, registry, outbox, [](ServiceState&) {}};
  ServiceState& service = registry.add("web");
};

TEST_F(SampledClients, ThoseThatWaitBehindOthersThatWereServedCallForABurst) {
  for (const KernelEventKind kind : {KernelEventKind::pending, KernelEventKind::unaccepted}) {
    scheduler.triggered.clear();
    sample(KernelEventKind::served, 40);
    sample(kind, ClientWaits::in_a_row - 1);
    EXPECT_TRUE(scheduler.triggered.empty());
    sample(kind, 10);
    EXPECT_EQ(scheduler.triggered, std::vector{primary()});
    EXPECT_EQ(scheduler.scheduled.at(primary()).rate, burst);
    EXPECT_EQ(service.servers[0].observations.all().back().event, to_text(kind));
    EXPECT_EQ(service.servers[0].health, Health::up) << "it decides nothing";
    for (int times = 0; times < 3; ++times) health.on_probe_result(primary(), passed, now += 50ms); // the burst ends
    now += 2s;
  }
}

TEST_F(SampledClients, WhatTheyHadOfTheTargetBeforeDoesNotCount) {
  sample(KernelEventKind::served, 40);
  service.target_loaded_at = now;
  sample(KernelEventKind::pending, 9); // within 200 ms: opened before the flip
  EXPECT_TRUE(scheduler.triggered.empty());
  service.current = 1;
  service.loaded.dnat[vip()] = {endpoint("198.18.2.2", 443), "web backup"};
  now += 1s;
  sample(KernelEventKind::pending, 100);
  EXPECT_TRUE(scheduler.triggered.empty()) << "nobody was served by this one";
}

TEST_F(SampledClients, WithoutATargetNothingFollows) {
  sample(KernelEventKind::served, 40);
  service.current.reset();
  sample(KernelEventKind::pending, 40);
  EXPECT_TRUE(scheduler.triggered.empty());
}

TEST_F(SampledClients, OfAnUnknownEndpointNothingFollows) {
  const Vip unknown{address("192.0.2.1"), Protocol::tcp, 80};
  for (int times = 0; times < 40; ++times) health.on_kernel_event({.kind = KernelEventKind::served, .vip = unknown}, now += 20ms);
  for (int times = 0; times < 10; ++times) health.on_kernel_event({.kind = KernelEventKind::pending, .vip = unknown}, now += 20ms);
  EXPECT_TRUE(scheduler.triggered.empty());
}

} // namespace
} // namespace hanat::test
