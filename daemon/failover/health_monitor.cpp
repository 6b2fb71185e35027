// From a result to the windows of a service, and from a kernel event to a probe.
#include "daemon/failover/health_monitor.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "daemon/config/probe_targets.hpp"
#include "daemon/report/make_event.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// The first probes of many servers are spread so that no more than about 10,000 start in a second.
constexpr auto first_probe_spacing = 100us;

probes::Path path_to(const probes::Probe& probe) { return {.server = probe.server.address, .source = probe.spec.source}; }

/// A probe bound to an interface does not go where the routes say.
bool is_routed(const probes::Probe& probe) { return probe.spec.interface.empty(); }

/// Known on this machine, without a word from the server.
bool is_local(probes::Reason reason) { return reason == probes::Reason::no_carrier || reason == probes::Reason::net_unreachable; }

bool is_inconclusive(const ProbeState& probe) { return probe.last && probe.last->outcome == probes::Outcome::inconclusive; }

/// Whether probes of this kind open a connection of their own each time, by a socket whose packets bypass conntrack.
bool opens_untracked(probes::Kind kind) {
  switch (kind) {
  case probes::Kind::https:
  case probes::Kind::grpc:
  case probes::Kind::icmp:
  case probes::Kind::exec: return false;
  case probes::Kind::tcp:
  case probes::Kind::tls:
  case probes::Kind::http:
  case probes::Kind::udp:
  case probes::Kind::dns:
  case probes::Kind::redis:
  case probes::Kind::postgres:
  case probes::Kind::mysql:
  case probes::Kind::smtp: return true;
  }
  return false;
}

} // namespace

HealthMonitor::HealthMonitor(ProbeScheduler& scheduler, PathMonitor& paths, IsConntrackFull is_conntrack_full, ServiceRegistry& registry,
                             Outbox& outbox, BurstPassed burst_passed)
    : scheduler_(scheduler), paths_(paths), check_conntrack_(std::move(is_conntrack_full)), registry_(registry), outbox_(outbox),
      burst_passed_(std::move(burst_passed)) {}

void HealthMonitor::configure(std::vector<ServerState>& before, std::vector<ServerState>& servers, const ServiceConfig& config) {
  std::vector<ProbeState> old;
  for (ServerState& server : before) std::ranges::move(server.probes, std::back_inserter(old));
  for (std::size_t index = 0; index < servers.size(); ++index)
    for (const probes::Probe& probe : probes_for(config, config.servers[index]))
      servers[index].probes.push_back(keep_or_add(probe, config, old));
  for (const ProbeState& probe : old) forget(probe);
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
  fresh.id = scheduler_.add(probe, fresh.rate, std::max<Clock::duration>(probe.spec.fast_interval, spread));
  fresh.probe = &scheduler_.probe(fresh.id);
  owners_[fresh.id] = {}; // until assign()
  return fresh;
}

void HealthMonitor::assign(ServiceState& service) {
  for (std::size_t server = 0; server < service.servers.size(); ++server)
    for (std::size_t probe = 0; probe < service.servers[server].probes.size(); ++probe)
      owners_[service.servers[server].probes[probe].id] = {&service, server, probe};
}

void HealthMonitor::forget(const ServiceState& service) {
  for (const ServerState& server : service.servers)
    for (const ProbeState& probe : server.probes) forget(probe);
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
  for (ServerState& server : service.servers)
    for (ProbeState& probe : server.probes) {
      const probes::Rate rate = rate_of(service.config, probe);
      if (rate == probe.rate) continue;
      probe.rate = rate;
      scheduler_.set_rate(probe.id, rate);
    }
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
  ServerState& server = service.servers[owner->second.server];
  ProbeState& probe = server.probes[owner->second.probe];
  const probes::ProbeResult result = discount_if_full(received, probe.probe->spec.kind, now);
  const auto known = [&] { return std::tuple{server.health, probe.window.in_burst(), probe.window.stable_at(), probe.window.up_at()}; };
  const auto before = known();
  const bool doubted = server.health == Health::up && probe.window.in_burst();
  probe.window.record(result.outcome, now);
  note_inconclusive(is_inconclusive(probe), result);
  probe.last = result;
  if (result.outcome == probes::Outcome::fail) probe.last_failure = result.reason;
  probe.last_at = now;
  observe(service, server, owner->second.probe, result, now);
  evaluate(service, now);
  if (doubted && server.health == Health::up && !probe.window.in_burst() && service.current == owner->second.server) burst_passed_(service);
  if (known() == before) return; // in peace ten thousand results a second change nothing
  registry_.mark_dirty(service);
  outbox_.sync_due = true;
}

void HealthMonitor::on_kernel_event(const probes::KernelEvent& event, Time now) {
  using Kind = probes::KernelEventKind;
  if (event.kind == Kind::undelivered || event.kind == Kind::answered) return; // say nothing about the server
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
    if (!serves_at(service.config.servers[index], at)) continue;
    bool noted = false;
    for (ProbeState& probe : service.servers[index].probes) {
      if (!probe.window.start_burst(now)) continue;
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
  if (const bool full = check_conntrack_(); full != std::exchange(conntrack_full_, full)) {
    conntrack_full_since_ = now;
    untracked_works_ = false;
    outbox_.sync_due = true; // TableSync follows
  }
  if (!conntrack_full_) return result;
  const bool untracked = opens_untracked(kind) && now - result.latency > conntrack_full_since_;
  untracked_works_ |= result.outcome == probes::Outcome::pass && untracked;
  if (result.reason != probes::Reason::timeout || (untracked && untracked_works_)) return result;
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
