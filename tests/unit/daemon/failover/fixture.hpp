// Services between fakes, for the tests of daemon/failover: made, decided and changed as Controller does it, at times that the test says.
// Not here: the fakes (fakes.hpp), the service "web" (decision/plan_fixture.hpp).
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daemon/failover/evictions.hpp"
#include "daemon/failover/transition.hpp"
#include "daemon/report/event_text.hpp"
#include "tests/unit/daemon/decision/plan_fixture.hpp"
#include "tests/unit/daemon/failover/fakes.hpp"

namespace hanat::test {

using namespace planning;

/// What an event says, in words that only it has: here, and nowhere else, tests look into events.
inline std::string text(const Event& event) { return text_of(event); }
namespace said {
inline constexpr const char *refused = "refused a change", *recovered = "accepts changes again", *restored = ": restored",
                            *replaced = "of another layout", *cut = "conntrack is clean", *cut_void = "are no longer cut",
                            *failed = "failed: ", *drain_begun = " drain: ", *kept = "are kept where they are",
                            *drain_void = "has the traffic again: its old", *drained = "has drained",
                            *drain_ended = "cut now: ", *unexpected = "unexpected flow", *left_alone = "leaves them alone",
                            *inconclusive = "cannot be probed", *flipped = "new connections go", *first_target = "connections go to",
                            *adopted = "found loaded rules", *is_down = " is down", *is_up = " is up", *forced = "forced to",
                            *goes_on = " goes on for another ";
} // namespace said
inline std::size_t events_of(const Outbox& outbox, const char* words) {
  return static_cast<std::size_t>(
      std::ranges::count_if(outbox.events, [&](const Event& event) { return text(event).find(words) != std::string::npos; }));
}

inline const Mapping primary_tcp{tcp4, primary4}, primary_udp{udp4, primary4}, primary_tcp6{tcp6, primary6};
inline const Mapping backup_tcp{tcp4, backup4}, backup_udp{udp4, backup4};

inline Decision to_server(std::size_t server, Reason flip_reason = Reason::failover) {
  return {TargetKind::server, server, server == 0 ? Reason::primary_up : Reason::failover, flip_reason, std::nullopt};
}

/// One listener at a port, two servers; no source is translated.
inline ServiceConfig small_service(const std::string& name, std::uint16_t port, Protocol protocol = Protocol::tcp) {
  ServiceConfig config;
  config.name = name;
  config.on_forced = {};
  config.listen = {{address("203.0.113.20"), protocol, port}};
  config.servers = {{.role = "primary", .addresses = {endpoint("198.18.1.2", 0)}, .snat = {}, .probes = {}},
                    {.role = "backup", .addresses = {endpoint("198.18.2.2", 0)}, .snat = {}, .probes = {}}};
  return config;
}

/// A window that says so.
inline FailureWindow window_of(Health health, Time now) {
  FailureWindow window{{.fails = 1, .within = std::chrono::hours{100}}, {.passes = 1, .stable_for = {}}};
  if (health != Health::unknown) window.record(health == Health::up ? probes::Outcome::pass : probes::Outcome::fail, now);
  window.evaluate({}, now);
  return window;
}

/// Every server gets one probe, which says `health`.
inline void set_health(ServerState& server, Health health, Time now) {
  static const probes::Probe probe;
  server.probes = {{.probe = &probe, .id = {}, .window = window_of(health, now), .rate = {}, .last = {}}};
}

/// Services, and what happens to the flows of their old targets.
struct Flows {
  Outbox outbox;
  ServiceRegistry registry;
  FakeFlowWorker worker;
  Evictions evictions{worker, registry, outbox};
  Time now{1'000s};

  /// A service that nothing is loaded for.
  ServiceState& add(const ServiceConfig& config) {
    ServiceState& service = registry.add(config.name);
    service.config = config;
    for (const ServerConfig& server : config.servers)
      service.servers.push_back({.role = server.role, .addresses = server.addresses, .probes = {}});
    registry.list(service);
    return service;
  }
  /// One whose traffic is at a server, with nothing on its way out.
  ServiceState& add_at(const ServiceConfig& config, std::size_t server) {
    ServiceState& service = add(config);
    service.loaded = desired_state(service, to_server(server), now).rules;
    service.current = server;
    return service;
  }

  /// The table takes what the service decided: as Controller::applied().
  void applied(Change& change) {
    const bool flipped = record_target(change, outbox);
    evictions.start(change, flipped, now);
    change.service->loaded = std::move(change.plan.rules);
  }
  void go(ServiceState& service, const Decision& decision) {
    Change change{.batch = 0, .service = &service, .decision = decision, .plan = desired_state(service, decision, now)};
    applied(change);
  }
  /// The service is looked at again, and nothing new is decided.
  void look(ServiceState& service) { go(service, to_server(service.current.value())); }

  /// The worker is given what is due; returns whether it has something new to do.
  bool run() {
    const std::size_t before = worker.jobs.size();
    evictions.run(now);
    return worker.jobs.size() != before;
  }
  const CutJob& job() const { return worker.jobs.back(); }
  void finish(CutResult result = {}) { evictions.on_job_done(worker.finish(std::move(result)), now); }
  /// Nothing is due a moment before, and a job is when the time has come.
  void expect_job_after(Clock::duration wait) {
    constexpr std::chrono::milliseconds moment_before{1};
    if (wait > moment_before) {
      now += wait - moment_before;
      EXPECT_FALSE(run());
      now += moment_before;
    }
    EXPECT_TRUE(run());
  }
};

/// A cut that deleted flows of a mapping.
inline CutResult deleted(const Mapping& mapping, std::uint64_t number = 1) {
  CutResult result;
  result.deleted[mapping] = {.entries = number};
  return result;
}
inline CutResult failure(const char* error) {
  CutResult result;
  result.failure = error;
  return result;
}

} // namespace hanat::test
