// The source address that a server sees, as a value. Not here: which flows get it (nftables/table_state.hpp).
#pragma once

#include <cstdint>

#include "nat/address.hpp"

namespace hanat::nat {

/// The source address that the server sees. hairpin: the gateway's for clients whose replies would not pass the gateway, and the client's
/// own for all others.
enum class SnatKind : std::uint8_t { none, masquerade, address, hairpin };
struct Snat {
  SnatKind kind = SnatKind::none;
  Address address; // only for SnatKind::address
  bool operator==(const Snat&) const = default;
};

} // namespace hanat::nat
