// The variable part of the table as a value: the elements of its sets and maps. The same type describes the part of one service, of all
// services, and what was read back from the kernel, so that desired and loaded state can be compared.
// Not here: the fixed sets, chains and rules (layout), bytes (transaction), the kernel (table).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "nat/address.hpp"
#include "nat/rare_map.hpp"
#include "nat/snat.hpp"

namespace hanat::nat {

/// What happens to clients of a service without a target; reject_new: only to new flows, where the target may be back in a moment.
enum class Refusal : std::uint8_t { reject, drop, reject_new };

struct DnatTarget {
  Endpoint server;
  std::string comment; // "web primary"
  bool operator==(const DnatTarget&) const = default;
};
struct Reject {
  Refusal refusal = Refusal::reject;
  std::string comment;
  bool operator==(const Reject&) const = default;
};
struct SnatRule {
  Snat snat;
  std::string comment;
  bool operator==(const SnatRule&) const = default;
};

struct TableState {
  std::map<Vip, std::string> vips;     // every VIP of hanat: without a target its packets are dropped; value: comment
  std::map<Vip, DnatTarget> dnat;      // the server of new flows
  RareMap<Vip, Reject> reject;         // rejected or dropped at once, existing flows too
  RareMap<Mapping, std::string> stale; // TCP flows of this mapping are reset at their next packet
  RareMap<Vip, std::string> recent;    // the target changed recently: TCP in ct state invalid is reset (its entry was deleted)
  std::map<Mapping, std::string> hold; // a refusal by this server is held once, since another server may take over
  RareMap<Mapping, SnatRule> snat;     // flows with a translated source; absent: the client's own address
  bool operator==(const TableState&) const = default;
  bool empty() const { return *this == TableState{}; }
};

/// The loaded and the desired state of one service.
struct Step {
  const TableState& from;
  const TableState& to;
};

/// Endpoints of servers, as packets from there show them: address . protocol . source port, or a range of ports. Services share servers, so
/// these elements belong to no service alone, and they are not part of a TableState. No two overlap. Value: comment.
using EndpointMap = std::map<Vip, std::string>;

/// Calls `visit` once for each map, with that map of every given state. The only place that lists the maps.
template <typename Visit, typename... States> void for_each_set(const Visit& visit, States&... states) {
  visit(states.vips...);
  visit(states.dnat...);
  visit(states.reject...);
  visit(states.stale...);
  visit(states.recent...);
  visit(states.hold...);
  visit(states.snat...);
}

} // namespace hanat::nat
