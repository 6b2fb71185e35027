// Which parts of an old endpoint are left, and their flows.
#include "daemon/decision/given_up.hpp"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

/// Everything that is loaded for a virtual endpoint stays; the stale keys, too, as a cut under way may be asking its clients: who answers
/// is reset by them, and Linux lets a connection answer such a segment once in 500 ms (tcp_invalid_ratelimit).
void keep_loaded(const nat::TableState& loaded, const Vip& vip, nat::TableState& rules) {
  const auto keep = [&vip](const auto& from, auto& into) {
    typename std::remove_cvref_t<decltype(from)>::key_type first{};
    if constexpr (std::is_same_v<decltype(first), Vip>)
      first = vip;
    else
      first.vip = vip;
    for (auto entry = from.lower_bound(first); entry != from.end() && vip_of(entry->first) == vip; ++entry) into.insert(*entry);
  };
  keep(loaded.vips, rules.vips);
  keep(loaded.dnat, rules.dnat);
  keep(loaded.reject, rules.reject);
  keep(loaded.snat, rules.snat);
  keep(loaded.stale, rules.stale);
}

/// Where flows of a part of a loaded endpoint may be: at its target, or by an earlier decision at another server.
void add_servers(const ServiceState& service, const Vip& vip, const Vip& part, std::vector<Mapping>& mappings) {
  if (const auto target = service.loaded.dnat.find(vip); target != service.loaded.dnat.end())
    mappings.push_back(part_of({vip, target->second.server}, part));
  for (const ServerConfig& server : service.config->servers)
    if (const auto endpoint = endpoint_for(server, part)) mappings.push_back({part, *endpoint});
}

} // namespace

Mapping part_of(const Mapping& mapping, const Vip& part) {
  if (part == mapping.vip) return mapping;
  return {.vip = part, .server = {.address = mapping.server.address, .port = is_range(part) ? std::uint16_t{0} : part.port}};
}

std::vector<Mapping> within(const Mapping& mapping, const std::map<Vip, std::string>& vips) {
  const Vip& vip = mapping.vip;
  std::vector<Mapping> parts;
  for_overlapping(vips, vip, [&](const auto& entry) {
    parts.push_back(
        part_of(mapping, with_ports(vip, std::max(vip.port, entry.first.port), std::min(last_port(vip), last_port(entry.first)))));
  });
  return parts;
}

std::vector<Vip> given_up_parts(const ServiceState& service, const std::map<Vip, std::string>& listed, const Vip& vip) {
  std::vector<Vip> others;
  for_overlapping(listed, vip, [&](const auto& entry) { others.push_back(entry.first); });
  for (const Vip& taken : service.ports_taken_over)
    if (overlap(taken, vip)) others.push_back(taken);
  if (others.empty()) return {vip};
  return without(vip, others);
}

void disown(const ServiceState& service, Time now, Plan& result) {
  nat::TableState& rules = result.rules;
  const auto is_listed = [&rules](const auto& entry) { return rules.vips.contains(entry.first); };
  if (service.evictions.empty() && std::ranges::all_of(service.loaded.vips, is_listed)) return;
  std::map<Vip, CutStage> begun; // for these endpoints
  std::vector<Mapping> mappings;
  for (const Eviction& old : service.evictions)
    for (const Mapping& mapping : old.mappings) {
      const bool listens = given_up_parts(service, rules.vips, mapping.vip) != std::vector{mapping.vip};
      if (old.given_up && !listens)
        begun[mapping.vip] = std::min(old.stage, begun.try_emplace(mapping.vip, old.stage).first->second);
      else if (old.given_up) // it is the service's again
        std::ranges::move(within(mapping, rules.vips), std::back_inserter(result.ending));
      else if (!listens && !old.drain)
        result.ending.push_back(mapping); // it goes on as part of this
      if (!old.given_up && !listens && !old.drain && !old.untranslated) mappings.push_back(mapping);
    }
  for (const auto& [vip, comment] : service.loaded.vips) {
    if (rules.vips.contains(vip)) continue;
    for (const Vip& part : given_up_parts(service, rules.vips, vip)) { // no two that are loaded overlap
      const auto stage = begun.find(part);
      if (stage == begun.end()) add_servers(service, vip, part, mappings);
      const auto has_part = [&part](const Mapping& mapping) { return overlap(mapping.vip, part); }; // perhaps of a cut under way
      const bool to_be_recorded = stage == begun.end() ? std::ranges::any_of(mappings, has_part) : stage->second == CutStage::record;
      if (part == vip && to_be_recorded) keep_loaded(service.loaded, vip, rules);
    }
  }
  std::ranges::sort(mappings);
  const auto duplicates = std::ranges::unique(mappings);
  mappings.erase(duplicates.begin(), duplicates.end());
  if (mappings.empty()) return;
  result.evictions.push_back({.mappings = std::move(mappings),
                              .comment = service.config->name,
                              .exact = true,
                              .given_up = true,
                              .stage = CutStage::record,
                              .due = now});
}

void leave_out(const std::vector<Mapping>& given_up, std::vector<Eviction>& evictions) {
  for (Eviction& eviction : evictions) {
    if (!eviction.given_up || eviction.drain_end) continue;
    std::vector<Mapping> left;
    for (const Mapping& mapping : eviction.mappings) std::ranges::move(without(mapping, given_up), std::back_inserter(left));
    eviction.mappings = std::move(left);
  }
  std::erase_if(evictions, [](const Eviction& eviction) { return eviction.mappings.empty(); });
}

} // namespace hanat
