// Looks through the rules of other programs for what is, or may be, in the way of clients. Evidence decides: what only may be is a warning,
// and a rule that cannot be read counts as harmless. Pure. Not here: reading the rules (nat/nftables/foreign_rules), what a traced packet
// met (culprit).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/service_check.hpp"
#include "nat/address.hpp"
#include "nat/nftables/foreign_rules.hpp"

namespace hanat {

struct CheckedService {
  std::string name;
  std::vector<Vip> listen;
  std::vector<Endpoint> servers;       // port 0: the client's
  std::vector<std::string> interfaces; // by which the gateway reaches its servers; empty: not known
  std::vector<OtherServer> others{};   // that have no traffic now
};

/// `table`: hanat's own, which is not looked at.
std::vector<Finding> check_rules(const nat::ForeignRuleset& ruleset, const std::vector<CheckedService>& services, const std::string& table);

/// The same of one saved ruleset, /etc/nftables.conf: a copy of hanat's table does not load or stands in hanatd's way, and a flush deletes
/// the table of a hanatd that is stopped. `at_boot`: nftables.service is enabled.
std::vector<Finding> check_saved_ruleset(const std::string& text, bool at_boot, const std::string& path, const std::string& table);
/// Reads the file and whether it is loaded at boot, below this folder ("/").
std::vector<Finding> check_saved_ruleset(const std::string& root, const std::string& table);

} // namespace hanat
