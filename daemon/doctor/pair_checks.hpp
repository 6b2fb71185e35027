// What is wrong with a gateway of a pair beside hanat: connections that cannot go on at the other gateway, and programs that are missing or
// do harm. Not here: the role (pair/role), other settings (host_checks).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/service_check.hpp"

namespace hanat {

struct PairFacts {
  std::optional<bool> conntrack_heard = {}; // a program hears what conntrack does, as conntrackd must; nullopt: the kernel did not say
  std::vector<std::string> harmful_scripts; // "/etc/keepalived/keepalived.conf:12": a line that runs primary-backup.sh
};
/// Of this network namespace and of the configuration of keepalived there; what cannot be read is not told.
PairFacts read_pair(const std::filesystem::path& keepalived = "/etc/keepalived");

/// From the text of /proc/net/netlink. Pure.
std::optional<bool> conntrack_heard_in(std::string_view sockets);
/// The lines of a file, from 1, that run primary-backup.sh. Pure.
std::vector<std::size_t> harmful_lines_in(std::string_view config);

/// Nothing where the services are not of a pair. Pure.
std::vector<Finding> check_pair(const std::vector<ServiceCheck>& services, const PairFacts& facts);
/// Whether any service is of a pair.
bool is_pair(const std::vector<ServiceCheck>& services);

} // namespace hanat
