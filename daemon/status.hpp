// What `hanatctl status` knows, as values, with the JSON form that DESIGN fixes: keys may be added, never renamed. hanatctl sees of the
// daemon only this file and the socket client. Not here: gathering (gateway), printing for people (cli/show).
#pragma once

#include <cstdint>
#include <map>
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
  std::vector<std::string> addresses;           // filled only with more than one
  std::string health;                           // "unknown", "up", "down"
  std::optional<std::string> group_health = {}; // of a service in a group: as all of it see the server
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
  std::uint64_t drained = 0;                  // flows that ended by themselves while they drained or were kept
  std::optional<std::uint64_t> left = 0;      // those that drain or are kept now; absent: not counted yet
  std::optional<double> drain_ends_in_s = {}; // absent: nothing drains
  std::optional<double> cut_ms;               // absent while the cut runs
};
/// Old flows of one server that may stay where they are, of this flip or one before.
struct DrainingStatus {
  std::string server, address; // "primary", or what it was called
  std::uint64_t drained = 0;
  std::optional<std::uint64_t> left;
  std::optional<double> ends_in_s; // absent: kept
};
/// Since hanatd started.
struct TotalsStatus {
  std::map<std::string, std::uint64_t> flips; // by why
  CutStatus cut;
  std::uint64_t nudged = 0;
  std::uint64_t drained = 0; // what drains now is in `draining`
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
  std::vector<DrainingStatus> draining;
  TotalsStatus totals;
};
struct DaemonStatus {
  int pid = 0;
  double uptime_s = 0;
  std::string kernel = "in-step";          // "repairing", "failed"
  std::optional<std::string> kernel_error; // what the kernel said last, while not in step
  std::string config, version;
  std::optional<std::string> fallback = {}; // the configuration in force is the accepted one of before, and why
  std::optional<std::string> blind;
};
struct Status {
  DaemonStatus daemon;
  std::vector<ServiceStatus> services;
};

/// One fact of `hanatctl history`. A flip says what it did as last_flip does, beside the other keys.
struct HistoryEntry {
  std::string at;      // RFC 3339, UTC, milliseconds
  std::string kind;    // "flip", "health", "override", "target", "repair"
  std::string service; // empty: the daemon itself; null in JSON
  std::string text;    // the journal's sentence
  std::optional<FlipStatus> flip;
};

void to_json(nlohmann::json& json, const HistoryEntry& entry);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, HistoryEntry& entry);
void to_json(nlohmann::json& json, const ServiceStatus& service);
void to_json(nlohmann::json& json, const Status& status);
/// Throws nlohmann::json::exception when a key of the contract is missing or has another type.
void from_json(const nlohmann::json& json, Status& status);

} // namespace hanat
