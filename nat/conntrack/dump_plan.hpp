// Chooses the dumps that find the flows of given mappings at the lowest cost. Pure.
// Not here: which filters the kernel supports (capabilities), comparing what a dump shows (flow_finder), deleting (cut).
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

/// The filters that the kernel supports, by what they look for.
struct Filters {
  FilterSupport opened_by_client = FilterSupport::nothing;
  FilterSupport opened_by_server = FilterSupport::nothing;
  bool related = false;
  bool operator==(const Filters&) const = default;
};

/// Which flows of a mapping are meant. Nearly all are opened by clients, so these come first where time matters.
enum class FlowScope : std::uint8_t {
  clients, // flows that clients opened
  others,  // flows that the server opened, and flows that are related to one of the mapping (FTP data, TFTP)
  all,
};

/// Besides filter_of(), only these filters are sent, and only these are checked by detect().
Filter server_filter(const Mapping& mapping, Opener opener = Opener::client); // protocol and server address
Filter ports_filter(const Mapping& mapping, Opener opener = Opener::client);  // both ports; for SCTP and for a range only the protocol
Filter protocol_filter(Protocol protocol);
Filter related_filter();

/// One dump, the mappings whose entries it shows, and which of their flows are looked for. It may show others too, so the caller compares.
struct Scan {
  Filter filter;
  std::vector<Mapping> mappings;
  bool opened_by_client = false, opened_by_server = false, related = false;
  bool operator==(const Scan&) const = default;
};

/// Plans the dumps for mappings of one family, which has no duplicates. `entries`: the number of entries in the kernel. Scans for flows
/// that clients opened come first.
std::vector<Scan> plan(std::span<const Mapping> mappings, const Filters& filters, std::uint64_t entries, FlowScope scope);

} // namespace hanat::nat
