// From a result to the windows of a service, and from a kernel event to a probe.
#include "daemon/failover/health_monitor.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "daemon/config/probe_targets.hpp"
#include "daemon/decision/reason_policy.hpp"
#include "daemon/decision/verdict.hpp"
#include "daemon/report/make_event.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// The first probes of many servers are spread so that no more than about 10,000 start in a second; those of few, over a moment at most.
constexpr auto first_probe_spacing = 100us;
constexpr Clock::duration first_probe_moment = 50ms;

probes::Path path_to(const probes::Probe& probe) { return {.server = probe.server.address, .source = probe.spec.source}; }

/// A probe bound to an interface does not go where the routes say.
bool is_routed(const probes::Probe& probe) { return probe.spec.interface.empty(); }

/// Known on this machine, without a word from the server.
bool is_local(probes::Reason reason) { return reason == probes::Reason::no_carrier || reason == probes::Reason::net_unreachable; }

bool is_inconclusive(const ProbeState& probe) { return probe.last && probe.last->outcome == probes::Outcome::inconclusive; }

/// An answer of whatever kind shows that the way works: an echo, or of a port a connection or its refusal.
probes::ProbeSpec witness_probe(const Endpoint& address) {
  probes::ProbeSpec spec;
  spec.kind = address.port == 0 ? probes::Kind::icmp : probes::Kind::tcp;
  return spec;
}
probes::Rate witness_rate(const ProbeState& probe, bool fast) {
  return {.interval = fast ? probe.probe->spec.fast_interval : probe.probe->spec.interval, .in_flight = 1};
}

/// Says of a server that works that something is wrong with it, but not each time.
void note_warning(const ServiceState& service, const ServerState& server, ProbeState& probe, const probes::ProbeResult& result,
                  Outbox& outbox, Time now) {
  constexpr auto again_after = 1h;
  const bool passes_with_one = result.outcome == probes::Outcome::pass && policy_of(result.reason).warns;
  const bool only_warns = result.outcome == probes::Outcome::fail && probe.probe->spec.advisory && probe.window.health() == Health::down;
  if (!passes_with_one && !only_warns) return;
  if (probe.warned_at && now - *probe.warned_at < again_after) return;
  probe.warned_at = now;
  outbox.log(events::probe_warning(service, server, probe, result));
  outbox.sync_due = true; // publishes the event
}

/// What a doubt depends on: silence that goes on tells nothing new.
bool tells_of_outage(const WayToServer& before, const WayToServer& now) {
  return before.heard_at != now.heard_at || before.is_silent() != now.is_silent() || before.no_path != now.no_path;
}

/// What is saved of a probe is as it was: it says what it said before, and that fits the verdict.
bool is_nothing_new(const ProbeState& probe, const probes::ProbeResult& result, Health before) {
  if (result.outcome == probes::Outcome::inconclusive) return true;
  const bool fits = (before == Health::up && result.outcome == probes::Outcome::pass) ||
                    (before == Health::down && result.outcome == probes::Outcome::fail) ||
                    (before == Health::full && result.outcome == probes::Outcome::full);
  return fits && !probe.window.in_burst() && probe.last && probe.last->outcome == result.outcome && probe.last->reason == result.reason;
}

/// True: it matters now.
bool record_witness(ServiceState& service, const probes::ProbeResult& result, Time now) {
  if (!service.witness || result.outcome == probes::Outcome::inconclusive) return false;
  const WayToServer before = service.witness->way;
  service.witness->way.record(result, now);
  service.witness->last = result;
  service.witness->last_at = now;
  return service.outage.keeps_target() && tells_of_outage(before, service.witness->way);
}

/// The target fell silent: do the others answer, or is the way to all of them lost?
void trigger_others(ProbeScheduler& scheduler, const ServiceState& service, std::size_t silent, Time since,
                    const std::optional<ProbeState>& witness) {
  const auto trigger = [&](const ProbeState& probe) {
    if (!probe.way.is_silent() && !has_answered_since(probe.way, since)) scheduler.trigger(probe.id);
  };
  for (std::size_t index = 0; index < service.servers.size(); ++index)
    if (index != silent) std::ranges::for_each(service.servers[index].probes, trigger);
  if (witness) trigger(*witness);
}

/// One of a sample of clients, who were opened a moment ago: by then another server may have been the target.
bool clients_wait(ServiceRegistry& registry, const probes::KernelEvent& event, Time now) {
  constexpr auto opened_within = 200ms;
  ServiceState* const service = event.vip ? registry.listening_at(*event.vip) : nullptr;
  if (service == nullptr || !service->current || now - service->target_loaded_at < opened_within) return false;
  using Sample = ClientWaits::Sample;
  const Sample waits = event.kind == probes::KernelEventKind::pending ? Sample::pending : Sample::unaccepted;
  return service->servers[*service->current].client_waits.record(event.kind == probes::KernelEventKind::served ? Sample::served : waits);
}

/// Whether it is down is known in some milliseconds. A server that is in doubt all day holds up the rest for a third of the time.
void note_doubt(Doubt& doubt, const ServiceState& service, std::size_t server, Time now) {
  constexpr auto at_a_time = 20ms, in_a_row = 50ms, again_after = 150ms;
  if (placement(service).current != server) return;
  if (now >= doubt.since + again_after) doubt.since = now;
  doubt.until = std::min(now + at_a_time, doubt.since + in_a_row);
}

} // namespace

HealthMonitor::HealthMonitor(ProbeScheduler& scheduler, PathMonitor& paths, IsConntrackFull is_conntrack_full, ServiceRegistry& registry,
                             Outbox& outbox, BurstPassed burst_passed)
    : scheduler_(scheduler), paths_(paths), check_conntrack_(std::move(is_conntrack_full)), registry_(registry), outbox_(outbox),
      burst_passed_(std::move(burst_passed)) {}

void HealthMonitor::configure(std::vector<ServerState>& before, std::vector<ServerState>& servers, const Reconfiguration& next) {
  std::vector<NewProbes> waited(before.size());
  std::vector<ProbeState> old;
  for (std::size_t index = 0; index < before.size(); ++index) {
    std::ranges::move(before[index].probes, std::back_inserter(old));
    if (auto& new_probes = before[index].new_probes) {
      std::ranges::move(new_probes->probes, std::back_inserter(old));
      waited[index] = {.probes = {}, .since = new_probes->since, .reported = new_probes->reported};
    }
  }
  for (std::size_t index = 0; index < servers.size(); ++index) {
    const auto& [deciding, waiting] = next.probes[index];
    for (const probes::Probe& probe : deciding) servers[index].probes.push_back(keep_or_add(probe, next.config, old));
    if (waiting.empty()) continue;
    const std::size_t added = owners_.size();
    NewProbes& fresh = servers[index].new_probes.emplace();
    for (const probes::Probe& probe : waiting) fresh.probes.push_back(keep_or_add(probe, next.config, old));
    const auto& place = next.before[index];
    const bool wait_already = owners_.size() == added && place && waited[*place].since != WallTime{};
    fresh.since = wait_already ? waited[place.value_or(0)].since : events::event_time();
    fresh.reported = wait_already && waited[place.value_or(0)].reported;
  }
  for (const ProbeState& probe : old) forget(probe);
}

void HealthMonitor::copy_probes(const ServerState& server, ServerState& copy) {
  for (const ProbeState& original : server.probes) {
    ProbeState& probe = copy.probes.emplace_back(original);
    if (is_inconclusive(probe)) probe.last.reset(); // it is counted once
    if (is_routed(*probe.probe)) paths_.add(path_to(*probe.probe));
    probe.id = scheduler_.add(*original.probe, probe.rate, probe.rate.interval);
    probe.probe = &scheduler_.probe(probe.id);
    owners_[probe.id] = {}; // until assign()
  }
}

ProbeState HealthMonitor::keep_or_add(const probes::Probe& probe, const ServiceConfig& config, std::vector<ProbeState>& old) {
  const auto same = std::ranges::find(old, probe, [](const ProbeState& state) -> const probes::Probe& { return *state.probe; });
  if (same != old.end()) {
    ProbeState kept = std::move(*same);
    old.erase(same);
    kept.window.set_rules(config.down, config.up);
    return kept;
  }
  ProbeState fresh{.probe = &probe, .id = {}, .window = FailureWindow{config.down, config.up}, .rate = {}, .last = {}};
  if (is_routed(probe)) paths_.add(path_to(probe));
  fresh.rate = rate_of(config, fresh);
  const auto spread = first_probe_spacing * owners_.size();
  fresh.id = scheduler_.add(probe, fresh.rate, std::max<Clock::duration>(std::min(probe.spec.fast_interval, first_probe_moment), spread));
  fresh.probe = &scheduler_.probe(fresh.id);
  owners_[fresh.id] = {}; // until assign()
  return fresh;
}

void HealthMonitor::assign(ServiceState& service) {
  for (std::size_t server = 0; server < service.servers.size(); ++server)
    for (std::size_t probe = 0; probe < service.servers[server].probes.size(); ++probe)
      owners_[service.servers[server].probes[probe].id] = {&service, server, probe};
  for (std::size_t server = 0; server < service.servers.size(); ++server)
    if (const auto& fresh = service.servers[server].new_probes)
      for (std::size_t probe = 0; probe < fresh->probes.size(); ++probe)
        owners_[fresh->probes[probe].id] = {.service = &service, .server = server, .probe = probe, .is_new = true};
}

void HealthMonitor::watch_witness(ServiceState& service) {
  const auto& address = service.config->witness;
  std::optional<probes::Probe> configured;
  if (address) configured = probes::Probe{.spec = witness_probe(*address), .server = *address};
  if (service.witness && configured && *service.witness->probe == *configured) return;
  if (service.witness) forget(*service.witness);
  service.witness.reset();
  if (!configured) return;
  std::vector<ProbeState> none;
  service.witness = keep_or_add(*configured, service.config, none);
  owners_[service.witness->id] = {&service, witness, 0};
}

void HealthMonitor::forget(const ServiceState& service) {
  for (const ServerState& server : service.servers) forget(server);
  if (service.witness) forget(*service.witness);
}

void HealthMonitor::forget(const ServerState& server) {
  for (const ProbeState& probe : server.probes) forget(probe);
  if (server.new_probes)
    for (const ProbeState& probe : server.new_probes->probes) forget(probe);
}

void HealthMonitor::forget(const ProbeState& probe) {
  if (is_routed(*probe.probe)) paths_.remove(path_to(*probe.probe));
  note_inconclusive(is_inconclusive(probe), {.outcome = probes::Outcome::pass, .reason = {}, .latency = {}, .detail = {}});
  owners_.erase(probe.id);
  scheduler_.remove(probe.id);
}

void HealthMonitor::stop() {
  for (const auto& [id, owner] : std::exchange(owners_, {})) scheduler_.remove(id);
}

void HealthMonitor::update_rates(ServiceState& service) {
  const auto update = [&](ProbeState& probe, const probes::Rate& rate) {
    if (rate != std::exchange(probe.rate, rate)) scheduler_.set_rate(probe.id, rate);
  };
  const bool fast = service.outage.is_urgent(), served = placement(service).current.has_value();
  const ProbePace pace = fast ? ProbePace::fast : served ? ProbePace::relaxed : ProbePace::usual;
  for (ServerState& server : service.servers) {
    for (ProbeState& probe : server.probes) update(probe, rate_of(service.config, probe, pace));
    if (server.new_probes)
      for (ProbeState& probe : server.new_probes->probes) update(probe, rate_of(service.config, probe));
  }
  if (service.witness) update(*service.witness, witness_rate(*service.witness, fast));
}

std::optional<probes::ProbeResult> HealthMonitor::precheck(const probes::Probe& probe) {
  if (!is_routed(probe)) return std::nullopt;
  auto result = paths_.unreachable(path_to(probe));
  // A machine that reaches neither servers nor clients has a failure of its own: nothing is known of the servers, and no other would be
  // better. While clients come, they are better refused than left waiting.
  if (result && is_local(result->reason) && paths_.is_cut_off()) result->outcome = probes::Outcome::inconclusive;
  return result;
}

void HealthMonitor::on_probe_result(probes::ProbeId id, const probes::ProbeResult& received, Time now) {
  const auto owner = owners_.find(id);
  if (owner == owners_.end()) return;
  ServiceState& service = *owner->second.service;
  if (owner->second.server == witness) {
    if (!record_witness(service, received, now)) return;
    registry_.mark_dirty(service);
    outbox_.sync_due = true;
    return;
  }
  if (owner->second.is_new) return on_new_probe_result(service, owner->second.server, owner->second.probe, received, now);
  ServerState& server = service.servers[owner->second.server];
  ProbeState& probe = server.probes[owner->second.probe];
  const probes::ProbeResult result = discount_if_full(received, probe.probe->spec.kind, now);
  const auto known = [&] {
    return std::tuple{server.health, probe.window.in_burst(), probe.window.stable_at(), probe.window.up_at(), probe.window.is_confirmed()};
  };
  const auto before = known();
  const bool suspected = server.health == Health::up && probe.window.in_burst();
  const WayToServer way_before = probe.way;
  if (!is_nothing_new(probe, result, probe.window.health())) {
    outbox_.health_changed.insert(service.config->name);
    outbox_.sync_due = true; // publishes it
  }
  probe.window.record(result.outcome, now);
  probe.way.record(result, now);
  if (const auto& since = probe.way.silent_since;
      since && !way_before.is_silent() && !probe.way.no_path && placement(service).current == owner->second.server) {
    ServiceState* self = &service;
    trigger_others(scheduler_, service, owner->second.server, *since, registry_.group_of(self).front()->witness);
  }
  note_warning(service, server, probe, result, outbox_, now);
  note_inconclusive(is_inconclusive(probe), result);
  server.totals.count(result);
  if (result.outcome == probes::Outcome::pass) service.totals.passes.count(result);
  probe.last = result;
  if (result.outcome == probes::Outcome::fail) {
    probe.last_failure = result.reason;
    if (server.health == Health::up) note_doubt(outbox_.doubt, service, owner->second.server, now);
  }
  probe.last_at = now;
  observe(service, server, owner->second.probe, result, now);
  evaluate(service, now);
  if (suspected && server.health == Health::up && !probe.window.in_burst() && service.current == owner->second.server)
    burst_passed_(service);
  // In peace ten thousand results a second change nothing; in doubt each answer counts.
  const bool doubted = service.outage.phase != OutagePhase::none && tells_of_outage(way_before, probe.way);
  if (known() == before && !doubted && !awaits_silence_check(service)) return;
  registry_.mark_dirty(service);
  outbox_.sync_due = true;
}

/// It decides nothing. When all of them pass, they do from then on.
void HealthMonitor::on_new_probe_result(ServiceState& service, std::size_t index, std::size_t place, const probes::ProbeResult& received,
                                        Time now) {
  ServerState& server = service.servers[index];
  NewProbes& fresh = *server.new_probes; // NOLINT(bugprone-unchecked-optional-access): it has this one
  ProbeState& probe = fresh.probes[place];
  const probes::ProbeResult result = discount_if_full(received, probe.probe->spec.kind, now);
  const bool in_burst = probe.window.in_burst();
  probe.window.record(result.outcome, now);
  probe.way.record(result, now);
  evaluate(service, now);
  note_inconclusive(is_inconclusive(probe), result);
  probe.last = result;
  probe.last_at = now;
  if (result.outcome == probes::Outcome::fail) probe.last_failure = result.reason;
  bool changed = in_burst != probe.window.in_burst();
  if (have_passed(fresh.probes)) {
    take_up(service, index, now);
    evaluate(service, now);
    changed = true;
  } else if (!fresh.reported && probe.window.passes() == 0 && probe.window.fails_or_full(now) >= service.config->down.fails) {
    fresh.reported = changed = true;
    outbox_.log(events::new_probe_fails(service, server, probe));
  }
  if (!changed) return;
  registry_.mark_dirty(service);
  outbox_.sync_due = true;
}

/// The new probes of a server decide from now on, and those of before that are none of them end.
void HealthMonitor::take_up(ServiceState& service, std::size_t index, Time now) {
  ServerState& server = service.servers[index];
  std::vector<ProbeState> old = std::move(server.probes);
  const auto fresh = std::exchange(server.new_probes, std::nullopt).value_or(NewProbes{});
  for (const ProbeState& probe : fresh.probes) {
    old.push_back(probe);
    if (server.health == Health::up) old.back().window.evaluate({.takes_over = true}, now);
  }
  server.probes.clear();
  for (const probes::Probe& probe : probes_for(service.config, service.config->servers[index]))
    server.probes.push_back(keep_or_add(probe, service.config, old));
  for (const ProbeState& probe : old) forget(probe);
  server.observations.clear(); // by the places of the probes of before
  assign(service);
  if (fresh.reported) outbox_.log(events::new_probes_passed(service, server));
}

void HealthMonitor::on_kernel_event(const probes::KernelEvent& event, Time now) {
  using Kind = probes::KernelEventKind;
  if (event.kind == Kind::undelivered || event.kind == Kind::unacknowledged || event.kind == Kind::answered) return; // nothing of servers
  if (probes::is_of_sample(event.kind) && !clients_wait(registry_, event, now)) return;
  if (event.server)
    for (ServiceState* service : registry_.at(event.server->address)) trigger(*service, *event.server, event, now);
  if (!event.vip || event.kind == Kind::refused) return;
  ServiceState* const service = registry_.listening_at(*event.vip);
  if (service == nullptr) return;
  if (const auto target = find_covering(service->loaded.dnat, *event.vip); target != service->loaded.dnat.end())
    trigger(*service, target->second.server, event, now);
}

/// The probes of the servers at this address; port 0 is any.
void HealthMonitor::trigger(ServiceState& service, const Endpoint& at, const probes::KernelEvent& event, Time now) {
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    if (!serves_at(service.config->servers[index], at)) continue;
    bool noted = false;
    for (ProbeState& probe : service.servers[index].probes) {
      if (!probe.window.start_burst(now)) continue;
      note_doubt(outbox_.doubt, service, index, now);
      if (!std::exchange(noted, true))
        service.servers[index].observations.add(
            {.kind = Observation::Kind::event, .at = now, .event = std::string{to_text(event.kind)}, .detail = event.detail});
      update_rates(service); // of a burst: it does not wait for the result of the probe that is under way
      scheduler_.trigger(probe.id);
    }
  }
}

/// Silence while the conntrack table is full may be this machine's own. Once an untracked reply has come it is the server's again: a reply
/// to a probe that was sent since then, by a socket of its own.
probes::ProbeResult HealthMonitor::discount_if_full(const probes::ProbeResult& result, probes::Kind kind, Time now) {
  if (const bool full = check_conntrack_(); full != std::exchange(conntrack_.is_full, full)) {
    conntrack_.since = now;
    conntrack_.untracked_works = false;
    outbox_.sync_due = true; // TableSync follows
  }
  if (!conntrack_.is_full) return result;
  const bool untracked = probes::opens_untracked(kind) && now - result.latency > conntrack_.since;
  conntrack_.untracked_works |= result.outcome == probes::Outcome::pass && untracked;
  if (result.reason != probes::Reason::timeout || (untracked && conntrack_.untracked_works)) return result;
  return {.outcome = probes::Outcome::inconclusive, .reason = probes::Reason::conntrack_full, .latency = result.latency, .detail = {}};
}

/// Reports the first probe that becomes inconclusive, and the last one that no longer is.
void HealthMonitor::note_inconclusive(bool was, const probes::ProbeResult& now) {
  const bool is = now.outcome == probes::Outcome::inconclusive;
  if (was == is) return;
  outbox_.sync_due = true; // publishes the event
  if (is && inconclusive_++ == 0) outbox_.log(events::probes_inconclusive(now));
  if (was && --inconclusive_ == 0) outbox_.log(events::probes_conclusive());
}

} // namespace hanat
