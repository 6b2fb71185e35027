// New flows by service and server, summed over reads of the kernel's counters. Between two reads the server that has the traffic at the
// second one gets all; what the element of a range counted between the last read and its replacement is lost: the sums are a picture of
// traffic, no account. Pure. Not here: reading (flow_counter).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "nat/nftables/flow_counts.hpp"

namespace hanat {

class FlowTotals {
public:
  /// One read, of all elements. The first one is what later ones are compared with.
  void add(std::span<const nat::FlowCount> counts);
  using Sums = std::unordered_map<std::string, std::uint64_t>; // by "SERVICE SERVER", since the first read
  const Sums& sums() const { return totals_; }

private:
  struct Seen {
    std::string server; // "SERVICE SERVER"
    std::uint64_t flows = 0;
  };
  bool begun_ = false;
  std::unordered_map<std::string, Seen> last_; // by element
  Sums totals_;
};

/// Of one server.
std::uint64_t sum_of(const FlowTotals::Sums& sums, const std::string& service, const std::string& server);

} // namespace hanat
