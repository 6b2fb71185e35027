// From running services to status values.
#include "daemon/report/make_status.hpp"
#include "daemon/decision/verdict.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "daemon/report/make_stability.hpp"
#include "daemon/report/probe_text.hpp"

namespace hanat {
namespace {

double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }
double milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

FailsStatus fails_of(const ServiceState& service, const ProbeState& probe, Time now) {
  return {.count = probe.window.fails(now), .of = service.config->down.fails, .within_s = seconds(service.config->down.within)};
}

std::optional<double> certificate_left(const ProbeState& probe, Time now) {
  if (!probe.last || !probe.last->certificate_left) return std::nullopt;
  return std::chrono::duration<double>(*probe.last->certificate_left).count() - seconds(now - probe.last_at);
}

std::optional<LastResult> last_of(const ProbeState& probe, Time now) {
  if (!probe.last) return std::nullopt;
  return LastResult{.outcome = std::string{to_text(probe.last->outcome)},
                    .reason = std::string{to_text(probe.last->reason)},
                    .detail = probe.last->detail,
                    .wanted = probe.probe == nullptr ? "" : wanted_by(probe.probe->spec, probe.last->reason),
                    .latency_ms = milliseconds(probe.last->latency),
                    .age_s = seconds(now - probe.last_at),
                    .certificate_left_s = certificate_left(probe, now)};
}

ProbeTotalsStatus report(const ProbeTotals& totals) {
  ProbeTotalsStatus status;
  for (const auto& [outcome, reason, number] : totals.results())
    status.results.push_back({.outcome = std::string{to_text(outcome)}, .reason = std::string{to_text(reason)}, .number = number});
  const PassTimes& passes = totals.passes();
  status.latencies.assign(passes.latencies().begin(), passes.latencies().end());
  status.latency_sum_s = passes.sum_s();
  return status;
}

ProbeStatus report(const ServiceState& service, const ProbeState& probe, Time now) {
  return {.name = probe.probe == nullptr ? "" : name_of(*probe.probe),
          .health = std::string{to_text(probe.window.health())},
          .fails = fails_of(service, probe, now),
          .last = last_of(probe, now)};
}

std::optional<std::string> until_text(const std::optional<WallTime>& until) {
  return until ? std::optional{to_text(*until)} : std::nullopt;
}

/// Planned work, not a failure: a program says that the server is to get no new connections, or all of its probes that are full are agents.
bool drains(const ServerState& server) {
  if (server.health != Health::full) return false;
  if (server.report) return true;
  const auto is_full = [](const ProbeState& probe) { return probe.window.health() == Health::full; };
  const auto is_agent = [](const ProbeState& probe) { return probe.probe != nullptr && probe.probe->spec.kind == probes::Kind::agent; };
  return std::ranges::any_of(server.probes, is_full) &&
         std::ranges::all_of(server.probes, [&](const ProbeState& probe) { return !is_full(probe) || is_agent(probe); });
}

ServerStatus report(const ServiceState& service, const ServerState& server, Time now) {
  ServerStatus status;
  status.role = server.role;
  status.address = address_text(server);
  if (server.addresses.size() > 1)
    for (const Endpoint& address : server.addresses) status.addresses.push_back(to_text(address));
  status.health = to_text(server.health);
  status.drains = drains(server);
  if (!service.config->group.empty()) status.group_health = to_text(candidate(server).health);
  if (const auto& maintenance = server.maintenance)
    status.disabled = DisabledStatus{.since = to_text(maintenance->since),
                                     .until = until_text(maintenance->until_wall),
                                     .reason = maintenance->reason,
                                     .by = maintenance->by};
  if (const auto& reported = server.report)
    status.report = ReportStatus{.health = std::string{to_text(reported->health)},
                                 .since = to_text(reported->since),
                                 .until = to_text(reported->until_wall),
                                 .reason = reported->reason,
                                 .by = reported->by};
  status.fails = {.count = 0, .of = service.config->down.fails, .within_s = seconds(service.config->down.within)};
  status.totals = report(server.totals);
  if (server.probes.empty()) { // its name has no address
    if (server.health == Health::down)
      status.last = LastResult{.outcome = std::string{to_text(probes::Outcome::fail)}, .reason = "not-resolved", .detail = server.host};
    return status;
  }
  const ProbeState& probe = worst_probe(server, now);
  status.fails = fails_of(service, probe, now);
  if (const auto recovery = recovery_of(server, now))
    status.recovering = RecoveringStatus{
        .passes = recovery->passes, .of = recovery->of, .for_s = seconds(recovery->lasts), .stable_for_s = seconds(recovery->stable_for)};
  status.last = last_of(probe, now);
  if (server.probes.size() > 1)
    for (const ProbeState& one : server.probes) status.probes.push_back(report(service, one, now));
  if (const auto& fresh = server.new_probes) {
    status.new_probes = NewProbesStatus{.since = to_text(fresh->since), .failing = fresh->reported, .probes = {}};
    for (const ProbeState& one : fresh->probes) status.new_probes->probes.push_back(report(service, one, now));
  }
  if (server.former) status.former_since = to_text(server.former->since);
  return status;
}

/// Old flows that are still where they were: their number is unknown until all were counted.
struct Staying {
  std::uint64_t drained = 0;
  std::optional<std::uint64_t> left = 0;
  std::optional<Time> until;

  void add(const Drain& drain) {
    drained += drain.drained();
    left = left && drain.left ? std::optional{*left + *drain.left} : std::nullopt;
    if (drain.until) until = until ? std::max(*until, *drain.until) : *drain.until;
  }
  std::optional<double> ends_in_s(Time now) const { return until ? std::optional{std::max(0.0, seconds(*until - now))} : std::nullopt; }
};

std::vector<DrainingStatus> draining(const ServiceState& service, Time now) {
  std::map<std::pair<std::string, bool>, std::pair<Staying, Endpoint>> servers; // drained apart from kept
  for (const Eviction& eviction : service.evictions) {
    if (!eviction.drain || eviction.mappings.empty()) continue;
    auto& [staying, address] = servers[{eviction.comment, eviction.drain->until.has_value()}];
    staying.add(*eviction.drain);
    address = eviction.mappings.front().server;
  }
  std::vector<DrainingStatus> result;
  result.reserve(servers.size());
  for (const auto& [key, server] : servers)
    result.push_back({.server = key.first.substr(key.first.find(' ') + 1),
                      .address = to_text(server.second),
                      .drained = server.first.drained,
                      .left = server.first.left,
                      .ends_in_s = server.first.ends_in_s(now)});
  return result;
}

/// By the roles that the servers have now, or had then.
std::vector<std::string> cutting(const ServiceState& service) {
  std::set<std::string> roles;
  for (const Eviction& eviction : service.evictions) {
    if (eviction.drain || eviction.untranslated || eviction.mappings.empty()) continue;
    const Mapping& mapping = eviction.mappings.front();
    const auto leads_there = [&](const ServerConfig& server) { return endpoint_for(server, mapping.vip) == mapping.server; };
    const auto server = std::ranges::find_if(service.config->servers, leads_there);
    roles.insert(server != service.config->servers.end() ? server->role : eviction.comment.substr(eviction.comment.find(' ') + 1));
  }
  return {roles.begin(), roles.end()};
}

Staying staying_of(const ServiceState& service, const Flip& flip) {
  Staying staying;
  for (const Eviction& eviction : service.evictions)
    if (eviction.drain && eviction.flip == flip.number && !eviction.mappings.empty()) staying.add(*eviction.drain);
  return staying;
}

/// What the way back to a server waits for; nullptr: nobody knows.
const char* waits_for(const ServiceState& service, const ServerState& server, Time now) {
  const Candidate all = candidate(server);
  const Failback& policy = service.config->failback;
  if (all.disabled) return nullptr; // an operator
  if (all.health != Health::up) return !all.up_at ? nullptr : policy.automatic ? "stable-for" : "operator";
  if (!policy.automatic) return "operator";
  const Clock::duration penalty = server.damping.wait(flap_rule(service.config), now);
  if (penalty > policy.after && all.up_since + penalty > now) return "penalty";
  return all.up_since + policy.after > now ? "after" : "window";
}

/// The way back to a preferred server, in the order in which the decision looks at them: the first that is up, one that is flapping only
/// where no other is, or the first that will be up.
FailbackStatus failback_of(const ServiceState& service, Time now) {
  FailbackStatus status{.mode = service.config->failback.automatic ? "auto" : "manual", .to = {}, .waits_for = {}};
  if (!service.current || service.force || service.shadow || service.servers[*service.current].former) return status;
  const auto rank = [](const ServerState& server, std::string_view waits) {
    return candidate(server).health != Health::up ? 2 : waits == "penalty" ? 1 : 0;
  };
  int best = 3;
  for (const ServerState& server : std::span{service.servers}.first(*service.current)) {
    const char* const waits = waits_for(service, server, now);
    if (waits == nullptr || rank(server, waits) >= best) continue;
    best = rank(server, waits);
    status.to = server.role;
    status.waits_for = waits;
  }
  return status;
}

/// The address of the target; without one server for all families, that of the first listener's that has one.
std::optional<std::string> target_address(const ServiceState& service) {
  const bool has_target = service.current || service.shadow; // what is not touched may go to a server that is no longer configured
  if (!has_target || service.loaded.dnat.empty()) return std::nullopt;
  for (const Vip& vip : service.config->listen)
    if (const auto loaded = service.loaded.dnat.find(vip); loaded != service.loaded.dnat.end()) return to_text(loaded->second.server);
  if (service.shadow) return std::nullopt; // of a listener that it had, and that is about to be given up
  return to_text(service.loaded.dnat.begin()->second.server);
}

} // namespace

FindingStatus report(const Finding& finding) {
  return {.severity = std::string{to_text(finding.severity)},
          .code = finding.code,
          .service = finding.service,
          .what = finding.what,
          .remedy = finding.remedy,
          .seen_by = finding.seen_by};
}

PairStatus report(const RoleMachine& machine, const PairConfig& pair, const PairPrograms& programs) {
  return {.role = std::string{to_text(machine.role())},
          .since = to_text(machine.since()),
          .settled = machine.role() == Role::active,
          .address = pair.address.text(),
          .conntrackd = std::string{to_text(programs.conntrackd)},
          .keepalived = std::string{to_text(programs.keepalived)}};
}

FlipStatus report(const ServiceState& service, const Flip& flip) {
  FlipStatus status;
  const Staying staying = staying_of(service, flip);
  status.drained = flip.drained + staying.drained;
  status.left = staying.left;
  status.at = to_text(flip.at);
  status.from = flip.from;
  status.to = flip.to;
  status.why = to_text(flip.reason);
  status.commit_us = flip.commit.count();
  status.cut = {.tcp = flip.cut.tcp, .udp = flip.cut.udp, .sctp = flip.cut.sctp};
  status.nudged = flip.nudged;
  if (!flip.cutting) status.cut_ms = milliseconds(flip.cut_time);
  return status;
}

std::optional<FlipStatus> flip_of(const ServiceState& service, const Eviction& eviction) {
  const Flip* flip = find_flip(service, eviction.flip);
  return flip == nullptr ? std::nullopt : std::optional{report(service, *flip)};
}

ServiceStatus report(const ServiceState& service, Time now) {
  ServiceStatus status;
  status.name = service.config->name;
  status.target = target_name(service);
  status.target_address = target_address(service);
  status.since = to_text(service.since);
  status.why = to_text(service.reason);
  if (!service.config->group.empty()) status.group = service.config->group;
  if (service.config->offload) status.offload = service.offloading == Offloading::on;
  if (const auto& shadow = service.shadow) {
    status.mode = "observe";
    status.in_table = !service.loaded.vips.empty();
    const auto current = shadow->placement.current;
    status.would_target = current ? service.servers[*current].role : "none";
    status.would_why = to_text(shadow->reason);
  }
  if (service.force)
    status.forced = ForcedStatus{.target = service.servers[service.force->server].role,
                                 .until = until_text(service.force->until_wall),
                                 .reason = service.force->reason,
                                 .by = service.force->by,
                                 .until_down = service.force->until_down,
                                 .drill = service.force->drill};
  if (service.failback_at && !service.shadow) status.failback_in_s = std::max(0.0, seconds(*service.failback_at - now));
  status.failback = failback_of(service, now);
  status.flips = service.flips;
  status.listen = service.config->listen_text;
  for (const ServerState& server : service.servers) status.servers.push_back(report(service, server, now));
  if (const auto& flip = service.last_flip) {
    status.last_flip = report(service, *flip);
    status.last_flip->drain_ends_in_s = staying_of(service, *flip).ends_in_s(now);
  }
  status.draining = draining(service, now);
  status.cutting = cutting(service);
  for (const auto& [mapping, known] : service.unexpected)
    if (known.left_alone && known.flows > 0)
      status.foreign.push_back({.listen = to_text(mapping.vip), .server = to_text(mapping.server), .flows = known.flows});
  for (const auto& [reason, count] : service.totals.flips) status.totals.flips.emplace(to_text(reason), count);
  status.totals.cut = {.tcp = service.totals.cut.tcp, .udp = service.totals.cut.udp, .sctp = service.totals.cut.sctp};
  status.totals.nudged = service.totals.nudged;
  status.totals.drained = service.totals.drained;
  const PassTimes& passes = service.totals.passes;
  status.totals.latencies.assign(passes.latencies().begin(), passes.latencies().end());
  status.totals.latency_sum_s = passes.sum_s();
  report_stability(service, status, now);
  return status;
}

std::optional<std::string> inconclusive_reason(const Services& services) {
  std::size_t all = 0;
  std::string first; // which one, and why
  std::map<probes::Reason, std::size_t> inconclusive;
  for (const auto& service : services)
    for (const ServerState& server : service->servers)
      for (const ProbeState& probe : server.probes) {
        ++all;
        if (!probe.last || probe.last->outcome != probes::Outcome::inconclusive) continue;
        ++inconclusive[probe.last->reason];
        if (first.empty())
          first = fmt::format("{} {}{}", service->config->name, server.role, probe.last->detail.empty() ? "" : ": " + probe.last->detail);
      }
  if (inconclusive.empty()) return std::nullopt;
  const auto& [reason, count] = *std::ranges::max_element(inconclusive, {}, [](const auto& entry) { return entry.second; });
  if (count == all) return std::string{to_text(reason)};
  return fmt::format("{} ({} of {} probes, as of {})", to_text(reason), count, all, first);
}

} // namespace hanat
