// The rules of the table's chains, put together from their parts (ruleset_guard, ruleset_evidence, ruleset_nat). Pure.
// Not here: the sets and chains themselves (layout), how a rule is written (rule_writer).
#pragma once

#include <string>
#include <vector>

#include "nat/nftables/handles.hpp"
#include "nat/probe_ports.hpp"

namespace hanat::nat {

/// What the rules depend on.
struct RuleOptions {
  bool tcp_loose = true; // the sysctl net.netfilter.nf_conntrack_tcp_loose: conntrack picks up connections that it does not know
  ProbePorts probe_ports = {};
  bool operator==(const RuleOptions&) const = default;
};

/// All rules in order, chain by chain.
std::vector<RulePtr> make_ruleset(const std::string& table, const RuleOptions& options);
/// The rule of the chain `untracked`.
RulePtr make_untracked_rule(const std::string& table, const ProbePorts& ports);

} // namespace hanat::nat
