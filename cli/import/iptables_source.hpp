// POSTROUTING: which of its rules give the servers another source address, and which are something else.
// Pure. Not here: the services (iptables).
#pragma once

#include <vector>

#include "cli/import/iptables_rules.hpp"
#include "cli/import/model.hpp"

namespace hanat::cli::imports {

void apply_source_nat(const std::vector<IptablesRule>& rules, Imported& imported);

} // namespace hanat::cli::imports
