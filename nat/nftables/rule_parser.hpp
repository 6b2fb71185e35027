// What a rule of any program does, as far as it can be read: its conditions on a packet, its verdict, and its comment. Knows the
// expressions of nft and the matches and targets of iptables-nft. Pure. Not here: reading rules (foreign_rules), whether a packet matches
// (daemon/doctor/rule_checks).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nat/address.hpp"

struct nftnl_rule;

namespace hanat::nat {

enum class RuleAction : std::uint8_t {
  none, // counts, logs, marks
  accept,
  drop,
  reject,
  jump,
  go_to,
  back,
  verdict_map,
  queue,
  dnat,
  redirect,
  snat, // masquerade too
  notrack,
  offload, // to a flowtable
  other,   // something that may decide (tproxy, synproxy, an unknown target)
};

/// One condition on a packet: `value` compared with the bytes of a field, of which `mask` counts.
struct Condition {
  enum class Field : std::uint8_t { network_header, transport_header, meta, conntrack, iptables_state, opaque };
  enum class Compare : std::uint8_t { equal, not_equal, less, less_or_equal, greater, greater_or_equal };
  Field field = Field::opaque;             // opaque: a condition that is not understood
  std::uint32_t key = 0;                   // of a header: the offset of the first byte; of meta and conntrack: NFT_META_*, NFT_CT_*
  std::optional<std::uint8_t> direction{}; // of conntrack's tuples
  Compare compare = Compare::equal;
  std::vector<std::uint8_t> mask{}, value{}; // of iptables_state: the mask of --ctstate, any of which matches
  Field about = Field::opaque;               // opaque, but of this field, at `key`: it is looked up in a set
  bool operator==(const Condition&) const = default;
};

struct ForeignRule {
  std::uint64_t handle = 0;
  std::uint32_t position = 0; // in its chain, from 1, as `iptables -L --line-numbers` counts
  RuleAction action = RuleAction::none;
  std::string target;           // of a jump: the chain
  std::optional<Endpoint> to{}; // of dnat, where the rule says it; the port is 0 where it keeps it
  std::string comment;          // nft's, or that of the iptables match `comment`
  bool from_iptables = false;   // has a match or a target of iptables
  std::vector<Condition> matches{};
  bool operator==(const ForeignRule&) const = default;
};

/// `position` is left 0.
ForeignRule parse_rule(const nftnl_rule& rule);

} // namespace hanat::nat
