// Which flows conntrack may hold of hanat's virtual endpoints, for a comparison with those that it does hold. Pure.
// Not here: what is wanted (daemon), reading conntrack (cut).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "nat/address.hpp"
#include "nat/port_range.hpp"

namespace hanat::nat {

class Ledger {
public:
  /// A virtual endpoint of hanat's: its flows may be at these servers, and nowhere else.
  void allow(const Vip& vip, std::span<const Endpoint> servers);
  /// One that is hanat's no more: of its flows only those at this server are hanat's to end.
  void give_up(const Mapping& mapping);
  /// These are known to be there, wherever they should be.
  void spare(const Mapping& mapping) { spared_.insert(mapping); }

  /// Can flows of the family stray at all?
  bool about(Family family) const { return families_.contains(family); }
  /// The mapping whose flow an entry is, if it has no place here; of a range that keeps its ports, all of the range. What never was hanat's
  /// has a place.
  std::optional<Mapping> stray(const Mapping& entry) const;

private:
  struct Hash {
    std::size_t operator()(const Vip& vip) const noexcept;
  };
  struct Known {
    Vip vip;
    const std::vector<Endpoint>* servers = nullptr; // none: not hanat's
  };
  Known known(const Vip& vip) const;

  std::unordered_map<Vip, std::vector<Endpoint>, Hash> allowed_;
  std::map<Vip, std::vector<Endpoint>> allowed_ranges_;
  FlowSet given_up_, spared_;
  std::set<Family> families_;
};

} // namespace hanat::nat
