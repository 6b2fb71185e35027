// From a decision to the table.
#include "daemon/decision/desired_state.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "daemon/decision/given_up.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

std::string label(const ServiceState& service, const std::string& server) { return service.config->name + ' ' + server; }

/// A move that an operator or a reload makes. What is no flip's reason is a change of the configuration.
bool is_planned(const Decision& decision) {
  switch (decision.flip_reason) {
  case Reason::starting:
  case Reason::adopted:
  case Reason::observe:
  case Reason::primary_up:
  case Reason::forced:
  case Reason::drill:
  case Reason::configuration:
  case Reason::followed:
  case Reason::disabled: return true;
  case Reason::failover:
  case Reason::failback: return decision.planned;
  case Reason::full:
  case Reason::recovered:
  case Reason::full_kept:
  case Reason::outage_doubted:
  case Reason::no_server_up:
  case Reason::no_server_up_kept: return false;
  }
  return false;
}

FlowPolicy flow_policy_of(const ServiceState& service, const Decision& decision, bool planned) {
  if (planned) {
    if (service.asked_flows) return *service.asked_flows;
    const bool to_server = decision.kind == TargetKind::server && decision.server < service.servers.size();
    const auto later = to_server ? std::optional<FlowPolicy>{service.servers[decision.server].planned_flows} : std::nullopt;
    return later.value_or(service.config->on_forced);
  }
  if (decision.flip_reason == Reason::full) return {.action = FlowAction::keep, .time = {}}; // they are served
  return decision.flip_reason == Reason::failback ? service.config->on_failback : service.config->on_failover;
}

/// The clients of a server that serves may be notified a moment later.
constexpr std::chrono::milliseconds notify_served_after{50};

/// Where new flows of a virtual endpoint should go; nullopt: to no server.
std::optional<nat::DnatTarget> target_of(const ServiceState& service, const Decision& decision, const Vip& vip) {
  switch (decision.kind) {
  case TargetKind::none: return std::nullopt;
  case TargetKind::undecided: {
    const auto loaded = service.loaded.dnat.find(vip);
    return loaded == service.loaded.dnat.end() ? std::nullopt : std::optional{loaded->second};
  }
  case TargetKind::server: {
    const ServerConfig& server = service.config->servers[decision.server];
    const auto endpoint = endpoint_for(server, vip);
    if (!endpoint) return std::nullopt;
    return nat::DnatTarget{.server = *endpoint, .comment = label(service, server.role)};
  }
  }
  return std::nullopt;
}

/// The translated sources of every server, loaded before they are needed: a flip never has to touch them.
void add_sources(const ServiceState& service, nat::TableState& rules) {
  for (const ServerConfig& server : service.config->servers) {
    if (server.snat.kind == nat::SnatKind::none) continue;
    for (const Vip& vip : service.config->listen) {
      const bool fits = server.snat.kind != nat::SnatKind::address || server.snat.address.family() == vip.address.family();
      const auto endpoint = endpoint_for(server, vip);
      if (fits && endpoint) rules.snat[{vip, *endpoint}] = {.snat = server.snat, .comment = label(service, server.role)};
    }
  }
}

/// Could another server than this endpoint's take the virtual endpoint over?
bool has_alternative(const ServiceState& service, const Vip& vip, const Endpoint& server) {
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    if (usable(candidate(service.servers[index])) == Health::down) continue;
    const auto other = endpoint_for(service.config->servers[index], vip);
    if (other && *other != server) return true;
  }
  return false;
}

/// UDP and SCTP flows that are being cut: until that is done their packets go to the old server, and what it refuses is held.
FlowSet leaving_non_tcp(const ServiceState& service) {
  FlowSet leaving;
  for (const Eviction& eviction : service.evictions)
    for (const Mapping& mapping : eviction.mappings)
      if (!eviction.drain && mapping.vip.protocol != Protocol::tcp) leaving.insert(mapping);
  return leaving;
}

/// It gets its first target: nothing moves, and one transaction loads all.
bool has_nothing(const ServiceState& service) { return service.loaded.dnat.empty() && service.loaded.reject.empty(); }

/// A refusal is held where another server could answer the client's next try: never while an operator pins the target, but in a drill,
/// which ends with its server.
void add_hold(const ServiceState& service, nat::TableState& rules) {
  const auto target_in = [](const nat::TableState& from, const Vip& vip) {
    const auto found = from.dnat.find(vip);
    return found == from.dnat.end() ? std::nullopt : std::optional{found->second.server};
  };
  const FlowSet leaving = leaving_non_tcp(service);
  for (const auto& [mapping, comment] : service.loaded.hold)
    if (rules.vips.contains(mapping.vip) && (target_in(service.loaded, mapping.vip) != target_in(rules, mapping.vip) ||
                                             (rules.dnat.contains(mapping.vip) && leaving.meeting(mapping) != nullptr)))
      rules.hold.emplace(mapping, comment); // until the next decision
  if (!service.config->hold || (service.force && !service.force->drill)) return;
  for (const auto& [vip, target] : rules.dnat)
    if ((target_in(service.loaded, vip) == target.server || has_nothing(service)) && has_alternative(service, vip, target.server))
      rules.hold.emplace(Mapping{vip, target.server}, target.comment);
}

/// The server of the configuration that a mapping leads to; nullptr: none any more.
const ServerState* server_of(const ServiceState& service, const Mapping& mapping) {
  for (std::size_t index = 0; index < service.servers.size(); ++index)
    if (endpoint_for(service.config->servers[index], mapping.vip) == mapping.server) return &service.servers[index];
  return nullptr;
}

/// Whether flows must leave whatever the policy says, and why. UDP and SCTP flows of a dead server never end by themselves, and clients of
/// one that answers nothing wait for ever; but "keep" is what the operator wants for TCP. `moving`: the traffic is being taken from that
/// server; what was moved before waits until it is certain that the server is lost.
std::optional<DrainEnd> forbidden(const ServiceState& service, const Decision& decision, const Mapping& mapping, FlowAction action,
                                  bool moving) {
  if (decision.kind == TargetKind::none) return DrainEnd::no_target;
  if (decision.reason == Reason::outage_doubted) return std::nullopt;
  const ServerState* server = server_of(service, mapping);
  if (server == nullptr || (moving ? server->health != Health::down : !is_lost(*server))) return std::nullopt;
  if (mapping.vip.protocol != Protocol::tcp) return DrainEnd::dead;
  if (action == FlowAction::drain && is_silent(*server)) return DrainEnd::silent;
  return std::nullopt;
}

/// The flows of one server leave, some of them later. TCP drains apart from the rest: a drain may end for the others alone.
void evict(const ServiceState& service, const Decision& decision, Time now, const std::string& comment,
           const std::vector<Mapping>& mappings, Plan& result) {
  const bool gone = std::ranges::none_of(service.config->servers, [&](const ServerConfig& server) { // a reload took it away
    return endpoint_for(server, mappings.front().vip) == mappings.front().server;
  });
  const bool planned = gone || is_planned(decision);
  const bool served = planned || decision.flip_reason == Reason::failback || decision.flip_reason == Reason::full;
  const FlowPolicy policy = flow_policy_of(service, decision, planned);
  std::vector<Mapping> going;
  std::vector<Mapping> tcp;
  std::vector<Mapping> non_tcp;
  for (const Mapping& mapping : mappings) {
    const bool is_tcp = mapping.vip.protocol == Protocol::tcp;
    const bool stays =
        policy.action != FlowAction::reset && (is_tcp || served) && !forbidden(service, decision, mapping, policy.action, true);
    (!stays ? going : is_tcp ? tcp : non_tcp).push_back(mapping);
  }
  const auto add = [&](std::vector<Mapping>& part, std::optional<Drain> drain) {
    if (part.empty()) return;
    result.evictions.push_back({.mappings = std::move(part),
                                .comment = comment,
                                .drain = drain,
                                .due = now,
                                .notify_after = served ? notify_served_after : Clock::duration{}});
  };
  add(going, std::nullopt);
  Drain drain{.since = now, .until_down = decision.flip_reason == Reason::full};
  if (policy.action == FlowAction::drain) drain.until = now + policy.time;
  add(tcp, drain);
  drain.notified = true; // only TCP clients without a connection have to be
  add(non_tcp, drain);
}

/// What of a mapping no target of these takes over, nor another service: all of it, unless a range of ports was given other borders.
std::vector<Mapping> not_taken_over(const Mapping& mapping, const std::map<Vip, nat::DnatTarget>& targets,
                                    const std::vector<Vip>& ports_taken_over) {
  std::vector<Mapping> stays;
  for_overlapping(targets, mapping.vip, [&](const auto& entry) { stays.push_back({.vip = entry.first, .server = entry.second.server}); });
  for (const Vip& vip : ports_taken_over)
    if (overlap(vip, mapping.vip)) stays.push_back({.vip = vip, .server = {.address = mapping.server.address, .port = 0}});
  return without(mapping, stays);
}

/// What becomes of flows that were kept because their server was only full, now that it is down: what on_failover says, as for any other
/// flows of a server that is down. nullopt: it is not down, or they stay.
std::optional<DrainEnd> end_of_full(const ServiceState& service, const Mapping& mapping) {
  const ServerState* server = server_of(service, mapping);
  if (server == nullptr || !is_lost(*server)) return std::nullopt;
  const bool is_tcp = mapping.vip.protocol == Protocol::tcp;
  switch (service.config->on_failover.action) {
  case FlowAction::reset: return DrainEnd::dead;
  case FlowAction::drain: return is_tcp && !is_silent(*server) ? DrainEnd::time : DrainEnd::dead;
  case FlowAction::keep: return is_tcp ? std::nullopt : std::optional{DrainEnd::dead};
  }
  return std::nullopt;
}

/// What of a drain ends now, and why; `drains_on`: flows that were kept, and have a time from now on.
struct DrainEnds {
  std::map<DrainEnd, std::vector<Mapping>> ends;
  std::vector<Mapping> drains_on;
};
/// Of a range that was given narrower borders only the rest is given up.
DrainEnds ends_of(const ServiceState& service, const Decision& decision, const Eviction& eviction, const Drain& drain,
                  const nat::TableState& rules, Time now) {
  DrainEnds result;
  const FlowAction action = drain.until ? FlowAction::drain : FlowAction::keep;
  const bool doubted = decision.reason == Reason::outage_doubted; // nobody's connection ends then
  const std::map<Vip, std::string> listed = service.removed ? std::map<Vip, std::string>{} : rules.vips;
  for (const Mapping& mapping : eviction.mappings) {
    for (const Vip& part : given_up_parts(service, listed, mapping.vip)) result.ends[DrainEnd::given_up].push_back(part_of(mapping, part));
    for (const Mapping& part : within(mapping, listed)) {
      if (not_taken_over(part, rules.dnat, {}).empty()) continue; // void
      if (drain.until && *drain.until <= now && !doubted)
        result.ends[DrainEnd::time].push_back(part);
      else if (const auto end = forbidden(service, decision, part, action, false))
        result.ends[*end].push_back(part);
      else if (const auto no_longer_full = drain.until_down && !doubted ? end_of_full(service, part) : std::nullopt)
        (*no_longer_full == DrainEnd::time ? result.drains_on : result.ends[*no_longer_full]).push_back(part);
    }
  }
  return result;
}

/// Drains that are over: their flows leave now, the usual way.
void end_drains(const ServiceState& service, const Decision& decision, Time now, Plan& result) {
  const auto add = [&](const Eviction& old, Eviction next) {
    result.ending.insert(result.ending.end(), next.mappings.begin(), next.mappings.end());
    next.comment = old.comment;
    next.due = now;
    next.flip = old.flip;
    result.evictions.push_back(std::move(next));
  };
  for (const Eviction& eviction : service.evictions) {
    if (!eviction.drain) continue;
    auto [ends, drains_on] = ends_of(service, decision, eviction, *eviction.drain, result.rules, now);
    for (auto& [end, mappings] : ends) {
      if (mappings.empty()) continue;
      Eviction next{.mappings = std::move(mappings), .comment = {}, .drain_end = end};
      if (end == DrainEnd::given_up) {
        next.exact = next.given_up = true, next.stage = CutStage::record;
        leave_out(next.mappings, result.evictions);
      }
      add(eviction, std::move(next));
    }
    if (!drains_on.empty())
      add(eviction, {.mappings = std::move(drains_on),
                     .comment = {},
                     .drain = Drain{.until = now + service.config->on_failover.time, .since = now, .notified = true}});
  }
}

/// Compares what is loaded with what shall be: old mappings leave, new ones return.
void find_moves(const ServiceState& service, const Decision& decision, Time now, Plan& result) {
  std::map<std::string, std::vector<Mapping>> leaving; // by the comment of the loaded target: service and server
  for (const auto& [vip, old] : service.loaded.dnat) {
    const auto next = result.rules.dnat.find(vip);
    if (next != result.rules.dnat.end() && next->second.server == old.server) continue;
    for (const Mapping& part : not_taken_over({vip, old.server}, result.rules.dnat, service.ports_taken_over))
      for (const Mapping& kept : within(part, result.rules.vips)) leaving[old.comment].push_back(kept);
    result.moves |= result.rules.vips.contains(vip);
  }
  for (auto& [comment, mappings] : leaving) evict(service, decision, now, comment, mappings, result);

  std::vector<Mapping> fresh; // entries that were made before the rules would keep their senders there
  for (const auto& [vip, target] : result.rules.dnat) {
    const auto old = service.loaded.dnat.find(vip);
    if (old != service.loaded.dnat.end() && old->second.server == target.server) continue;
    result.returning.push_back({vip, target.server});
    if (old == service.loaded.dnat.end()) fresh.push_back(untranslated(vip));
  }
  if (!fresh.empty())
    result.evictions.push_back({.mappings = std::move(fresh), .comment = service.config->name, .untranslated = true, .due = now});
}

/// Stale keys of every protocol: the guard resets TCP by them, and after a crash they tell which cuts were not finished.
/// Not of what is given up: the next flow of such an endpoint may be somebody else's.
void add_stale(const Eviction& eviction, const FlowSet& ending, nat::TableState& rules) {
  if (eviction.untranslated || eviction.drain || eviction.exact) return;
  for (const Mapping& mapping : eviction.mappings)
    if (ending.meeting(mapping) == nullptr)
      for (const Mapping& part : not_taken_over(mapping, rules.dnat, {})) rules.stale[part] = eviction.comment;
}

/// What follows from the elements of the plan: flows that leave or return, and the guard's sets.
void complete(const ServiceState& service, const Decision& decision, Time now, Plan& result) {
  for (const auto& [vip, until] : service.recent_until)
    if (until > now && vip.protocol == Protocol::tcp) result.rules.recent[vip] = service.config->name;
  disown(service, now, result);
  find_moves(service, decision, now, result);
  end_drains(service, decision, now, result);
  const FlowSet ending{result.ending};
  for (const Eviction& eviction : service.evictions) add_stale(eviction, ending, result.rules);
  for (const Eviction& eviction : result.evictions) add_stale(eviction, {}, result.rules);
}

} // namespace

Plan desired_state(const ServiceState& service, const Decision& decision, Time now) {
  Plan result;
  nat::TableState& rules = result.rules;
  for (const Vip& vip : service.config->listen) {
    rules.vips[vip] = service.config->name;
    if (auto target = target_of(service, decision, vip)) rules.dnat[vip] = std::move(*target);
    if (decision.kind == TargetKind::none)
      rules.reject[vip] = {.refusal = service.config->on_none == OnNone::drop ? nat::Refusal::drop : nat::Refusal::reject,
                           .comment = service.config->name};
    else if (decision.refuse_new)
      rules.reject[vip] = {.refusal = nat::Refusal::reject_new, .comment = service.config->name};
  }
  add_sources(service, rules);
  add_hold(service, rules);
  complete(service, decision, now, result);
  return result;
}

Plan plan_observe(const ServiceState& service, Time now) {
  Plan result;
  const std::set<Vip> listed(service.config->listen.begin(), service.config->listen.end()); // a range of other borders is another one
  const auto keep_listed = [&listed](auto& into, const auto& loaded) {
    for (const auto& entry : loaded)
      if (listed.contains(vip_of(entry.first))) into.insert(entry);
  };
  keep_listed(result.rules.vips, service.loaded.vips);
  keep_listed(result.rules.dnat, service.loaded.dnat);
  keep_listed(result.rules.reject, service.loaded.reject);
  erase_if(result.rules.reject, [](const auto& entry) { return entry.second.refusal == nat::Refusal::reject_new; }); // of a doubt
  keep_listed(result.rules.snat, service.loaded.snat);
  complete(service, {}, now, result);
  return result;
}

Plan plan_standby(const ServiceState& service, Plan plan) {
  const std::set<Vip> listed(service.config->listen.begin(), service.config->listen.end());
  const auto keep_listed = [&listed](auto& rules) {
    using std::erase_if;
    erase_if(rules, [&listed](const auto& entry) { return !listed.contains(vip_of(entry.first)); });
  };
  nat::for_each_set(keep_listed, plan.rules);
  if (!service.shadow) plan.rules.reject.clear(); // what is only observed stays as it is
  plan.rules.stale.clear();
  plan.rules.recent.clear();
  std::erase_if(plan.evictions, [](const Eviction& eviction) { return !eviction.drain; });
  for (Eviction& eviction : plan.evictions)
    if (eviction.drain) eviction.drain->notified = true;
  return plan;
}

} // namespace hanat
