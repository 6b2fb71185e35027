// Which flows conntrack may hold of hanat's virtual endpoints, for a comparison with those that it does hold. Pure.
// Not here: what is wanted (daemon), reading conntrack (cut).
#pragma once

#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "nat/address.hpp"

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
  /// Has a flow no place here? What never was hanat's has one.
  bool strays(const Mapping& mapping) const;

private:
  struct Hash {
    std::size_t operator()(const Vip& vip) const noexcept;
  };
  std::unordered_map<Vip, std::vector<Endpoint>, Hash> allowed_;
  std::set<Mapping> given_up_, spared_;
  std::set<Family> families_;
};

} // namespace hanat::nat
