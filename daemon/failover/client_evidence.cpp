// From logged packets to what is known of a service's clients.
#include "daemon/failover/client_evidence.hpp"

#include <algorithm>
#include <utility>

#include "daemon/doctor/synthetic_client.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// After its target has changed, clients may still be in the middle of what the change did to them.
constexpr auto settles_within = 4s;
constexpr auto between_diagnoses = 10s;
constexpr auto diagnosis_at_most = 30s; // one that does not come back by then does not come back
constexpr auto findings_for = 10s;      // of a client that was answered after all
constexpr std::size_t findings_at_most = 16;

TargetState target_of(const ServiceState& service, Time now) {
  if (service.removed || service.refused || !service.current || now - service.target_loaded_at < settles_within) return TargetState::none;
  const ServerState& server = service.servers[*service.current];
  if (server.health == Health::down) return TargetState::none;
  const bool passes = std::ranges::all_of(
      server.probes, [](const ProbeState& probe) { return probe.last && probe.last->outcome == probes::Outcome::pass; });
  return server.health == Health::up && passes ? TargetState::passes : TargetState::in_doubt;
}

FindingStatus report(const Finding& finding) {
  return {.severity = std::string{to_text(finding.severity)},
          .code = finding.code,
          .what = finding.what,
          .remedy = finding.remedy,
          .seen_by = finding.seen_by};
}

} // namespace

void ClientEvidence::configure(const PathCheck& check) {
  on_ = check.clients;
  if (!check.interval)
    for (auto& [name, known] : known_) {
      known.check.reset();
      evaluate(name, known, Clock::now());
    }
  std::erase_if(known_, [&](const auto& entry) { return !on_ || registry_.find(entry.first) == nullptr; });
  std::erase_if(totals_, [&](const auto& entry) { return registry_.find(entry.first) == nullptr; });
}

void ClientEvidence::on_applied(Change& change, Time now) {
  ServiceState& service = *change.service;
  if (change.plan.rules.dnat == service.loaded.dnat) return;
  service.target_loaded_at = now;
  const auto known = known_.find(service.config.name);
  if (known == known_.end()) return;
  known->second.check.reset();
  evaluate(known->first, known->second, now);
  next_ = now;
}

void ClientEvidence::on_kernel_event(const probes::KernelEvent& event, Time now) {
  if (!on_ || !event.client || is_own_client(event.client->address)) return;
  const std::vector<ServiceState*> services = services_of(event);
  if (services.empty()) return;
  switch (event.kind) {
  case probes::KernelEventKind::unanswered:
  case probes::KernelEventKind::undelivered:
    for (const ServiceState* service : services) on_repeated_syn(*service, event, now);
    break;
  case probes::KernelEventKind::refused:
    if (services.size() == 1) ++totals_[services.front()->config.name].refused;
    for (const ServiceState* service : services) known_[service->config.name].evidence.on_refused(event.client->address, now);
    break;
  case probes::KernelEventKind::answered:
    for (const ServiceState* service : services)
      if (const auto known = known_.find(service->config.name); known != known_.end())
        known->second.evidence.on_answered(event.client->address, now);
    break;
  case probes::KernelEventKind::reconnect:
    for (const ServiceState* service : services)
      if (const auto known = known_.find(service->config.name); known != known_.end()) known->second.evidence.on_reconnect(*event.client);
    break;
  case probes::KernelEventKind::unreachable:
  case probes::KernelEventKind::carrier_lost:
  case probes::KernelEventKind::route_gone:
  case probes::KernelEventKind::address_gone:
  case probes::KernelEventKind::neighbour_failed: return;
  }
  next_ = now;
  outbox_.sync_due = true; // run() evaluates it
}

/// By the virtual endpoint. Where the kernel does not tell that: the only one at that server, or those whose clients are in trouble
/// already.
std::vector<ServiceState*> ClientEvidence::services_of(const probes::KernelEvent& event) {
  if (event.vip) {
    ServiceState* const service = registry_.listening_at(*event.vip);
    return service == nullptr ? std::vector<ServiceState*>{} : std::vector{service};
  }
  if (!event.server) return {};
  std::vector<ServiceState*> services = registry_.at(event.server->address);
  if (services.size() > 1) {
    services.clear();
    for (const auto& [name, known] : known_) services.push_back(registry_.find(name));
  }
  std::erase_if(services, [&](const ServiceState* service) {
    return service == nullptr || !service->current || !serves_at(service->config.servers[*service->current], *event.server);
  });
  return services;
}

void ClientEvidence::on_repeated_syn(const ServiceState& service, const probes::KernelEvent& event, Time now) {
  if (!event.client || !event.vip || now - service.target_loaded_at < settles_within) return;
  Known& known = known_[service.config.name];
  if (known.vips.size() >= PathEvidence::connections_at_most) known.vips.clear();
  known.vips[*event.client] = *event.vip;
  known.evidence.on_repeated_syn(*event.client, event.sequence, now);
}

void ClientEvidence::run(Time now) {
  if (!next_ || *next_ > now) return;
  next_.reset();
  for (auto& [name, known] : known_) {
    if (const auto due = known.evidence.next_wakeup(); due && *due <= now) evaluate(name, known, now);
    if (const auto due = known.evidence.next_wakeup()) next_ = next_ ? std::min(*next_, *due) : *due;
  }
  std::erase_if(known_, [](const auto& entry) { return entry.second.is_idle(); });
}

void ClientEvidence::evaluate(const std::string& name, Known& known, Time now) {
  const ServiceState* const service = registry_.find(name);
  if (service == nullptr) return;
  const TargetState target = target_of(*service, now);
  const PathEvidence::Change change = known.evidence.evaluate(target, now);
  const std::uint64_t more = known.evidence.take_new();
  if (more > 0) totals_[name].unanswered += more;
  const auto suspect = known.evidence.suspect(now);
  if (target == TargetState::passes && suspect) look_for_cause(*service, known, now);
  if (change == PathEvidence::Change::begun) begin(*service, known, suspect ? std::optional{suspect->address} : std::nullopt, now);
  if (known.trouble) known.trouble->connections += more;
  const bool by_check = known.check == std::optional{false} && target != TargetState::none && known.evidence.state(now) != PathState::ok;
  if (known.trouble && known.evidence.state(now) != PathState::unanswered && !by_check)
    end(name, known, known.check == std::optional{true} || known.evidence.state(now) == PathState::ok, target == TargetState::none, now);
  if (!suspect && !known.trouble && known.found_at && now - *known.found_at >= findings_for) known.findings.clear();
  if (!known.evidence.next_wakeup()) known.vips.clear();
}

/// A cause that is found before clients count as unanswered waits for that.
void ClientEvidence::begin(const ServiceState& service, Known& known, const std::optional<Address>& client, Time now) {
  if (known.trouble) return; // hanatd's own check was first
  Event event = events::path_trouble(service, client);
  known.trouble = Trouble{.since = now, .since_wall = event.at};
  outbox_.log(std::move(event));
  for (const Finding& finding : known.findings) outbox_.log(events::path_finding(service.config.name, finding));
}

void ClientEvidence::end(const std::string& name, Known& known, bool answered, bool target_changed, Time now) {
  if (!known.trouble) return;
  outbox_.log(events::make(name, events::PathTroubleEnded{.lasted = now - known.trouble->since,
                                                          .connections = known.trouble->connections,
                                                          .answered = answered,
                                                          .target_changed = target_changed}));
  known.trouble.reset();
  known.findings.clear();
}

void ClientEvidence::look_for_cause(const ServiceState& service, Known& known, Time now) {
  if (!diagnose) return;
  const bool under_way = known.diagnosed_at && (!known.found_at || *known.found_at < *known.diagnosed_at);
  if (known.diagnosed_at && now - *known.diagnosed_at < (under_way ? diagnosis_at_most : between_diagnoses)) return;
  const auto client = known.evidence.suspect(now);
  const auto vip = client ? known.vips.find(*client) : known.vips.end();
  if (vip == known.vips.end()) return;
  known.diagnosed_at = now;
  diagnose(service, vip->first, vip->second);
}

void ClientEvidence::add_findings(const std::string& name, Known& known, std::vector<Finding> findings) {
  for (Finding& finding : findings) {
    const auto same = [&](const Finding& other) { return other.code == finding.code && other.what == finding.what; };
    if (known.findings.size() >= findings_at_most || std::ranges::any_of(known.findings, same)) continue;
    if (known.trouble) outbox_.log(events::path_finding(name, finding));
    known.findings.push_back(std::move(finding));
    outbox_.sync_due = true; // publishes the event
  }
}

void ClientEvidence::found(const std::string& service, std::vector<Finding> findings, Time now) {
  const auto known = known_.find(service);
  if (known == known_.end()) return; // no longer configured
  known->second.found_at = now;
  add_findings(service, known->second, std::move(findings));
}

void ClientEvidence::checked(const std::string& name, bool answered, std::vector<Finding> findings, Time now) {
  const ServiceState* const service = registry_.find(name);
  if (!on_ || service == nullptr) return;
  Known& known = known_[name];
  known.check = answered;
  add_findings(name, known, std::move(findings));
  if (!answered && !known.trouble && target_of(*service, now) == TargetState::passes) begin(*service, known, std::nullopt, now);
  evaluate(name, known, now);
  next_ = now;
  outbox_.sync_due = true; // publishes the events
}

PathStatus ClientEvidence::status(const std::string& service, Time now) const {
  const auto found = known_.find(service);
  if (found == known_.end()) return {};
  const Known& known = found->second;
  PathState state = known.trouble ? PathState::unanswered : known.evidence.state(now);
  if (state == PathState::no_evidence && known.check == std::optional{true}) state = PathState::ok;
  PathStatus status{.state = std::string{to_text(state)},
                    .unanswered_clients = known.trouble ? known.evidence.unanswered(now) : 0,
                    .refused_clients = known.evidence.refused(now)};
  if (!known.trouble) return status;
  status.since = to_text(known.trouble->since_wall);
  for (const Finding& finding : known.findings) status.findings.push_back(report(finding));
  return status;
}

void ClientEvidence::add_totals(const std::string& service, TotalsStatus& totals) const {
  const auto found = totals_.find(service);
  if (found == totals_.end()) return;
  totals.clients_unanswered = found->second.unanswered;
  totals.clients_refused = found->second.refused;
}

} // namespace hanat
