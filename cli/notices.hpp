// What an operator should know about a service besides where its traffic is: sentences, the troubles first.
// Pure. Not here: the screen they stand on (show_status).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

struct Notice {
  bool trouble = false; // needs action; false: for information
  std::string text;
  std::vector<std::string> remedies = {}; // commands, or sentences, that end or mend it
  bool operator==(const Notice&) const = default;
};
/// So begins what is said of a service that is only observed.
inline constexpr std::string_view observe_words = "observe: ";
std::vector<Notice> notices(const ServiceStatus& service, WallTime now);

/// "10.0.0.12:5432 (db1.lan)"
std::string with_name(const std::string& address, const NameStatus& name);
/// "passes 3.1 of 5 s", "1 of 2 passes"
std::string show_recovery(const RecoveringStatus& recovering);

/// "up", "full"; "drained" where somebody wants it so.
std::string health_word(const ServerStatus& server);
/// No old flows are left that drain or are kept.
bool drains_nothing(const ServiceStatus& service);
/// The servers that are preferred to the target are out of service because somebody wants it so: disabled or drained.
bool is_moved_on_purpose(const ServiceStatus& service);

/// Of a service that is only observed: what the kernel does with its traffic. "traffic stays frozen at primary 10.0.0.11:8443; no failover
/// until mode = "auto""
std::string observed_now(const ServiceStatus& service);

/// False: its clients get no service, as far as probes can tell.
bool is_served(const ServiceStatus& service);

} // namespace hanat::cli
