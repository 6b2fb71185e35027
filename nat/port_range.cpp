// Port intervals: overlaps, differences, and lookups by mapping.
#include "nat/port_range.hpp"

#include <algorithm>

namespace hanat {
namespace {

bool same_address_and_protocol(const Vip& one, const Vip& other) { return one.address == other.address && one.protocol == other.protocol; }

/// Whether flows of the mapping keep their port on the way to the server.
bool keeps_port(const Mapping& mapping) { return mapping.server.port == 0 || mapping.server.port == mapping.vip.port; }

Mapping without_ports(Mapping mapping) {
  mapping.vip.port = mapping.vip.last = mapping.server.port = 0;
  return mapping;
}

} // namespace

bool overlap(const Vip& one, const Vip& other) {
  return same_address_and_protocol(one, other) && one.port <= last_port(other) && other.port <= last_port(one);
}

bool covers(const Vip& outer, const Vip& inner) {
  return same_address_and_protocol(outer, inner) && outer.port <= inner.port && last_port(inner) <= last_port(outer);
}

bool share_flows(const Mapping& one, const Mapping& other) {
  if (!overlap(one.vip, other.vip) || one.server.address != other.server.address) return false;
  if (is_range(one.vip) || is_range(other.vip)) return keeps_port(one) && keeps_port(other);
  return one.server.port == other.server.port;
}

bool may_open_from(const Vip& vip, std::uint16_t port) {
  const bool has_own_ports = vip.port <= own_ports_first && last_port(vip) >= own_ports_last;
  return !has_own_ports || port < own_ports_first;
}

Vip with_ports(const Vip& vip, std::uint16_t first, std::uint16_t last) {
  return {.address = vip.address, .protocol = vip.protocol, .port = first, .last = first == last ? std::uint16_t{0} : last};
}

std::vector<Vip> without(const Vip& vip, std::span<const Vip> others) {
  std::vector<Vip> left{vip};
  for (const Vip& other : others) {
    std::vector<Vip> next;
    for (const Vip& part : left) {
      if (!overlap(part, other)) {
        next.push_back(part);
        continue;
      }
      if (part.port < other.port) next.push_back(with_ports(part, part.port, static_cast<std::uint16_t>(other.port - 1)));
      if (last_port(other) < last_port(part))
        next.push_back(with_ports(part, static_cast<std::uint16_t>(last_port(other) + 1), last_port(part)));
    }
    left = std::move(next);
  }
  return left;
}

std::vector<Mapping> without(const Mapping& mapping, std::span<const Mapping> others) {
  std::vector<Vip> shared;
  for (const Mapping& other : others)
    if (share_flows(mapping, other)) shared.push_back(other.vip);
  if (shared.empty()) return {mapping};
  std::vector<Mapping> left;
  for (const Vip& part : without(mapping.vip, shared)) {
    const std::uint16_t port = is_range(part) ? std::uint16_t{0} : part.port; // nothing remains of an exact one
    left.push_back({.vip = part, .server = {.address = mapping.server.address, .port = port}});
  }
  return left;
}

FlowSet::FlowSet(std::span<const Mapping> mappings) {
  for (const Mapping& mapping : mappings) insert(mapping);
}

void FlowSet::insert(const Mapping& mapping) {
  if (is_range(mapping.vip))
    ranges_.push_back(mapping);
  else
    exact_.insert(mapping);
}

const Mapping* FlowSet::meeting(const Mapping& mapping) const {
  const auto shares = [&](const Mapping& other) { return share_flows(mapping, other); };
  const auto exact = is_range(mapping.vip) ? std::ranges::find_if(exact_, shares) : exact_.find(mapping);
  if (exact != exact_.end()) return &*exact;
  const auto range = std::ranges::find_if(ranges_, shares);
  return range == ranges_.end() ? nullptr : &*range;
}

MappingIndex::MappingIndex(std::span<const Mapping> mappings) {
  exact_.reserve(mappings.size());
  for (const Mapping& mapping : mappings)
    if (is_range(mapping.vip))
      ranges_[without_ports(mapping)].push_back(mapping);
    else
      exact_.insert(mapping);
  for (auto& [key, list] : ranges_) std::ranges::sort(list);
}

const Mapping* MappingIndex::find(const Mapping& entry) const {
  if (const auto found = exact_.find(entry); found != exact_.end()) return &*found;
  if (ranges_.empty() || !keeps_port(entry)) return nullptr;
  const auto ranges = ranges_.find(without_ports(entry));
  if (ranges == ranges_.end()) return nullptr;
  const auto& list = ranges->second;
  // Mappings may overlap, so the search goes back to the first range.
  for (auto next = std::ranges::upper_bound(list, entry.vip.port, {}, [](const Mapping& mapping) { return mapping.vip.port; });
       next != list.begin();)
    if (covers((--next)->vip, entry.vip)) return &*next;
  return nullptr;
}

const Mapping* MappingIndex::find_opened_by_server(const Mapping& entry) const {
  const Mapping* found = find(entry);
  return found != nullptr && may_open_from(found->vip, entry.vip.port) ? found : nullptr;
}

std::size_t MappingIndex::Hash::operator()(const Mapping& mapping) const noexcept {
  const auto mix = [](std::size_t seed, std::size_t value) { return (seed ^ value) * 0x9e3779b97f4a7c15U; };
  const std::size_t ports =
      (std::size_t{mapping.vip.port} << 24U) | (std::size_t{mapping.server.port} << 8U) | static_cast<std::size_t>(mapping.vip.protocol);
  return mix(mix(mix(0, std::hash<Address>{}(mapping.vip.address)), std::hash<Address>{}(mapping.server.address)), ports);
}

} // namespace hanat
