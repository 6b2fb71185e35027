// Chooses the dumps that find the flows of given mappings at the lowest cost. Pure.
// Not here: which filters the kernel supports (capabilities), deleting (cut).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nat/conntrack/messages.hpp"

namespace hanat::nat {

/// What a dump's filter may compare.
enum class FilterSupport : std::uint8_t {
  nothing,
  ports,     // protocol and ports
  addresses, // protocol, ports and addresses
};

/// Besides filter_of(), only these filters are sent, and only these are checked by detect().
Filter server_filter(const Mapping& mapping); // protocol and server address
Filter ports_filter(const Mapping& mapping);  // protocol and both ports; for SCTP and for a range only the protocol
Filter protocol_filter(Protocol protocol);

/// One dump and the mappings whose entries it shows. It may show others too, so the caller compares.
struct Scan {
  Filter filter;
  std::vector<Mapping> mappings;
  bool operator==(const Scan&) const = default;
};

/// Plans the dumps for mappings of one family, which has no duplicates. `entries`: the number of entries in the kernel.
std::vector<Scan> plan(std::span<const Mapping> mappings, FilterSupport support, std::uint64_t entries);

} // namespace hanat::nat
