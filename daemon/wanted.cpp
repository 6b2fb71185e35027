// From a decision to rules.
#include "daemon/wanted.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace hanat {
namespace {

std::string label(const RunningService& service, const std::string& server) { return fmt::format("{} {}", service.config.name, server); }

FlowPolicy policy_of(const Service& service, Why flip_why) {
  switch (flip_why) {
  case Why::forced: return service.on_forced;
  case Why::failback: return service.on_failback;
  case Why::starting:
  case Why::adopted:
  case Why::observe:
  case Why::primary_up:
  case Why::failover:
  case Why::none_fit:
  case Why::none_fit_kept: return service.on_failover;
  }
  return FlowPolicy::reset;
}

/// A move that somebody planned, away from a server that serves: its clients may be told a moment later.
Clock::duration tell_after(Why flip_why) {
  constexpr std::chrono::milliseconds moment{50};
  return flip_why == Why::forced || flip_why == Why::failback ? moment : Clock::duration{};
}

/// Where new flows of a virtual endpoint should go; nullopt: nowhere.
std::optional<nat::Target> target_of(const RunningService& service, const Decision& decision, const Vip& vip) {
  switch (decision.place) {
  case Place::none: return std::nullopt;
  case Place::undecided: {
    const auto loaded = service.loaded.target.find(vip);
    return loaded == service.loaded.target.end() ? std::nullopt : std::optional{loaded->second};
  }
  case Place::server: {
    const Server& server = service.config.servers[decision.server];
    const auto endpoint = endpoint_for(server, vip);
    if (!endpoint) return std::nullopt;
    return nat::Target{.server = *endpoint, .comment = label(service, server.role)};
  }
  }
  return std::nullopt;
}

/// The translated sources of every server, loaded before they are needed: a flip never has to touch them.
void add_sources(const RunningService& service, nat::Rules& rules) {
  for (const Server& server : service.config.servers) {
    if (server.snat.kind == nat::SnatKind::none) continue;
    for (const Vip& vip : service.config.listen) {
      const bool fits = server.snat.kind == nat::SnatKind::masquerade || server.snat.address.family() == vip.address.family();
      const auto endpoint = endpoint_for(server, vip);
      if (fits && endpoint) rules.source[{vip, *endpoint}] = {.snat = server.snat, .comment = label(service, server.role)};
    }
  }
}

/// Could another server than this endpoint's take the virtual endpoint over?
bool another_may_do(const RunningService& service, const Vip& vip, const Endpoint& server) {
  for (std::size_t index = 0; index < service.servers.size(); ++index) {
    if (candidate(service.servers[index]).health == Health::down) continue;
    const auto other = endpoint_for(service.config.servers[index], vip);
    if (other && *other != server) return true;
  }
  return false;
}

/// A refusal is held where another server could answer the client's next try: never while an operator pins the target.
void add_hold(const RunningService& service, nat::Rules& rules) {
  const auto target_in = [](const nat::Rules& from, const Vip& vip) {
    const auto found = from.target.find(vip);
    return found == from.target.end() ? std::nullopt : std::optional{found->second.server};
  };
  for (const auto& [mapping, comment] : service.loaded.hold)
    if (target_in(service.loaded, mapping.vip) != target_in(rules, mapping.vip)) rules.hold.emplace(mapping, comment); // in the next look
  if (!service.config.hold || service.force) return;
  for (const auto& [vip, target] : rules.target)
    if (vip.protocol == Protocol::tcp && target_in(service.loaded, vip) == target.server && another_may_do(service, vip, target.server))
      rules.hold.emplace(Mapping{vip, target.server}, target.comment);
}

/// Compares what stands with what shall stand: old mappings depart, new ones return.
void find_moves(const RunningService& service, const Decision& decision, Time now, Wanted& result) {
  std::map<std::string, std::vector<Mapping>> leaving; // by the comment of the loaded target: service and server
  for (const auto& [vip, old] : service.loaded.target) {
    const auto next = result.rules.target.find(vip);
    if (next != result.rules.target.end() && next->second.server == old.server) continue;
    leaving[old.comment].push_back({vip, old.server});
    result.moves |= result.rules.known.contains(vip);
  }
  const bool keep = policy_of(service.config, decision.flip_why) == FlowPolicy::keep && !service.removed;
  for (auto& [comment, mappings] : leaving)
    result.departures.push_back({.mappings = std::move(mappings),
                                 .comment = comment,
                                 .keep_streams = keep,
                                 .due = now,
                                 .tell_after = tell_after(decision.flip_why)});

  std::vector<Mapping> fresh; // entries that were made before the rules would pin their senders
  for (const auto& [vip, target] : result.rules.target) {
    const auto old = service.loaded.target.find(vip);
    if (old != service.loaded.target.end() && old->second.server == target.server) continue;
    result.returning.push_back({vip, target.server});
    if (old == service.loaded.target.end()) fresh.push_back(untranslated(vip));
  }
  if (!fresh.empty())
    result.departures.push_back({.mappings = std::move(fresh), .comment = service.config.name, .untranslated = true, .due = now});
}

/// Stale keys of every protocol: the guard resets TCP by them, and after a crash they tell which cuts were not finished.
void add_stale(const Departure& departure, nat::Rules& rules) {
  if (departure.untranslated) return;
  for (const Mapping& mapping : departure.mappings) {
    if (departure.keep_streams && mapping.vip.protocol == Protocol::tcp) continue;
    const auto target = rules.target.find(mapping.vip);
    const bool is_target = target != rules.target.end() && target->second.server == mapping.server;
    if (!is_target) rules.stale[mapping] = departure.comment;
  }
}

} // namespace

Wanted wanted(const RunningService& service, const Decision& decision, Time now) {
  Wanted result;
  nat::Rules& rules = result.rules;
  for (const Vip& vip : service.config.listen) {
    rules.known[vip] = service.config.name;
    if (auto target = target_of(service, decision, vip)) rules.target[vip] = std::move(*target);
    if (decision.place == Place::none)
      rules.refused[vip] = {.refusal = service.config.on_none == OnNone::drop ? nat::Refusal::drop : nat::Refusal::reject,
                            .comment = service.config.name};
  }
  add_sources(service, rules);
  add_hold(service, rules);
  for (const auto& [vip, until] : service.moved_until)
    if (until > now) rules.moved[vip] = service.config.name;
  find_moves(service, decision, now, result);
  for (const auto* list : {&service.departures, &std::as_const(result.departures)})
    for (const Departure& departure : *list) add_stale(departure, rules);
  std::erase_if(rules.moved, [](const auto& entry) { return entry.first.protocol != Protocol::tcp; });
  return result;
}

Wanted frozen(const RunningService& service, Time now) {
  Wanted result;
  nat::Rules& rules = result.rules;
  const std::set<Vip> listed(service.config.listen.begin(), service.config.listen.end());
  const auto given_up = [&listed](const auto& entry) { return !listed.contains(entry.first); };
  rules.known = service.loaded.known;
  rules.target = service.loaded.target;
  rules.refused = service.loaded.refused;
  rules.source = service.loaded.source;
  std::erase_if(rules.known, given_up);
  std::erase_if(rules.target, given_up);
  std::erase_if(rules.refused, given_up);
  std::erase_if(rules.source, [&listed](const auto& entry) { return !listed.contains(entry.first.vip); });
  for (const auto& [vip, until] : service.moved_until)
    if (until > now && vip.protocol == Protocol::tcp) rules.moved[vip] = service.config.name;
  find_moves(service, {}, now, result);
  for (const auto* list : {&service.departures, &std::as_const(result.departures)})
    for (const Departure& departure : *list) add_stale(departure, rules);
  return result;
}

} // namespace hanat
