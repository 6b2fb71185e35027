// What the tests of plans share: a service of three virtual endpoints, its loaded state at each destination, and a plan for the next.
// Not here: what a plan should be.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/decision/desired_state.hpp"

namespace hanat::planning {

using namespace std::chrono_literals;

inline constexpr Time moment{1'000s};

inline Address address(const char* text) {
  const auto parsed = Address::parse(text);
  if (!parsed) throw std::invalid_argument(text);
  return *parsed;
}
inline Endpoint endpoint(const char* where, std::uint16_t port) { return {address(where), port}; }

inline const Vip tcp4{address("203.0.113.10"), Protocol::tcp, 443};
inline const Vip udp4{address("203.0.113.10"), Protocol::udp, 443};
inline const Vip tcp6{address("2001:db8::10"), Protocol::tcp, 443};
inline const std::array every_vip{tcp4, udp4, tcp6};

// The primary serves both families on a port of its own; the backup only IPv4, on the listener's port.
inline const Endpoint primary4 = endpoint("198.18.1.2", 8443);
inline const Endpoint primary6 = endpoint("fd00:1::2", 8443);
inline const Endpoint backup4 = endpoint("198.18.2.2", 443);

inline ServiceConfig web() {
  ServiceConfig service;
  service.name = "web";
  service.on_forced = {}; // what drains by default is a test's own
  service.listen.assign(every_vip.begin(), every_vip.end());
  service.servers = {
      {.role = "primary", .addresses = {primary4, primary6}, .snat = {nat::SnatKind::masquerade, {}}, .probes = {}},
      {.role = "backup", .addresses = {endpoint("198.18.2.2", 0)}, .snat = {nat::SnatKind::address, address("198.18.2.1")}, .probes = {}}};
  return service;
}

enum class Destination : std::uint8_t { undecided, primary, backup, none, removed };
inline constexpr std::array destinations{Destination::undecided, Destination::primary, Destination::backup, Destination::none,
                                         Destination::removed};
inline const char* word(Destination to) {
  return std::array{"undecided", "primary", "backup", "none", "removed"}.at(static_cast<std::size_t>(to));
}

inline std::map<Vip, nat::DnatTarget> targets_of(Destination to) {
  switch (to) {
  case Destination::primary:
    return {{tcp4, {primary4, "web primary"}}, {udp4, {primary4, "web primary"}}, {tcp6, {primary6, "web primary"}}};
  case Destination::backup: return {{tcp4, {backup4, "web backup"}}, {udp4, {backup4, "web backup"}}};
  case Destination::undecided:
  case Destination::none:
  case Destination::removed: return {};
  }
  return {};
}

/// What the kernel holds for the service once nothing is on its way any more; of an undecided one, when nothing was adopted.
inline nat::TableState settled(Destination to) {
  nat::TableState rules;
  if (to == Destination::removed) return rules;
  for (const Vip& vip : every_vip) rules.vips[vip] = "web";
  rules.dnat = targets_of(to);
  if (to == Destination::none)
    for (const Vip& vip : every_vip) rules.reject[vip] = {nat::Refusal::reject, "web"};
  for (const auto& [vip, target] : targets_of(Destination::primary))
    rules.snat[{vip, target.server}] = {{nat::SnatKind::masquerade, {}}, "web primary"};
  for (const auto& [vip, target] : targets_of(Destination::backup))
    rules.snat[{vip, target.server}] = {{nat::SnatKind::address, address("198.18.2.1")}, "web backup"};
  return rules;
}

inline ServiceState service_at(Destination to) {
  ServiceState service;
  service.config = web();
  service.loaded = settled(to);
  return service;
}

inline Decision decision_for(Destination to, Reason flip_reason = Reason::failover) {
  switch (to) {
  case Destination::undecided: return {};
  case Destination::primary: return {TargetKind::server, 0, Reason::primary_up, flip_reason, std::nullopt};
  case Destination::backup: return {TargetKind::server, 1, Reason::failover, flip_reason, std::nullopt};
  case Destination::none:
  case Destination::removed: return {TargetKind::none, 0, Reason::no_server_up, Reason::no_server_up, std::nullopt};
  }
  return {};
}

/// As a reload does it: no listeners, no servers, and no target.
inline void remove(ServiceState& service) {
  service.removed = true;
  ServiceConfig& config = service.config.edit();
  config.listen.clear();
  config.servers.clear();
}

inline Plan go(ServiceState& service, Destination to, Reason flip_reason = Reason::failover, Time when = moment) {
  if (to == Destination::removed) remove(service);
  return desired_state(service, decision_for(to, flip_reason), when);
}

/// What changes for a virtual endpoint between two sets of targets.
struct Moves {
  std::set<Mapping> leaving, arriving, untranslated_before;
};
inline Moves moves_between(const std::map<Vip, nat::DnatTarget>& from, const std::map<Vip, nat::DnatTarget>& to) {
  Moves moves;
  for (const Vip& vip : every_vip) {
    const bool had = from.contains(vip);
    const bool has = to.contains(vip);
    if (had && has && from.at(vip).server == to.at(vip).server) continue;
    if (had) moves.leaving.insert({vip, from.at(vip).server});
    if (has) moves.arriving.insert({vip, to.at(vip).server});
    if (has && !had) moves.untranslated_before.insert({vip, {vip.address, vip.port}});
  }
  return moves;
}

inline std::set<Mapping> as_set(const std::vector<Mapping>& mappings) { return {mappings.begin(), mappings.end()}; }
inline std::set<Mapping> mappings_of(const std::vector<Eviction>& evictions, bool untranslated) {
  std::set<Mapping> all;
  for (const Eviction& eviction : evictions)
    if (eviction.untranslated == untranslated) all.insert(eviction.mappings.begin(), eviction.mappings.end());
  return all;
}
inline std::set<Mapping> keys_of(const RareMap<Mapping, std::string>& stale) {
  std::set<Mapping> keys;
  for (const auto& [mapping, comment] : stale) keys.insert(mapping);
  return keys;
}

inline const FlowPolicy kept_policy{.action = FlowAction::keep, .time = {}};
inline const FlowPolicy a_minute{.action = FlowAction::drain, .time = 60s};

/// What hanatd does once the kernel has taken a change.
inline void apply(ServiceState& service, const Plan& change, Time when) {
  for (Eviction& old : service.evictions)
    std::erase_if(old.mappings, [&](const Mapping& mapping) {
      return std::ranges::count(change.returning, mapping) + std::ranges::count(change.ending, mapping) != 0;
    });
  std::erase_if(service.evictions, [](const Eviction& eviction) { return eviction.mappings.empty(); });
  for (const Eviction& eviction : change.evictions) {
    service.evictions.push_back(eviction);
    if (eviction.untranslated || eviction.drain) continue;
    for (const Mapping& mapping : eviction.mappings) service.recent_until[mapping.vip] = when + recent_for;
  }
  service.loaded = change.rules;
}

/// The flows of endpoints that are given up have been recorded.
inline void recorded(ServiceState& service) {
  for (Eviction& eviction : service.evictions)
    if (eviction.stage == CutStage::record) eviction.stage = CutStage::cut_recorded;
}

} // namespace hanat::planning
