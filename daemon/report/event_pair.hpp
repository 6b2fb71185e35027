// What happens to a gateway of a pair, as values. Not here: all other events (event), their sentences (event_text_pair).
#pragma once

#include <optional>
#include <string>

#include "daemon/pair/role.hpp"
#include "nat/address.hpp"

namespace hanat::events {

struct RoleChanged {
  Role from = Role::alone, to = Role::alone;
  std::optional<Settled> settled = {}; // only of a change to active
  Clock::duration after{};             // since the address came
  Address address;                     // of the pair; unspecified: there is none any more
  std::string by = {};                 // who said that it is settled; empty: nobody
  bool operator==(const RoleChanged&) const = default;
};
/// The source address of a service is the gateway's own: connections cannot go on at the other one.
struct MasqueradeInPair {
  std::string server; // its role
  Address address;    // that the pair shares
  bool operator==(const MasqueradeInPair&) const = default;
};
/// keepalived reads what the file said last.
struct TrackFileNotWritten {
  std::string error;
  bool operator==(const TrackFileNotWritten&) const = default;
};

} // namespace hanat::events
