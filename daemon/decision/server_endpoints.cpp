// Collects the servers of all services, and gives ranges of ports that overlap one element.
#include "daemon/decision/server_endpoints.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

/// What a packet from the mapping's server has as its source.
Vip source_of(const Mapping& mapping) {
  const Vip& vip = mapping.vip;
  const std::uint16_t port = is_range(vip) ? vip.port : mapping.server.port;
  return {.address = mapping.server.address, .protocol = vip.protocol, .port = port, .last = vip.last};
}

// A range with more of the ports from which a machine opens its own flows: its server, a client of others, would lose more than one in 28.
constexpr int own_ports_at_most = 1024;

/// The ports from which new flows are the service's, and not the server's own as a client of others. Stricter than may_open_from(), which
/// says whose a flow is that stands: what is dropped here never begins.
std::optional<Vip> opening_ports(const Mapping& mapping) {
  const Vip source = source_of(mapping);
  const int own = std::min(last_port(source), own_ports_last) - std::max(source.port, own_ports_first) + 1;
  if (own <= own_ports_at_most) return source;
  if (source.port >= own_ports_first) return std::nullopt;
  return with_ports(source, source.port, own_ports_first - 1);
}

/// The same ports, and no two entries that overlap. (The map is sorted by address, protocol and first port.)
nat::EndpointMap merged(const nat::EndpointMap& endpoints) {
  nat::EndpointMap result;
  for (const auto& [endpoint, comment] : endpoints) {
    const auto before = result.empty() ? result.end() : std::prev(result.end());
    if (before == result.end() || !overlap(before->first, endpoint)) {
      result.emplace_hint(result.end(), endpoint, comment);
    } else if (last_port(endpoint) > last_port(before->first)) {
      auto longer = result.extract(before);
      longer.key() = with_ports(endpoint, longer.key().port, last_port(endpoint));
      result.insert(std::move(longer));
    }
  }
  return result;
}

/// A server that speaks first would get no port of the virtual endpoint that a flow to another server still has.
bool has_uncut_flows(const ServiceState& service) {
  return std::ranges::any_of(service.evictions, [](const Eviction& eviction) {
    return !eviction.drain && !eviction.untranslated && eviction.stage == CutStage::cut_non_tcp;
  });
}

/// Of these endpoints, what is a target, or has flows that drain or are kept: new flows from there are nothing out of the way.
nat::EndpointMap serving(const Services& services, const nat::EndpointMap& endpoints) {
  nat::EndpointMap result;
  const auto add = [&](const Mapping& mapping) {
    const Vip source = source_of(mapping);
    for_overlapping(endpoints, source, [&](const auto&) { result.emplace(source, ""); });
  };
  for (const auto& service : services) {
    if (!has_uncut_flows(*service))
      for (const auto& [vip, target] : service->loaded.dnat) add({.vip = vip, .server = target.server});
    for (const Eviction& eviction : service->evictions)
      if (eviction.drain)
        for (const Mapping& mapping : eviction.mappings) add(mapping);
  }
  return merged(result);
}

} // namespace

nat::EndpointMap all_servers(const Services& services, bool all_protocols) {
  nat::EndpointMap result;
  const auto counts = [all_protocols](const Vip& vip) { return all_protocols || vip.protocol == Protocol::tcp; };
  for (const auto& service : services) {
    if (service->shadow) {
      for (const auto& [vip, target] : service->loaded.dnat)
        if (counts(vip)) result.emplace(source_of({.vip = vip, .server = target.server}), target.comment);
      continue;
    }
    for (const ServerConfig& server : service->config->servers)
      for (const Vip& vip : service->config->listen)
        if (const auto endpoint = endpoint_for(server, vip); endpoint && counts(vip)) {
          const Vip source = source_of({.vip = vip, .server = *endpoint});
          const auto place = result.lower_bound(source);
          if (place != result.end() && place->first == source) continue; // many services may share a server
          result.emplace_hint(place, source, fmt::format("{} {}", service->config->name, server.role));
        }
  }
  return merged(result);
}

nat::EndpointMap offloaded_endpoints(const Services& services) {
  nat::EndpointMap result;
  for (const auto& service : services)
    if (service->offloading == Offloading::on)
      for (const auto& [vip, comment] : service->loaded.vips)
        if (vip.protocol != Protocol::sctp) result.emplace(vip, service->config->name);
  return result;
}

void restore_displaced(const Services& services, const nat::EndpointMap& displaced, Time until) {
  if (displaced.empty()) return;
  for (const auto& service : services)
    for (const ServerConfig& server : service->config->servers)
      for (const Vip& vip : service->config->listen) {
        const auto endpoint = endpoint_for(server, vip);
        const auto target = service->loaded.dnat.find(vip);
        if (!endpoint || target == service->loaded.dnat.end() || target->second.server == *endpoint) continue;
        const Mapping mapping{.vip = vip, .server = *endpoint};
        if (const auto ports = opening_ports(mapping); ports && find_covering(displaced, *ports) != displaced.end())
          service->displaced_until[mapping] = until;
      }
}

nat::EndpointMap displaced_servers(const Services& services, Time now) {
  nat::EndpointMap displaced;
  for (const auto& service : services) {
    if (service->removed && service->evictions.empty()) continue; // it is about to be forgotten
    for (const auto& [mapping, until] : service->displaced_until)
      if (const auto ports = until > now ? opening_ports(mapping) : std::nullopt) displaced.emplace(*ports, service->config->name);
  }
  if (displaced.empty()) return displaced;
  displaced = merged(displaced);
  const nat::EndpointMap spared = serving(services, displaced);
  nat::EndpointMap result;
  for (const auto& [endpoint, comment] : displaced) {
    std::vector<Vip> others;
    for_overlapping(spared, endpoint, [&](const auto& entry) { others.push_back(entry.first); });
    for (const Vip& left : without(endpoint, others)) result.emplace(left, comment);
  }
  return result;
}

} // namespace hanat
