// A Reload between fakes, and turns of the loop that let its services settle. Not here: the tests (start_test, reload_test).
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "daemon/failover/former.hpp"
#include "daemon/failover/reload.hpp"
#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {

class ReloadTest : public testing::Test, protected Flows {
protected:
  using Names = std::vector<std::string>;

  FakeScheduler scheduler;
  FakePaths paths;
  HealthMonitor health{scheduler, paths, [] { return false; }, registry, outbox, [](ServiceState&) {}};
  ConntrackAudit audit{evictions, registry, outbox, [] { return true; }};
  Reload reload{registry, health, evictions, audit, outbox};

  static Config config_of(const std::vector<ServiceConfig>& services) {
    Config config;
    config.services.assign(services.begin(), services.end());
    return config;
  }
  static ServiceConfig probed(ServiceConfig service) {
    for (ServerConfig& server : service.servers) server.probes = {probes::ProbeSpec{}};
    return service;
  }
  void start(const std::vector<ServiceConfig>& services, nat::TableState loaded = {}, const State& saved = {},
             const EarlierRun& earlier = {}) {
    reload.start(config_of(services), std::move(loaded), saved, earlier, now);
  }
  Reloaded apply(const std::vector<ServiceConfig>& services) { return reload.apply(config_of(services), now); }
  ServiceState& service(const std::string& name) {
    ServiceState* found = registry.find(name);
    if (found == nullptr) throw std::invalid_argument(name);
    return *found;
  }
  /// nullptr: none.
  ServiceState* tombstone(const std::string& name) {
    const auto found =
        std::ranges::find_if(registry.services(), [&](const auto& one) { return one->removed && one->config->name == name; });
    return found == registry.services().end() ? nullptr : found->get();
  }
  /// All probes of a server pass or fail until it is judged.
  void judge(ServiceState& one, std::size_t server, probes::Outcome outcome) {
    const auto reason = outcome == probes::Outcome::pass ? probes::Reason::connected : probes::Reason::refused;
    for (int times = 0; times < 3; ++times)
      for (const ProbeState& probe : one.servers[server].probes)
        health.on_probe_result(probe.id, {.outcome = outcome, .reason = reason, .latency = {}, .detail = {}}, now);
  }

  /// As Controller::applied().
  void applied(Change& change) {
    Flows::applied(change);
    drop_former(*change.service, health, registry);
  }
  /// Everything that is dirty or due is decided, and the table takes it.
  void run_until_idle() {
    registry.run_due(now);
    while (!registry.dirty().empty()) {
      for (Change& change : decide_dirty(registry, evictions, outbox, now)) applied(change);
      const auto decided = registry.take_dirty();
      for (ServiceState* one : decided) {
        if (std::exchange(one->due.followup, false)) registry.mark_dirty(*one);
        registry.set_timer(*one, now);
      }
      for (ServiceState* one : decided) registry.reap(*one);
    }
  }
  /// Until no flow is on its way out. Returns every mapping that was cut.
  std::set<Mapping> settle_flows() {
    std::set<Mapping> cut;
    for (int turn = 0; turn < 100; ++turn, now += 1s) {
      run_until_idle();
      while (run()) {
        cut.insert(job().cut.begin(), job().cut.end());
        cut.insert(job().cut_recorded.begin(), job().cut_recorded.end());
        finish();
        run_until_idle();
      }
    }
    return cut;
  }
  /// The next audit does not expect these flows.
  bool is_unexpected(const Mapping& flows) {
    now = std::max(now, audit.next_wakeup());
    audit.run(now);
    const bool result = job().expected != nullptr && job().expected->unexpected(flows).has_value();
    finish();
    return result;
  }
  std::size_t events(const char* words) const { return events_of(outbox, words); }
};

} // namespace hanat::test
