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
  /// Adds a virtual endpoint of hanat: its flows may go to these servers only. `all`: the servers of the service, with those where no flow
  /// may be.
  void expect(const Vip& vip, std::span<const Endpoint> servers, std::span<const Endpoint> all = {});
  /// Adds a mapping of a virtual endpoint that is no longer hanat's: only its flows to this server are unexpected.
  void disown(const Mapping& mapping);
  /// The flows of this mapping are never unexpected.
  void ignore(const Mapping& mapping) { ignored_.insert(mapping); }

  /// Whether flows of the family can be unexpected at all.
  bool about(Family family) const { return families_.contains(family); }
  /// The mapping of an entry, if its flow is not expected; nullopt otherwise. For a flow of a range that kept its port: the whole range.
  /// Flows of endpoints that were never hanat's are expected.
  std::optional<Mapping> unexpected(const Mapping& entry) const;
  /// The same for a flow that the server opened. Only flows of the service's own servers: many machines behind the gateway may have the
  /// address of a virtual endpoint as their source, and a range has their ports. Endpoints that are no longer hanat's are left alone: they
  /// may be the source of anybody now.
  std::optional<Mapping> unexpected_from_server(const Mapping& entry) const;

private:
  struct Servers {
    std::vector<Endpoint> expected, all;
  };
  struct Hash {
    std::size_t operator()(const Vip& vip) const noexcept;
  };
  struct Listed {
    Vip vip;
    const Servers* servers = nullptr; // nullptr: not hanat's
  };
  Listed find(const Vip& vip) const;

  std::unordered_map<Vip, Servers, Hash> expected_;
  std::map<Vip, Servers> expected_ranges_;
  FlowSet disowned_, ignored_;
  std::set<Family> families_;
};

} // namespace hanat::nat
