// Reads how many new flows the kernel has given to each server: the counters of virtual endpoints, with the servers that they have now. A
// range's counter is at its element of the DNAT map, which counts from zero again when it is replaced, as by a flip. The reader has its own
// netlink socket, so it may live on a worker thread. Not here: sums over time (report/flow_totals).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nat/nftables/element_dump.hpp"
#include "nat/nftables/set_elements.hpp"

namespace hanat::nat {

struct FlowCount {
  std::string element; // the set's name and the key's bytes: the same in every read
  std::string comment; // as hanatd wrote it: "SERVICE SERVER"; empty: there is no server
  std::uint64_t flows = 0;
  bool restarts = true; // with another server
  bool operator==(const FlowCount&) const = default;
};

/// Those in one message of a dump; without a counter 0. Pure.
std::vector<FlowCount> flow_counts_in(const std::string& name, const nftnl_set& set);

class FlowCountReader {
public:
  /// Throws std::system_error.
  explicit FlowCountReader(std::string table) : dump_(std::move(table)) {}
  /// Of all virtual endpoints. Throws std::system_error, as when there is no table.
  std::vector<FlowCount> read();

private:
  std::vector<FlowCount> read(const std::vector<std::string>& maps);

  ElementDump dump_;
};

} // namespace hanat::nat
