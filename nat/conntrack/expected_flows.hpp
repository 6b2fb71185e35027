// The flows that conntrack may hold for hanat's virtual endpoints, to be compared with those that it does hold. Pure.
// Not here: the current targets (daemon), reading conntrack (cut).
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

class ExpectedFlows {
public:
  /// Adds a virtual endpoint of hanat: its flows may go to these servers only.
  void expect(const Vip& vip, std::span<const Endpoint> servers);
  /// Adds a mapping of a virtual endpoint that is no longer hanat's: only its flows to this server are unexpected.
  void disown(const Mapping& mapping);
  /// The flows of this mapping are never unexpected.
  void ignore(const Mapping& mapping) { ignored_.insert(mapping); }

  /// Whether flows of the family can be unexpected at all.
  bool about(Family family) const { return families_.contains(family); }
  /// The mapping of an entry, if its flow is not expected; nullopt otherwise. For a flow of a range that kept its port: the whole range.
  /// Flows of endpoints that were never hanat's are expected.
  std::optional<Mapping> unexpected(const Mapping& entry) const;

private:
  struct Hash {
    std::size_t operator()(const Vip& vip) const noexcept;
  };
  struct Listed {
    Vip vip;
    const std::vector<Endpoint>* servers = nullptr; // nullptr: not hanat's
  };
  Listed find(const Vip& vip) const;

  std::unordered_map<Vip, std::vector<Endpoint>, Hash> expected_;
  std::map<Vip, std::vector<Endpoint>> expected_ranges_;
  FlowSet disowned_, ignored_;
  std::set<Family> families_;
};

} // namespace hanat::nat
