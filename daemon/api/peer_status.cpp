// Key by key.
#include "daemon/api/peer_status.hpp"

#include <nlohmann/json.hpp>

#include "daemon/api/rounded.hpp"

namespace hanat {
namespace {

using nlohmann::json;

template <typename Value> std::optional<Value> value_in(const json& from, const char* key) {
  const auto found = from.find(key);
  return found == from.end() || found->is_null() ? std::nullopt : std::optional{found->template get<Value>()};
}
template <typename Value> json nullable(const std::optional<Value>& value) { return value ? json(*value) : json(); }

} // namespace

bool is_lost(const PeerStatus& peer) { return !peer.seen_s || std::chrono::duration<double>{*peer.seen_s} > peer_lost_after; }

void to_json(json& value, const PeerStatus& peer) {
  value = {{"address", peer.address},
           {"seen_s", peer.seen_s ? json(rounded(*peer.seen_s)) : json()},
           {"failure", nullable(peer.failure)},
           {"role", nullable(peer.role)},
           {"version", nullable(peer.version)},
           {"conntrackd", peer.conntrackd},
           {"keepalived", peer.keepalived},
           {"both_active", peer.both_active},
           {"none_active", peer.none_active},
           {"agrees", peer.agrees},
           {"differs", peer.differs},
           {"disagrees", peer.disagrees},
           {"lag_ms", peer.lag_ms ? json(rounded(*peer.lag_ms)) : json()}};
}

void from_json(const json& from, PeerStatus& peer) {
  peer = {.address = from.at("address"),
          .seen_s = value_in<double>(from, "seen_s"),
          .failure = value_in<std::string>(from, "failure"),
          .role = value_in<std::string>(from, "role"),
          .version = value_in<std::string>(from, "version"),
          .conntrackd = from.value("conntrackd", "unknown"),
          .keepalived = from.value("keepalived", "unknown"),
          .both_active = from.at("both_active"),
          .none_active = from.value("none_active", false),
          .agrees = from.at("agrees"),
          .differs = from.at("differs").get<std::vector<std::string>>(),
          .disagrees = from.at("disagrees").get<std::vector<std::string>>(),
          .lag_ms = value_in<double>(from, "lag_ms")};
}

} // namespace hanat
