// The rules of the table's chains, put together from their parts (ruleset_guard, ruleset_evidence, ruleset_nat). Pure.
// Not here: the sets and chains themselves (layout), how a rule is written (rule_writer).
#pragma once

#include <string>
#include <vector>

#include "nat/nftables/handles.hpp"

namespace hanat::nat {

/// All rules in order, chain by chain. `tcp_loose`: conntrack picks up connections that it does not know (layout.hpp).
std::vector<RulePtr> make_ruleset(const std::string& table, bool tcp_loose);
/// The rule of the chain `untracked`.
RulePtr make_untracked_rule(const std::string& table);

} // namespace hanat::nat
