// From results to health, from kernel events to probes, and which probes there are. Not here: counting (decision/failure_window_test),
// sending (tests/netns/probes).
#include "daemon/failover/health_monitor.hpp"

#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {
namespace {

using probes::Outcome;
using probes::ProbeId;

constexpr probes::Rate burst{.interval = 50ms, .in_flight = 3}, calm{.interval = 1s, .in_flight = 1};

probes::ProbeResult result(Outcome outcome, probes::Reason reason, Clock::duration latency = 1ms) {
  return {.outcome = outcome, .reason = reason, .latency = latency, .detail = {}};
}
const probes::ProbeResult passed = result(Outcome::pass, probes::Reason::connected);
const probes::ProbeResult refused = result(Outcome::fail, probes::Reason::refused);
const probes::ProbeResult timed_out = result(Outcome::fail, probes::Reason::timeout, 500ms);
const probes::ProbeResult no_ports = result(Outcome::inconclusive, probes::Reason::no_ports);

/// A TCP probe for each server.
ServiceConfig probed(ServiceConfig config = small_service("web", 443)) {
  for (ServerConfig& server : config.servers) server.probes = {probes::ProbeSpec{}};
  return config;
}

class HealthMonitorTest : public testing::Test, protected Flows {
protected:
  FakeScheduler scheduler;
  FakePaths paths;
  bool conntrack_full = false;
  std::vector<std::string> bursts_passed; // services
  HealthMonitor health{scheduler, paths,  [this] { return conntrack_full; },
                       registry,  outbox, [this](ServiceState& service) { bursts_passed.push_back(service.config->name); }};

  /// A configuration for a service that may have one; as Reload::configure() does it.
  void configure(ServiceState& service, const ServiceConfig& config) {
    const Reconfiguration next = reconfigure(service, config);
    std::vector<ServerState> before = std::exchange(service.servers, {});
    for (const ServerConfig& server : next.config->servers)
      service.servers.push_back({.role = server.role, .addresses = server.addresses, .probes = {}});
    health.configure(before, service.servers, next);
    service.config = next.config;
    registry.list(service);
    health.assign(service);
  }
  ServiceState& add_probed(const ServiceConfig& config = probed()) {
    ServiceState& service = registry.add(config.name);
    configure(service, config);
    return service;
  }
  /// One whose servers are up, and whose traffic is at the primary.
  ServiceState& add_up(const ServiceConfig& config = probed()) {
    ServiceState& service = add_probed(config);
    service.current = 0;
    for (std::size_t server = 0; server < service.servers.size(); ++server) report(service, server, passed, 10);
    health.update_rates(service);
    registry.take_dirty();
    outbox = {};
    return service;
  }
  static ProbeState& probe(ServiceState& service, std::size_t server) { return service.servers[server].probes.front(); }
  static ProbeId id(ServiceState& service, std::size_t server) { return probe(service, server).id; }
  /// A result each second.
  void report(ServiceState& service, std::size_t server, const probes::ProbeResult& each, int times = 1) {
    for (; times > 0; --times) {
      now += 1s;
      health.on_probe_result(id(service, server), each, now);
    }
  }
  std::size_t events(const char* words) const { return events_of(outbox, words); }
};

TEST_F(HealthMonitorTest, ResultsMoveTheHealthOfTheirServer) {
  ServiceState& service = add_probed();
  EXPECT_EQ(service.servers[1].health, Health::unknown);
  report(service, 1, passed);
  EXPECT_EQ(service.servers[1].health, Health::up);
  EXPECT_EQ(service.servers[1].up_since, now);
  report(service, 1, refused, 3);
  EXPECT_EQ(service.servers[1].health, Health::down);
  EXPECT_EQ(service.servers[0].health, Health::unknown);
  const ProbeState& state = probe(service, 1);
  EXPECT_EQ(state.last, refused);
  EXPECT_EQ(state.last_failure, probes::Reason::refused);
  EXPECT_EQ(state.last_at, now);
}

TEST_F(HealthMonitorTest, OnlyAChangeMarksTheService) {
  ServiceState& service = add_probed();
  report(service, 0, passed);
  EXPECT_TRUE(service.dirty && outbox.sync_due);
  report(service, 0, passed, 5);
  registry.take_dirty();
  outbox.sync_due = false;
  report(service, 0, passed, 100);
  EXPECT_FALSE(service.dirty || outbox.sync_due);
  report(service, 0, refused); // a burst begins
  EXPECT_TRUE(service.dirty && outbox.sync_due);
}

TEST_F(HealthMonitorTest, AnInconclusiveResultJudgesNothing) {
  ServiceState& service = add_up();
  report(service, 0, no_ports, 10);
  EXPECT_EQ(service.servers[0].health, Health::up);
  EXPECT_EQ(probe(service, 0).last_failure, std::nullopt);
  EXPECT_FALSE(service.dirty);
}

TEST_F(HealthMonitorTest, FullAnswersAreNoFails) {
  ServiceState& service = add_up();
  report(service, 0, result(Outcome::full, probes::Reason::full), 3);
  EXPECT_EQ(service.servers[0].health, Health::full);
  EXPECT_EQ(probe(service, 0).last_failure, std::nullopt);
  EXPECT_TRUE(service.dirty);
}

TEST_F(HealthMonitorTest, AResultOfAProbeThatIsGoneIsIgnored) {
  ServiceState& service = add_up();
  const ProbeId gone = id(service, 0);
  health.forget(service);
  health.on_probe_result(gone, refused, now);
  EXPECT_EQ(probe(service, 0).last, passed);
}

// The rate

TEST_F(HealthMonitorTest, ProbesAreSentInABurstUntilTheServerIsJudged) {
  ServiceState& service = add_probed();
  const auto rate = [&] {
    health.update_rates(service);
    return scheduler.scheduled.at(id(service, 0)).rate;
  };
  EXPECT_EQ(rate(), burst); // unknown
  report(service, 0, passed);
  EXPECT_EQ(rate(), calm);
  report(service, 0, refused);
  EXPECT_EQ(rate(), burst); // doubted
  report(service, 0, refused, 2);
  EXPECT_EQ(rate(), calm); // down
}

TEST_F(HealthMonitorTest, TheFirstProbesOfManyServersAreSpread) {
  add_probed();
  for (std::uint16_t port = 1; port <= 500; ++port) add_probed(probed(small_service(fmt::format("s{}", port), port)));
  EXPECT_EQ(scheduler.scheduled.begin()->second.first_within, 50ms);
  EXPECT_EQ(scheduler.scheduled.rbegin()->second.first_within, 1001 * 100us);
}

TEST_F(HealthMonitorTest, ABurstThatEndsWellIsReportedForTheTarget) {
  ServiceState& service = add_up();
  report(service, 0, refused);
  report(service, 0, passed, 2);
  EXPECT_TRUE(bursts_passed.empty());
  report(service, 0, passed);
  EXPECT_EQ(bursts_passed, std::vector{service.config->name});
  report(service, 0, passed, 5);
  EXPECT_EQ(bursts_passed.size(), 1U);
}

TEST_F(HealthMonitorTest, ABurstToAnotherServerOrOneThatEndsBadlyIsNot) {
  ServiceState& service = add_up();
  report(service, 1, refused);
  report(service, 1, passed, 5);
  report(service, 0, refused, 3); // down
  report(service, 0, passed, 10);
  EXPECT_TRUE(bursts_passed.empty());
}

// Kernel events

TEST_F(HealthMonitorTest, AnEventOfAServerTriggersItsProbesOfEveryService) {
  ServiceState& one = add_up();
  ServiceState& two = add_up(probed(small_service("mail", 25)));
  health.on_kernel_event({.server = endpoint("198.18.1.2", 0)}, now);
  EXPECT_EQ(scheduler.triggered, (std::vector{id(one, 0), id(two, 0)}));
  EXPECT_EQ(scheduler.scheduled.at(id(one, 0)).rate, burst); // at once, not with the next result
  EXPECT_EQ(scheduler.scheduled.at(id(one, 1)).rate, calm);
}

TEST_F(HealthMonitorTest, AnEventOfAPortTriggersWhoServesThere) {
  ServiceConfig config = probed();
  config.servers[0].addresses = {endpoint("198.18.1.2", 8443)};
  ServiceState& service = add_up(config);
  health.on_kernel_event({.server = endpoint("198.18.1.2", 25)}, now);
  EXPECT_TRUE(scheduler.triggered.empty());
  health.on_kernel_event({.server = endpoint("198.18.1.2", 8443)}, now);
  EXPECT_EQ(scheduler.triggered, std::vector{id(service, 0)});
}

TEST_F(HealthMonitorTest, AnEventOfAClientTriggersTheTargetOfWhatItTalksTo) {
  ServiceState& service = add_up();
  add_up(probed(small_service("mail", 25)));
  const Vip vip = service.config->listen.front();
  service.loaded.dnat[vip] = {endpoint("198.18.2.2", 443), "web backup"};
  health.on_kernel_event({.kind = probes::KernelEventKind::unanswered, .vip = vip}, now);
  EXPECT_EQ(scheduler.triggered, std::vector{id(service, 1)});
}

TEST_F(HealthMonitorTest, AnEventOfAnUnknownAddressTriggersNothing) {
  add_up();
  health.on_kernel_event({.server = endpoint("192.0.2.1", 0)}, now);
  health.on_kernel_event({.vip = Vip{address("192.0.2.1"), Protocol::tcp, 80}}, now);
  EXPECT_TRUE(scheduler.triggered.empty());
}

TEST_F(HealthMonitorTest, WhileABurstIsUnderWayEventsTriggerNothingMore) {
  add_up();
  for (int event = 0; event < 5; ++event) health.on_kernel_event({.server = endpoint("198.18.1.2", 0)}, now += 2s);
  EXPECT_EQ(scheduler.triggered.size(), 1U);
}

// A conntrack table that is full

TEST_F(HealthMonitorTest, WhileConntrackIsFullSilenceIsInconclusiveUntilAnUntrackedReplyComes) {
  ServiceState& service = add_up();
  conntrack_full = true;
  report(service, 0, timed_out, 10);
  EXPECT_TRUE(health.is_conntrack_full());
  EXPECT_TRUE(outbox.sync_due); // probes are to bypass conntrack
  EXPECT_EQ(service.servers[0].health, Health::up);
  EXPECT_EQ(probe(service, 0).last->outcome, Outcome::inconclusive);
  EXPECT_EQ(probe(service, 0).last->reason, probes::Reason::conntrack_full);
  report(service, 1, passed); // so the table is not in the way any more
  report(service, 0, timed_out, 3);
  EXPECT_EQ(service.servers[0].health, Health::down);
}

TEST_F(HealthMonitorTest, AReplyToAProbeOfBeforeSaysNothingOfUntrackedOnes) {
  ServiceState& service = add_up();
  conntrack_full = true;
  report(service, 0, timed_out);
  health.on_probe_result(id(service, 1), result(Outcome::pass, probes::Reason::connected, 2s), now); // sent before
  report(service, 0, timed_out, 5);
  EXPECT_EQ(service.servers[0].health, Health::up);
}

TEST_F(HealthMonitorTest, AProbeThatCannotBypassConntrackIsInconclusiveAllTheTime) {
  ServiceConfig config = probed();
  config.servers[1].probes.front().kind = probes::Kind::exec;
  ServiceState& service = add_up(config);
  conntrack_full = true;
  report(service, 0, passed, 2);
  report(service, 1, timed_out, 5);
  EXPECT_EQ(service.servers[1].health, Health::up);
}

TEST_F(HealthMonitorTest, WhileConntrackIsFullOtherFailuresCount) {
  ServiceState& service = add_up();
  conntrack_full = true;
  report(service, 0, refused, 3);
  EXPECT_EQ(service.servers[0].health, Health::down);
}

TEST_F(HealthMonitorTest, WhenConntrackHasRoomAgainSilenceCounts) {
  ServiceState& service = add_up();
  conntrack_full = true;
  report(service, 0, timed_out);
  conntrack_full = false;
  report(service, 0, timed_out, 3);
  EXPECT_FALSE(health.is_conntrack_full());
  EXPECT_EQ(service.servers[0].health, Health::down);
  conntrack_full = true; // again: what bypassed it then says nothing of now
  report(service, 1, timed_out, 5);
  EXPECT_EQ(service.servers[1].health, Health::up);
}

// Which probes there are

TEST_F(HealthMonitorTest, AProbeThatStaysTheSameKeepsItsHistory) {
  ServiceState& service = add_up();
  const ProbeId kept = id(service, 0), gone = id(service, 1);
  report(service, 0, refused);
  ServiceConfig config = service.config;
  config.servers[1].addresses = {endpoint("198.18.3.2", 0)};
  configure(service, config);
  EXPECT_EQ(id(service, 0), kept);
  EXPECT_EQ(probe(service, 0).last, refused);
  EXPECT_FALSE(scheduler.scheduled.contains(gone));
  EXPECT_EQ(probe(service, 1).last, std::nullopt);
  EXPECT_EQ(scheduler.scheduled.at(id(service, 1)).probe.server, endpoint("198.18.3.2", 443));
  report(service, 0, refused, 2);
  report(service, 1, passed);
  EXPECT_EQ(service.servers[0].health, Health::down); // by the failure of before
  EXPECT_EQ(service.servers[1].health, Health::up);   // its results are its own server's
}

TEST_F(HealthMonitorTest, AProbeThatStaysTheSameFollowsNewRules) {
  ServiceState& service = add_up();
  ServiceConfig config = service.config;
  config.down.fails = 1;
  configure(service, config);
  report(service, 0, refused);
  EXPECT_EQ(service.servers[0].health, Health::down);
  config.up.passes = 4;
  configure(service, config);
  report(service, 0, passed, 3);
  EXPECT_EQ(service.servers[0].health, Health::down);
  report(service, 0, passed);
  EXPECT_EQ(service.servers[0].health, Health::up);
}

TEST_F(HealthMonitorTest, AChangedProbeBeginsAnew) {
  ServiceState& service = add_probed();
  const ProbeId before = id(service, 0);
  ServiceConfig config = service.config;
  config.servers[0].probes.front().timeout = 300ms;
  configure(service, config);
  EXPECT_NE(id(service, 0), before);
  EXPECT_EQ(scheduler.scheduled.size(), 2U);
  EXPECT_EQ(probe(service, 0).window.health(), Health::unknown);
}

TEST_F(HealthMonitorTest, PathsAreWatchedForProbesThatFollowTheRoutes) {
  ServiceConfig config = probed();
  config.servers[0].probes.front().source = address("198.18.0.9");
  config.servers[1].probes.front().interface = "eth7";
  ServiceState& service = add_probed(config);
  EXPECT_EQ(paths.watched, (std::multiset{probes::Path{address("198.18.1.2"), address("198.18.0.9")}}));
  health.forget(service);
  EXPECT_TRUE(paths.watched.empty());
  EXPECT_TRUE(scheduler.scheduled.empty());
}

TEST_F(HealthMonitorTest, ForgetLeavesOtherServicesAlone) {
  ServiceState& service = add_up();
  ServiceState& other = add_up(probed(small_service("mail", 25)));
  health.forget(service);
  EXPECT_EQ(scheduler.scheduled.size(), 2U);
  EXPECT_EQ(paths.watched.size(), 2U);
  report(other, 0, refused, 3);
  EXPECT_EQ(other.servers[0].health, Health::down);
}

TEST_F(HealthMonitorTest, AfterStopNothingIsProbed) {
  ServiceState& service = add_up();
  health.stop();
  EXPECT_TRUE(scheduler.scheduled.empty());
  report(service, 0, refused, 3);
  EXPECT_EQ(service.servers[0].health, Health::up);
}

// What is known without a packet

TEST_F(HealthMonitorTest, AServerWithoutAPathHasFailedBeforeItIsProbed) {
  ServiceState& service = add_up();
  EXPECT_EQ(health.precheck(*probe(service, 0).probe), std::nullopt);
  const auto no_carrier = result(Outcome::fail, probes::Reason::no_carrier);
  paths.broken[address("198.18.1.2")] = no_carrier;
  EXPECT_EQ(health.precheck(*probe(service, 0).probe), no_carrier);
  EXPECT_EQ(health.precheck(*probe(service, 1).probe), std::nullopt);
}

TEST_F(HealthMonitorTest, WithoutAPathToAnyServerOrClientItIsThisMachineThatIsCutOff) {
  ServiceState& service = add_up();
  paths.cut_off = true;
  for (const auto reason : {probes::Reason::no_carrier, probes::Reason::net_unreachable}) {
    paths.broken[address("198.18.1.2")] = result(Outcome::fail, reason);
    EXPECT_EQ(health.precheck(*probe(service, 0).probe), result(Outcome::inconclusive, reason));
  }
  const auto unreachable = result(Outcome::fail, probes::Reason::host_unreachable); // a neighbour said so
  paths.broken[address("198.18.1.2")] = unreachable;
  EXPECT_EQ(health.precheck(*probe(service, 0).probe), unreachable);
}

TEST_F(HealthMonitorTest, AProbeOfAnInterfaceGoesItsOwnWay) {
  ServiceConfig config = probed();
  config.servers[0].probes.front().interface = "eth7";
  ServiceState& service = add_up(config);
  paths.broken[address("198.18.1.2")] = result(Outcome::fail, probes::Reason::net_unreachable);
  EXPECT_EQ(health.precheck(*probe(service, 0).probe), std::nullopt);
}

// Inconclusive probes

TEST_F(HealthMonitorTest, OnlyTheFirstAndTheLastInconclusiveProbeAreReported) {
  ServiceState& service = add_up();
  report(service, 0, no_ports);
  EXPECT_EQ(events(said::inconclusive), 1U);
  EXPECT_TRUE(outbox.sync_due);
  report(service, 1, no_ports, 2);
  report(service, 0, passed);
  EXPECT_EQ(outbox.events.size(), 1U);
  report(service, 1, passed, 2);
  EXPECT_EQ(outbox.events.size(), 2U);
  report(service, 1, no_ports);
  EXPECT_EQ(events(said::inconclusive), 2U);
}

TEST_F(HealthMonitorTest, AnInconclusiveProbeThatIsForgottenWasTheLast) {
  ServiceState& service = add_up();
  report(service, 0, no_ports);
  health.forget(service);
  EXPECT_EQ(outbox.events.size(), 2U);
}

} // namespace
} // namespace hanat::test
