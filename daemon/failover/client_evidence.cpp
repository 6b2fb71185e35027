// From logged packets to what is known of a service's clients.
#include "daemon/failover/client_evidence.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "daemon/doctor/synthetic_client.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/report/make_status.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// After its target has changed, clients may still be in the middle of what the change did to them.
constexpr auto settles_within = 4s;
constexpr auto between_diagnoses = 10s;
constexpr auto diagnosis_at_most = 30s; // one that does not come back by then does not come back
constexpr auto findings_for = 10s;      // of a client that was answered after all
constexpr std::size_t findings_at_most = 16;
constexpr auto told_again_after = 1h;
constexpr std::size_t told_at_most = 256;

TargetState target_of(const ServiceState& service, Time now) {
  if (service.removed || service.refused || !service.current || now - service.target_loaded_at < settles_within) return TargetState::none;
  const ServerState& server = service.servers[*service.current];
  if (server.health == Health::down) return TargetState::none;
  const bool passes = std::ranges::all_of(
      server.probes, [](const ProbeState& probe) { return probe.last && probe.last->outcome == probes::Outcome::pass; });
  return server.health == Health::up && passes ? TargetState::passes : TargetState::in_doubt;
}

/// A warning may be of something else: it is no second witness.
Examined::Verdict verdict_of(const std::vector<Finding>& findings) {
  const auto is_cause = [](const Finding& finding) { return finding.severity == Severity::problem && !finding.client_only; };
  if (std::ranges::any_of(findings, is_cause)) return Examined::Verdict::path;
  const auto is_own = [](const Finding& finding) { return finding.client_only && finding.witness == Witness::real_client; };
  return std::ranges::any_of(findings, is_own) ? Examined::Verdict::client_only : Examined::Verdict::nothing;
}

bool is_same(const Finding& one, const Finding& other) { return one.code == other.code && one.what == other.what; }
bool has(const std::vector<Finding>& findings, const Finding& one) {
  return std::ranges::any_of(findings, [&](const Finding& other) { return is_same(one, other); });
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
  const auto known = known_.find(service.config->name);
  if (known == known_.end()) return;
  known->second.check.reset();
  evaluate(known->first, known->second, now);
  next_ = now;
}

void ClientEvidence::on_kernel_event(const probes::KernelEvent& event, Time now) {
  if (probes::is_of_sample(event.kind)) return; // not in trouble, or for a moment only
  if (!on_ || !event.client || is_own_client(event.client->address)) return;
  const std::vector<ServiceState*> services = services_of(event);
  if (services.empty()) return;
  switch (event.kind) {
  case probes::KernelEventKind::unanswered:
  case probes::KernelEventKind::undelivered:
  case probes::KernelEventKind::unacknowledged:
    for (const ServiceState* service : services) on_repeated_syn(*service, event, now);
    break;
  case probes::KernelEventKind::refused:
    if (services.size() == 1) ++totals_[services.front()->config->name].refused;
    for (const ServiceState* service : services) known_[service->config->name].evidence.on_refused(event.client->address, now);
    break;
  case probes::KernelEventKind::answered:
    for (const ServiceState* service : services)
      if (const auto known = known_.find(service->config->name); known != known_.end())
        known->second.evidence.on_answered(event.client->address, now);
    break;
  case probes::KernelEventKind::reconnect:
    for (const ServiceState* service : services)
      if (const auto known = known_.find(service->config->name); known != known_.end()) known->second.evidence.on_reconnect(*event.client);
    break;
  case probes::KernelEventKind::opened:
  case probes::KernelEventKind::served:
  case probes::KernelEventKind::pending:
  case probes::KernelEventKind::unaccepted:
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
    return service == nullptr || !service->current || !serves_at(service->config->servers[*service->current], *event.server);
  });
  return services;
}

void ClientEvidence::on_repeated_syn(const ServiceState& service, const probes::KernelEvent& event, Time now) {
  if (!event.client || !event.vip || now - service.target_loaded_at < settles_within) return;
  Known& known = known_[service.config->name];
  if (known.vips.size() >= PathEvidence::connections_at_most) known.vips.clear();
  known.vips[*event.client] = *event.vip;
  const bool accepted = event.kind == probes::KernelEventKind::unacknowledged;
  known.evidence.on_repeated_syn({.client = *event.client, .sequence = event.sequence, .accepted = accepted}, now);
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
  const bool by_check =
      known.check == std::optional{false} && target != TargetState::none && known.evidence.state(now, known.checked_at) != PathState::ok;
  if (known.trouble && known.evidence.state(now) != PathState::unanswered && !by_check) {
    const bool answered = known.evidence.state(now) == PathState::ok;
    end(name, known,
        {.answered = answered,
         .target_changed = target == TargetState::none,
         .own_client = !answered && (known.check == std::optional{true} || known.own_answered == std::optional{true})},
        now);
  }
  if (!suspect && !known.trouble && known.found_at && now - *known.found_at >= findings_for) known.findings.clear();
  if (!known.evidence.next_wakeup()) known.vips.clear();
}

/// A cause that is found before clients count as unanswered waits for that.
void ClientEvidence::begin(const ServiceState& service, Known& known, const std::optional<Address>& client, Time now) {
  if (known.trouble) return; // hanatd's own check was first
  Event event = events::path_trouble(service, client);
  known.trouble = Trouble{.since = now, .since_wall = event.at};
  outbox_.log(std::move(event));
  for (const Finding& finding : known.findings)
    if (!finding.client_only) outbox_.log(events::path_finding(service.config->name, finding));
}

void ClientEvidence::end(const std::string& name, Known& known, events::PathTroubleEnded how, Time now) {
  if (!known.trouble) return;
  how.lasted = now - known.trouble->since;
  how.connections = known.trouble->connections;
  outbox_.log(events::make(name, how));
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
  known.evidence.on_examination(now);
  diagnose(service, vip->first, vip->second);
}

/// Each is told once, and again when it was gone meanwhile.
void ClientEvidence::replace_findings(const std::string& name, Known& known, std::vector<Finding> kept, std::vector<Finding> fresh) {
  for (Finding& finding : fresh) {
    if (kept.size() >= findings_at_most || has(kept, finding)) continue;
    if (known.trouble && !finding.client_only && !has(known.findings, finding)) outbox_.log(events::path_finding(name, finding));
    kept.push_back(std::move(finding));
  }
  known.findings = std::move(kept);
  outbox_.sync_due = true; // publishes the events
}

/// Whoever is on a list of blocked addresses may come again and again.
void ClientEvidence::tell_of_client(const std::string& name, const Finding& finding, Time now) {
  std::erase_if(told_, [now](const auto& entry) { return now - entry.second.met_at >= told_again_after; });
  const auto key = std::pair{name, finding.what};
  if (told_.size() >= told_at_most && !told_.contains(key)) return;
  const auto [entry, fresh] = told_.try_emplace(key);
  OfRule& rule = entry->second;
  rule.newest = {.finding = finding, .at = wall_now()};
  rule.met_at = now;
  if (!fresh && now - rule.logged_at < told_again_after) return;
  rule.logged_at = now;
  outbox_.log(events::path_finding(name, finding));
}

void ClientEvidence::found(const std::string& name, Examined examined, std::vector<Finding> findings, Time now) {
  const auto entry = known_.find(name);
  if (entry == known_.end()) return; // nothing is known of its clients, or it is no longer configured
  Known& known = entry->second;
  known.found_at = now;
  examined.verdict = verdict_of(findings);
  const bool mended = known.own_answered == std::optional{false} && examined.own_client == std::optional{true};
  if (examined.own_client) known.own_answered = examined.own_client;
  const bool has_looked = examined.own_client || examined.saw_client || !findings.empty();
  std::vector<Finding> kept;
  for (const Finding& finding : known.findings)
    if (!has_looked || (finding.witness == Witness::real_client && !examined.saw_client && !mended)) kept.push_back(finding);
  for (const Finding& finding : findings)
    if (finding.client_only) tell_of_client(name, finding, now);
  known.evidence.on_examined(examined, now);
  replace_findings(name, known, std::move(kept), std::move(findings));
  evaluate(name, known, now);
  next_ = now;
}

void ClientEvidence::checked(const std::string& name, std::optional<bool> answered, std::vector<Finding> findings, Time now) {
  const ServiceState* const service = registry_.find(name);
  // What stops hanatd's own client alone, or may, says nothing of others.
  const Examined::Verdict verdict = verdict_of(findings);
  if (answered == std::optional{false} && !findings.empty() && verdict != Examined::Verdict::path) answered.reset();
  if (!on_ || service == nullptr || (!answered && !known_.contains(name))) return;
  Known& known = known_[name];
  known.check = answered;
  known.checked_at = now;
  if (answered) {
    std::vector<Finding> kept = known.findings;
    std::erase_if(kept, [](const Finding& finding) { return finding.witness != Witness::real_client; });
    known.own_answered = answered;
    known.evidence.on_examined({.verdict = verdict, .client = {}, .saw_client = false, .own_client = answered}, now);
    replace_findings(name, known, std::move(kept), std::move(findings));
  }
  if (answered == std::optional{false} && !known.trouble && target_of(*service, now) == TargetState::passes)
    begin(*service, known, std::nullopt, now);
  evaluate(name, known, now);
  next_ = now;
  outbox_.sync_due = true; // publishes the events
}

std::optional<UnansweredClient> ClientEvidence::waiting(const std::string& service, Time now) const {
  const auto known = known_.find(service);
  if (known == known_.end()) return std::nullopt;
  const auto client = known->second.evidence.suspect(now);
  if (!client) return std::nullopt;
  const auto vip = known->second.vips.find(*client);
  return vip == known->second.vips.end() ? std::nullopt : std::optional{UnansweredClient{.client = vip->first, .vip = vip->second}};
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
  for (const Finding& finding : known.findings)
    if (!finding.client_only) status.findings.push_back(report(finding));
  return status;
}

std::vector<ClientEvidence::OfClient> ClientEvidence::of_single_clients(const std::string& service, Time now) const {
  std::vector<OfClient> found;
  for (auto one = told_.lower_bound({service, {}}); one != told_.end() && one->first.first == service; ++one)
    if (now - one->second.met_at < told_again_after) found.push_back(one->second.newest);
  std::ranges::stable_sort(found, std::ranges::greater{}, &OfClient::at);
  return found;
}

void ClientEvidence::add_totals(const std::string& service, TotalsStatus& totals) const {
  const auto found = totals_.find(service);
  if (found == totals_.end()) return;
  totals.clients_unanswered = found->second.unanswered;
  totals.clients_refused = found->second.refused;
}

} // namespace hanat
