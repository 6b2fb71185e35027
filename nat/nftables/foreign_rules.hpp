// The rules of other programs as values: base chains with their place in a packet's life, and the rules of the chains that matter.
// Reading is on demand and takes time with many rules: not on the loop. Not here: what a rule's expressions mean (rule_parser), whether a
// rule is in a client's way (daemon/doctor).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <istream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "nat/netlink.hpp"
#include "nat/nftables/rule_parser.hpp"
#include "nat/nftables/trace_step.hpp"

namespace hanat::nat {

struct ChainName {
  TableFamily family = TableFamily::inet;
  std::string table, chain;
  auto operator<=>(const ChainName&) const = default;
};
/// "ip filter FORWARD"
std::string to_text(const ChainName& name);

enum class Hook : std::uint8_t { prerouting, input, forward, output, postrouting, ingress, egress };

struct BaseChain {
  std::string type; // "filter", "nat", "route"
  Hook hook = Hook::prerouting;
  int priority = 0;
  bool drops = false; // its policy
  bool operator==(const BaseChain&) const = default;
};

struct ForeignChain {
  std::optional<BaseChain> base{};
  std::vector<ForeignRule> rules{}; // only of chains that were asked for
  bool was_read = false;
  bool is_complete = true; // false: there are more rules than were to be read
  bool operator==(const ForeignChain&) const = default;
};

struct Flowtable {
  TableFamily family = TableFamily::inet;
  std::string table, name;
  std::vector<std::string> devices;
  bool operator==(const Flowtable&) const = default;
};

struct ForeignRuleset {
  std::map<ChainName, ForeignChain> chains;
  std::vector<Flowtable> flowtables;
  /// Tables of iptables-legacy ("ip filter") that have rules, or may, which nf_tables neither lists nor traces.
  std::vector<std::string> legacy_tables;
};

/// Of /proc/modules: tables of iptables-legacy whose module is loaded, and whether some network namespace has rules in it.
std::map<std::string, bool> legacy_tables_in(std::istream& modules);

/// The rule with this handle; null: the chain was not read, or has no such rule.
const ForeignRule* find_rule(const ForeignRuleset& ruleset, const ChainName& chain, std::uint64_t handle);

/// A chain of a hundred thousand rules takes half a second.
inline constexpr std::size_t rules_to_name_one = 1'000'000;
/// For static checks, of all chains together.
inline constexpr std::size_t rules_to_check = 20'000;

/// All base chains, with the rules of the chains named. Throws std::system_error.
ForeignRuleset read_ruleset(const std::set<ChainName>& with_rules);

/// All base chains and flowtables, with the rules of the chains at prerouting, input, forward, output and postrouting and of those that
/// they jump to, except of tables in `without`. Chains beyond `at_most` rules stay incomplete. Throws std::system_error.
ForeignRuleset read_ruleset_to_check(const std::set<std::string>& without, std::size_t at_most = rules_to_check);

} // namespace hanat::nat
