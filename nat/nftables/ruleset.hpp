// The rules of the table's chains, put together from their parts (ruleset_guard, ruleset_evidence, ruleset_nat). Pure.
// Not here: the sets and chains themselves (layout), how a rule is written (rule_writer).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nat/nftables/handles.hpp"
#include "nat/probe_ports.hpp"

namespace hanat::nat {

/// What the rules depend on.
struct RuleOptions {
  bool tcp_loose = true; // the sysctl net.netfilter.nf_conntrack_tcp_loose: conntrack picks up connections that it does not know
  ProbePorts probe_ports = {};
  std::uint8_t range_numbers = 0; // ranges of ports have numbers up to this one
  bool operator==(const RuleOptions&) const = default;
};

/// All rules in order, chain by chain.
std::vector<RulePtr> make_ruleset(const std::string& table, const RuleOptions& options);
/// Those for the ranges of ports with this number, chain by chain; they come after those of lower numbers.
std::vector<RulePtr> make_rules_of_range(const std::string& table, std::uint8_t number);
/// The rule of the chain `untracked`.
RulePtr make_untracked_rule(const std::string& table, const ProbePorts& ports);

/// The rules of the chain `offloading`.
std::vector<RulePtr> make_offloading_rules(const std::string& table);

} // namespace hanat::nat
