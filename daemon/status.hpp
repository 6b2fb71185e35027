// What `hanatctl status` knows, as values, with the JSON form that DESIGN fixes: keys may be added, never renamed. hanatctl sees of the
// daemon only this file and the socket client. Not here: gathering (gateway), printing for people (cli/show).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

struct FailsStatus {
  unsigned count = 0, of = 0;
  double within_s = 0;
};
struct LastAnswer {
  std::string outcome, reason, detail;
  double latency_ms = 0, age_s = 0;
};
struct ServerStatus {
  std::string role, address;
  std::vector<std::string> addresses;      // filled only with more than one
  std::string health;                      // "unknown", "up", "down"
  std::optional<std::string> group_health; // of a service in a group: as all of it see the server
  FailsStatus fails;
  std::optional<LastAnswer> last;
};
struct ForcedStatus {
  std::string target;
  std::optional<std::string> until; // RFC 3339, UTC, milliseconds
  std::string reason, by;
};
struct CutStatus {
  std::uint64_t tcp = 0, udp = 0, sctp = 0;
};
struct FlipStatus {
  std::string at, from, to, why;
  std::int64_t commit_us = 0;
  CutStatus cut;
  std::uint64_t nudged = 0;
  std::optional<double> cut_ms; // absent while the cut runs
};
struct ServiceStatus {
  std::string name, target;
  std::optional<std::string> target_address; // null: none
  std::string since, why, mode = "auto";
  std::optional<std::string> would_target, would_why; // in mode observe only
  std::optional<std::string> group;
  std::optional<ForcedStatus> forced;
  std::optional<double> failback_in_s;
  std::uint64_t flips = 0;
  std::vector<std::string> listen;
  std::vector<ServerStatus> servers;
  std::optional<FlipStatus> last_flip;
};
struct DaemonStatus {
  int pid = 0;
  double uptime_s = 0;
  std::string kernel = "in-step";          // "repairing", "failed"
  std::optional<std::string> kernel_error; // what the kernel said last, while not in step
  std::string config, version;
  std::optional<std::string> blind;
};
struct Status {
  DaemonStatus daemon;
  std::vector<ServiceStatus> services;
};

void to_json(nlohmann::json& json, const ServiceStatus& service);
void to_json(nlohmann::json& json, const Status& status);
/// Throws nlohmann::json::exception when a key of the contract is missing or has another type.
void from_json(const nlohmann::json& json, Status& status);

} // namespace hanat
