// From a decision to rules.
#include "daemon/wanted.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "nat/port_range.hpp"

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
  return {};
}

/// A move that somebody planned, away from a server that serves.
bool is_planned(Why flip_why) { return flip_why == Why::forced || flip_why == Why::failback; }

/// Its clients may be told a moment later.
Clock::duration tell_after(Why flip_why) {
  constexpr std::chrono::milliseconds moment{50};
  return is_planned(flip_why) ? moment : Clock::duration{};
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
      const bool fits = server.snat.kind != nat::SnatKind::address || server.snat.address.family() == vip.address.family();
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
    if (rules.known.contains(mapping.vip) && target_in(service.loaded, mapping.vip) != target_in(rules, mapping.vip))
      rules.hold.emplace(mapping, comment); // until the next look
  if (!service.config.hold || service.force) return;
  for (const auto& [vip, target] : rules.target)
    if (vip.protocol == Protocol::tcp && target_in(service.loaded, vip) == target.server && another_may_do(service, vip, target.server))
      rules.hold.emplace(Mapping{vip, target.server}, target.comment);
}

/// The server of the configuration that a mapping leads to; nullptr: none any more.
const RunningServer* server_of(const RunningService& service, const Mapping& mapping) {
  for (std::size_t index = 0; index < service.servers.size(); ++index)
    if (endpoint_for(service.config.servers[index], mapping.vip) == mapping.server) return &service.servers[index];
  return nullptr;
}

/// Which flows may not stay where they are, whatever the policy says? Datagrams of a dead server never end by themselves, and who waits
/// for one that answers nothing waits for ever; but "keep" is the operator's word for TCP.
std::optional<DrainEnd> forbidden(const RunningService& service, const Decision& decision, const nat::Rules& rules, const Mapping& mapping,
                                  FlowFate fate) {
  if (service.removed || find_covering(rules.known, mapping.vip) == rules.known.end()) return DrainEnd::given_up;
  if (decision.place == Place::none) return DrainEnd::no_target;
  const RunningServer* server = server_of(service, mapping);
  if (server == nullptr || server->health != Health::down) return std::nullopt;
  if (mapping.vip.protocol != Protocol::tcp) return DrainEnd::dead;
  if (fate == FlowFate::drain && is_silent(*server)) return DrainEnd::silent;
  return std::nullopt;
}

/// The flows of one server leave, some of them later. Datagrams drain apart from streams: a drain may end for them alone.
void depart(const RunningService& service, const Decision& decision, Time now, const std::string& comment,
            const std::vector<Mapping>& mappings, Wanted& result) {
  const FlowPolicy policy = policy_of(service.config, decision.flip_why);
  std::vector<Mapping> going;
  std::vector<Mapping> streams;
  std::vector<Mapping> datagrams;
  for (const Mapping& mapping : mappings) {
    const bool stream = mapping.vip.protocol == Protocol::tcp;
    const bool stays = policy.fate != FlowFate::reset && (stream || is_planned(decision.flip_why)) &&
                       !forbidden(service, decision, result.rules, mapping, policy.fate);
    (!stays ? going : stream ? streams : datagrams).push_back(mapping);
  }
  const auto add = [&](std::vector<Mapping>& part, std::optional<Drain> drain) {
    if (part.empty()) return;
    result.departures.push_back(
        {.mappings = std::move(part), .comment = comment, .drain = drain, .due = now, .tell_after = tell_after(decision.flip_why)});
  };
  add(going, std::nullopt);
  Drain drain{.since = now};
  if (policy.fate == FlowFate::drain) drain.until = now + policy.time;
  add(streams, drain);
  drain.told = true; // whom a datagram's server refused knows it
  add(datagrams, drain);
}

/// What of a mapping no target of these takes on, nor another service. All of it, but where a range of ports was given other borders.
std::vector<Mapping> not_taken_on(const Mapping& mapping, const std::map<Vip, nat::Target>& targets, const std::vector<Vip>& taken) {
  std::vector<Mapping> stays;
  for_overlapping(targets, mapping.vip, [&](const auto& entry) { stays.push_back({.vip = entry.first, .server = entry.second.server}); });
  for (const Vip& vip : taken)
    if (overlap(vip, mapping.vip)) stays.push_back({.vip = vip, .server = {.address = mapping.server.address, .port = 0}});
  return without(mapping, stays);
}

/// Drains that are over: their flows go now, the usual way.
void end_drains(const RunningService& service, const Decision& decision, Time now, Wanted& result) {
  for (const Departure& departure : service.departures) {
    if (!departure.drain) continue;
    const Drain& drain = *departure.drain;
    const bool over = drain.until && *drain.until <= now;
    std::map<DrainEnd, std::vector<Mapping>> ends;
    for (const Mapping& mapping : departure.mappings) {
      if (not_taken_on(mapping, result.rules.target, {}).empty()) continue; // void
      if (over)
        ends[DrainEnd::time].push_back(mapping);
      else if (const auto end = forbidden(service, decision, result.rules, mapping, drain.until ? FlowFate::drain : FlowFate::keep))
        ends[*end].push_back(mapping);
    }
    for (auto& [end, mappings] : ends) {
      result.ending.insert(result.ending.end(), mappings.begin(), mappings.end());
      result.departures.push_back(
          {.mappings = std::move(mappings), .comment = departure.comment, .drain_end = end, .due = now, .flip = departure.flip});
    }
  }
}

/// Compares what stands with what shall stand: old mappings depart, new ones return.
void find_moves(const RunningService& service, const Decision& decision, Time now, Wanted& result) {
  std::map<std::string, std::vector<Mapping>> leaving; // by the comment of the loaded target: service and server
  for (const auto& [vip, old] : service.loaded.target) {
    const auto next = result.rules.target.find(vip);
    if (next != result.rules.target.end() && next->second.server == old.server) continue;
    for (const Mapping& part : not_taken_on({vip, old.server}, result.rules.target, service.taken)) leaving[old.comment].push_back(part);
    result.moves |= result.rules.known.contains(vip);
  }
  for (auto& [comment, mappings] : leaving) depart(service, decision, now, comment, mappings, result);

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
  if (departure.untranslated || departure.drain) return;
  for (const Mapping& mapping : departure.mappings)
    for (const Mapping& part : not_taken_on(mapping, rules.target, {})) rules.stale[part] = departure.comment;
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
  end_drains(service, decision, now, result);
  for (const auto* list : {&service.departures, &std::as_const(result.departures)})
    for (const Departure& departure : *list) add_stale(departure, rules);
  std::erase_if(rules.moved, [](const auto& entry) { return entry.first.protocol != Protocol::tcp; });
  return result;
}

Wanted frozen(const RunningService& service, Time now) {
  Wanted result;
  nat::Rules& rules = result.rules;
  const std::set<Vip> listed(service.config.listen.begin(), service.config.listen.end()); // a range of other borders is another one
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
  end_drains(service, {}, now, result);
  for (const auto* list : {&service.departures, &std::as_const(result.departures)})
    for (const Departure& departure : *list) add_stale(departure, rules);
  return result;
}

} // namespace hanat
