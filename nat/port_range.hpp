// Virtual endpoints that are ranges of ports, and their mappings: which flow belongs to which. A map of virtual endpoints never holds two
// that overlap, so that a lookup by port is possible. Pure. Not here: the kernel's sets of ranges (nftables/set_elements).
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
/// Can one flow belong to both?
bool share_flows(const Mapping& one, const Mapping& other);

/// A machine opens its own flows (as a client of others) from these ports: Linux' default of net.ipv4.ip_local_port_range. Windows and the
/// BSDs use the upper part of them, up to 65535.
inline constexpr std::uint16_t own_ports_first = 32'768, own_ports_last = 60'999;
/// Whether a flow that a server opened from this port of the endpoint belongs to the service. A range that has all ports from which a
/// machine opens its own flows ("*") cannot tell them apart: from these ports they are the server's own. From any other port, and with a
/// narrower range, they are the service's.
bool may_open_from(const Vip& vip, std::uint16_t port);

/// Calls `visit` for each entry of an ordered map of virtual endpoints that overlaps `vip`.
template <typename Map, typename Visit> void for_overlapping(Map& map, const Vip& vip, const Visit& visit) {
  Vip behind = vip; // sorts after every key that begins at this port or a lower one
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

/// The ports first..last of the same address and protocol. A single port becomes a plain endpoint, not a range.
Vip with_ports(const Vip& vip, std::uint16_t first, std::uint16_t last);
/// The parts of a virtual endpoint that remain without the ports of others.
std::vector<Vip> without(const Vip& vip, std::span<const Vip> others);
/// The parts of a mapping that remain without the flows of others. Like flows of a range, flows of its parts keep their port.
std::vector<Mapping> without(const Mapping& mapping, std::span<const Mapping> others);

/// A set of mappings, to find one that shares flows with a given mapping. Exact ones are found by key; ranges are few and searched.
class FlowSet {
public:
  FlowSet() = default;
  explicit FlowSet(std::span<const Mapping> mappings);
  void insert(const Mapping& mapping);
  /// A member that shares flows with this mapping; nullptr: none.
  const Mapping* meeting(const Mapping& mapping) const;

private:
  std::set<Mapping> exact_;
  std::vector<Mapping> ranges_;
};

/// Finds the mapping that a conntrack entry belongs to.
class MappingIndex {
public:
  explicit MappingIndex(std::span<const Mapping> mappings);
  /// The mapping of an entry's flow: the same one, or a range, if the flow kept its port. nullptr: none.
  const Mapping* find(const Mapping& entry) const;
  /// The same for a flow that the server opened: see may_open_from().
  const Mapping* find_opened_by_server(const Mapping& entry) const;

private:
  struct Hash {
    std::size_t operator()(const Mapping& mapping) const noexcept;
  };
  std::unordered_set<Mapping, Hash> exact_;
  std::unordered_map<Mapping, std::vector<Mapping>, Hash> ranges_; // by both addresses and the protocol, sorted by first port
};

} // namespace hanat
