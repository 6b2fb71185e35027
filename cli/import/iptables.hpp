// The text of iptables-save and ip6tables-save: destination NAT, and source NAT of the servers.
// Pure. Not here: how a rule is written (iptables_rules).
#pragma once

#include <vector>

#include "cli/import/model.hpp"

namespace hanat::cli::imports {

/// `any`: the addresses that rules without one stand for.
Imported parse_iptables(const SourceText& source, const std::vector<Address>& any);

} // namespace hanat::cli::imports
