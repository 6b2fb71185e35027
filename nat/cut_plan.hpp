// Which dumps find the flows of given mappings at the lowest price. Pure.
// Not here: what the kernel's filters are worth (ladder), deleting (cut).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nat/conntrack.hpp"

namespace hanat::nat {

/// What a filter of a dump may compare.
enum class Trust : std::uint8_t {
  nothing,
  ports,     // protocol and ports
  addresses, // these and addresses
};

/// The three shapes of filter that are ever sent, besides filter_of(): only these are proven.
Filter server_filter(const Mapping& mapping); // protocol and server's address
Filter ports_filter(const Mapping& mapping);  // protocol and both ports; of SCTP and of a range the protocol alone
Filter protocol_filter(Protocol protocol);

/// One dump, and the mappings whose entries it shows (and maybe others: compare).
struct Scan {
  Filter filter;
  std::vector<Mapping> mappings;
  bool operator==(const Scan&) const = default;
};

/// Dumps for mappings of one family, each without duplicates. `entries`: how many the kernel holds.
std::vector<Scan> plan(std::span<const Mapping> mappings, Trust trust, std::uint64_t entries);

} // namespace hanat::nat
