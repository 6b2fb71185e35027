// Hours in milliseconds: a service whose probes are answered by servers of the test, on a clock of its own, decided and moved as Controller
// does it. Not here: the kernel, flows (they are counted, and gone).
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/failover/flapping.hpp"
#include "daemon/failover/health_monitor.hpp"
#include "tests/unit/daemon/failover/fixture.hpp"

namespace hanat::test {

/// What a server does with a probe.
enum class Answer : std::uint8_t { pass, refuse, silence };

/// Sends probes at their rates, and knows when the next thing happens.
class SimulatedScheduler final : public ProbeScheduler {
public:
  using OnResult = std::function<void(probes::ProbeId, const probes::ProbeResult&, Time)>;
  std::function<Answer(const probes::Probe&, Time)> answer;
  Clock::duration round_trip = std::chrono::microseconds{300};

  probes::ProbeId add(const probes::Probe& probe, probes::Rate rate, Clock::duration) override {
    const probes::ProbeId id{++last_};
    runs_[id] = {.probe = probe, .rate = rate, .next = now + first_starts.at(runs_.size() % first_starts.size())};
    return id;
  }
  const probes::Probe& probe(probes::ProbeId id) const override { return runs_.at(id).probe; }
  void remove(probes::ProbeId id) override { runs_.erase(id); }
  void set_rate(probes::ProbeId id, probes::Rate rate) override {
    Run& run = runs_.at(id);
    run.rate = rate;
    run.next = std::max(now, run.started + rate.interval);
  }
  void trigger(probes::ProbeId id) override { runs_.at(id).next = now; }

  std::optional<Time> next_event() const {
    std::optional<Time> next;
    const auto at = [&](Time moment) { next = next ? std::min(*next, moment) : moment; };
    for (const auto& [id, run] : runs_) {
      if (run.due.size() < run.rate.in_flight) at(run.next);
      for (const auto& [moment, result] : run.due) at(moment);
    }
    return next;
  }
  void run(const OnResult& on_result) {
    for (auto& [id, run] : runs_) {
      while (!run.due.empty() && run.due.begin()->first <= now) {
        const probes::ProbeResult result = run.due.begin()->second;
        run.due.erase(run.due.begin());
        on_result(id, result, now);
      }
      if (run.due.size() < run.rate.in_flight && run.next <= now) start(run);
    }
  }

  Time now{};
  std::vector<Clock::duration> first_starts{Clock::duration{}};

private:
  struct Run {
    probes::Probe probe;
    probes::Rate rate;
    Time next{}, started{};
    std::multimap<Time, probes::ProbeResult> due = {};
  };
  void start(Run& run) {
    run.started = now;
    run.next = now + run.rate.interval;
    const Answer what = answer(run.probe, now);
    const Clock::duration takes = what == Answer::silence ? run.probe.spec.timeout : round_trip;
    const probes::Reason reason = what == Answer::pass     ? probes::Reason::connected
                                  : what == Answer::refuse ? probes::Reason::refused
                                                           : probes::Reason::timeout;
    run.due.emplace(now + takes, probes::ProbeResult{.outcome = what == Answer::pass ? probes::Outcome::pass : probes::Outcome::fail,
                                                     .reason = reason,
                                                     .latency = takes,
                                                     .detail = {}});
  }

  std::map<probes::ProbeId, Run> runs_;
  std::uint64_t last_ = 0;
};

/// One service, "web".
class Simulation : protected Flows {
public:
  struct Move {
    Time at;
    std::string to;
  };
  using Answers = std::function<Answer(std::size_t server, Time)>;

  /// `answers`: of each server; one behind the last is the witness. `phase`: when the first probe of each is sent.
  Simulation(ServiceConfig config, Answers answers, std::vector<Clock::duration> phase = {Clock::duration{}}) {
    scheduler_.now = now;
    scheduler_.first_starts = std::move(phase);
    scheduler_.answer = [answers = std::move(answers), config](const probes::Probe& probe, Time at) {
      for (std::size_t server = 0; server < config.servers.size(); ++server)
        if (config.servers[server].addresses.front().address == probe.server.address) return answers(server, at);
      return answers(config.servers.size(), at);
    };
    ServiceState& service = registry.add(config.name);
    service_ = &service;
    std::vector<ServerState> before;
    for (const ServerConfig& server : config.servers)
      service.servers.push_back({.role = server.role, .addresses = server.addresses, .probes = {}});
    health_.configure(before, service.servers, reconfigure({}, config));
    service.config = std::move(config);
    registry.list(service);
    health_.assign(service);
    health_.watch_witness(service);
    registry.mark_dirty(service);
    sync();
  }

  Time now_is() const { return now; }
  ServiceState& service() { return *service_; }
  const Outbox& said() const { return outbox; }

  /// What an operator does now.
  template <typename Order> void order(Order order) {
    order(*service_, registry, outbox);
    sync();
  }

  void run_until(Time end) {
    while (true) {
      std::optional<Time> next = scheduler_.next_event();
      if (const auto timer = registry.next_wakeup()) next = next ? std::min(*next, *timer) : *timer;
      if (!next || *next > end) break;
      now = scheduler_.now = std::max(now, *next);
      scheduler_.run([this](probes::ProbeId id, const probes::ProbeResult& result, Time at) { health_.on_probe_result(id, result, at); });
      registry.run_due(now);
      sync();
    }
    now = scheduler_.now = end;
  }

  std::vector<Move> moves;
  std::size_t resets = 0;                   // times that flows of an old target were cut
  std::function<void(const Move&)> on_move; // right after it

private:
  void sync() {
    outbox.sync_due = false;
    while (!registry.dirty().empty()) {
      for (Change& change : decide_dirty(registry, evictions, outbox, now)) make(change);
      for (ServiceState* one : registry.take_dirty()) {
        health_.update_rates(*one);
        one->evictions.clear();
        one->recent_until.clear();
        one->displaced_until.clear();
        registry.set_timer(*one, now);
      }
    }
  }
  void make(Change& change) {
    const Placement before = placement(*change.service);
    const bool flipped = record_target(change, outbox);
    for (const Eviction& eviction : change.plan.evictions)
      if (!eviction.drain && !eviction.untranslated) ++resets;
    change.service->loaded = std::move(change.plan.rules);
    note_move(*change.service, before, change.decision, outbox, now);
    if (!flipped) return;
    moves.push_back({.at = now, .to = target_name(*change.service)});
    if (on_move) on_move(moves.back());
  }

  SimulatedScheduler scheduler_;
  FakePaths paths_;
  HealthMonitor health_{scheduler_, paths_, [] { return false; }, registry, outbox, [](ServiceState&) {}};
  ServiceState* service_ = nullptr;
};

/// `servers` of them, with a TCP probe each and the defaults.
inline ServiceConfig simulated_service(std::size_t servers = 2) {
  ServiceConfig config;
  config.name = "web";
  config.listen = {{address("203.0.113.20"), Protocol::tcp, 443}};
  config.on_failover = config.on_failback = {.action = FlowAction::reset, .time = {}};
  for (std::size_t server = 0; server < servers; ++server)
    config.servers.push_back({.role = server == 0   ? "primary"
                                      : server == 1 ? "backup"
                                                    : fmt::format("backup{}", server),
                              .addresses = {endpoint(fmt::format("198.18.{}.2", server + 1).c_str(), 0)},
                              .snat = {},
                              .probes = {probes::ProbeSpec{}}});
  return config;
}

} // namespace hanat::test
