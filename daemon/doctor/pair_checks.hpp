// What is wrong with a gateway of a pair beside hanat: connections that cannot go on at the other gateway, and programs that are missing or
// do harm. Not here: the role (pair/role), other settings (host_checks).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/doctor/finding.hpp"
#include "daemon/doctor/service_check.hpp"
#include "daemon/pair/flow_sync.hpp"
#include "daemon/pair/vrrp.hpp"

namespace hanat {

struct PairFacts {
  FlowSync conntrackd = FlowSync::unknown;
  bool speaks_vrrp = false;
  std::vector<std::string> instances = {};       // files of keepalived that have a VRRP instance
  std::vector<std::string> harmful_scripts = {}; // "/etc/keepalived/keepalived.conf:12": a line that runs primary-backup.sh
};
/// Of this network namespace and of the configuration of keepalived there; what cannot be read is not told. Takes some 400 ms.
PairFacts read_pair(const std::filesystem::path& keepalived = "/etc/keepalived");

/// The lines of a file, from 1, that run primary-backup.sh. Pure.
std::vector<std::size_t> harmful_lines_in(std::string_view config);
/// Whether it has a VRRP instance. Pure.
bool has_instance(std::string_view config);

/// Nothing where the services are not of a pair. Pure.
std::vector<Finding> check_pair(const std::vector<ServiceCheck>& services, const PairFacts& facts);
/// Whether any service is of a pair.
bool is_pair(const std::vector<ServiceCheck>& services);

} // namespace hanat
