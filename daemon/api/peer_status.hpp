// The other gateway of a pair in the status, with its JSON form. Not here: gathering it (daemon/links/peer_sight), printing it
// (cli/show_peer).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

struct PeerStatus {
  std::string address;                     // "198.18.9.2:9718"
  std::optional<double> seen_s = {};       // since its last answer; absent: none yet
  std::optional<std::string> failure = {}; // why the last attempt failed; absent: it answers
  std::optional<std::string> role = {};    // by its last answer: "active", "standby", "settling", "alone"
  std::optional<std::string> version = {}; // of its hanatd
  std::string conntrackd = "unknown";      // there, by its last answer; as in PairStatus
  std::string keepalived = "unknown";      // likewise
  bool both_active = false;                // for some seconds
  bool none_active = false;                // it answers, and both are standby, for some seconds
  bool agrees = false;                     // it answers, and each service has the same target there
  std::vector<std::string> differs = {};   // how the configurations differ, in words
  std::vector<std::string> disagrees = {}; // where targets differ, or a followed one is down by the probes of this gateway
  std::optional<double> lag_ms = {};       // of the last change there until it was followed here
  bool operator==(const PeerStatus&) const = default;
};

/// After so long without an answer the other gateway counts as lost: it answers each second.
inline constexpr std::chrono::seconds peer_lost_after{3};
/// The other gateway does not answer.
bool is_lost(const PeerStatus& peer);

void to_json(nlohmann::json& json, const PeerStatus& peer);
/// Throws nlohmann::json::exception when a key is missing or has another type.
void from_json(const nlohmann::json& json, PeerStatus& peer);

} // namespace hanat
