// Virtual endpoints that are ranges of ports, and mappings of them: which flows belong to which. A map of virtual endpoints never holds two
// that overlap, which is what makes a look-up by port possible. Pure. Not here: the kernel's sets of ranges (elements).
#pragma once

#include <cstdint>
#include <iterator>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "nat/address.hpp"

namespace hanat {

/// Do they share a port?
bool overlap(const Vip& one, const Vip& other);
/// Does `outer` have every port of `inner`?
bool covers(const Vip& outer, const Vip& inner);
/// Is there a flow of both?
bool share_flows(const Mapping& one, const Mapping& other);

/// Calls `visit` for each entry of an ordered map of virtual endpoints that overlaps `vip`.
template <typename Map, typename Visit> void for_overlapping(Map& map, const Vip& vip, const Visit& visit) {
  Vip behind = vip; // no key that begins at a lower port, or at the same one, comes after it
  behind.last = UINT16_MAX;
  auto next = map.upper_bound(behind);
  if (next != map.begin())
    if (const auto before = std::prev(next); overlap(before->first, vip)) visit(*before);
  for (; next != map.end() && overlap(next->first, vip); ++next) visit(*next);
}

/// The entry whose virtual endpoint has all ports of `vip`; end() when there is none.
template <typename Map> auto find_covering(Map& map, const Vip& vip) {
  Vip behind = vip;
  behind.last = UINT16_MAX;
  const auto next = map.upper_bound(behind);
  if (next == map.begin()) return map.end();
  const auto before = std::prev(next);
  return covers(before->first, vip) ? before : map.end();
}

/// The ports first..last of the same address and protocol; one port is no range.
Vip with_ports(const Vip& vip, std::uint16_t first, std::uint16_t last);
/// What of a virtual endpoint is left without the ports of others.
std::vector<Vip> without(const Vip& vip, std::span<const Vip> others);
/// What of a mapping is left without the flows of others. A flow of a range keeps its port, and so do those of its parts.
std::vector<Mapping> without(const Mapping& mapping, std::span<const Mapping> others);

/// Mappings, asked whether they share flows with others. Exact ones are found at once; ranges are few.
class FlowSet {
public:
  FlowSet() = default;
  explicit FlowSet(std::span<const Mapping> mappings);
  void insert(const Mapping& mapping);
  /// One of them that shares flows with this one; nullptr: none does.
  const Mapping* meeting(const Mapping& mapping) const;

private:
  std::set<Mapping> exact_;
  std::vector<Mapping> ranges_;
};

/// Mappings by the conntrack entries that belong to them.
class MappingIndex {
public:
  explicit MappingIndex(std::span<const Mapping> mappings);
  /// The mapping that an entry's flow belongs to: the very same one, or a range whose port the flow has kept. nullptr: none.
  const Mapping* find(const Mapping& entry) const;

private:
  struct Hash {
    std::size_t operator()(const Mapping& mapping) const noexcept;
  };
  std::unordered_set<Mapping, Hash> exact_;
  std::unordered_map<Mapping, std::vector<Mapping>, Hash> ranges_; // by both addresses and the protocol, in order of their first ports
};

} // namespace hanat
