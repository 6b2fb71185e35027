// What the table says, as a value: the elements of its sets and maps. The same type describes one service's share, all of them,
// and what was read back from the kernel, so that "wanted against loaded" is a comparison.
// Not here: the table's fixed chains and rules (layout), bytes (transaction), the kernel (kernel).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "nat/address.hpp"

namespace hanat::nat {

/// How clients of a service without a target are answered.
enum class Refusal : std::uint8_t { reject, drop };

/// The source address that the server sees. hairpin: the gateway's, for clients whose answers would not pass the gateway; their own for all
/// others.
enum class SnatKind : std::uint8_t { none, masquerade, address, hairpin };
struct Snat {
  SnatKind kind = SnatKind::none;
  Address address; // of SnatKind::address only
  bool operator==(const Snat&) const = default;
};

struct Target {
  Endpoint server;
  std::string comment; // "web primary"
  bool operator==(const Target&) const = default;
};
struct Refused {
  Refusal refusal = Refusal::reject;
  std::string comment;
  bool operator==(const Refused&) const = default;
};
struct Source {
  Snat snat;
  std::string comment;
  bool operator==(const Source&) const = default;
};

struct Rules {
  std::map<Vip, std::string> known;     // every VIP of hanat's: without a target its packets are dropped; value: comment
  std::map<Vip, Target> target;         // where new flows go
  std::map<Vip, Refused> refused;       // answered at once, old flows too
  std::map<Mapping, std::string> stale; // TCP flows of this mapping are reset at their next packet
  std::map<Vip, std::string> moved;     // TCP in ct state invalid is reset (its entry was cut)
  std::map<Mapping, std::string> hold;  // TCP: a refusal by this server is kept from its client, once; somewhere else it would be served
  std::map<Mapping, Source> source;     // flows with a translated source; absent: the client's own address
  bool operator==(const Rules&) const = default;
  bool empty() const { return *this == Rules{}; }
};

} // namespace hanat::nat
