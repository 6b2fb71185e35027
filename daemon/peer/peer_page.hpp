// What the gateways of a pair tell each other, as values and as JSON: role, serial, and for each service that changed its target, reason,
// override and disabled servers. The other gateway may have another version, another clock, and wrong bytes: reading is strict, and
// bounded. Not here: making it from services (make_peer_service), sending it (peer_listener), what follows from it (failover/peer_follow).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/util/wall_time.hpp"
#include "nat/address.hpp"
#include "nat/clock.hpp"

namespace hanat {

/// Of the page's meaning. A newer hanatd may add keys, which this one ignores; it changes the number when this one would misread it.
inline constexpr int peer_page_version = 1;
inline constexpr std::size_t longest_peer_page = std::size_t{4} << 20; // bytes
inline constexpr std::size_t services_a_page = 256;                    // what is left comes with the next one

/// A server, as the other gateway knows it: it is found here by its addresses.
struct PeerServer {
  std::string role; // there
  std::vector<Endpoint> addresses;
  bool operator==(const PeerServer&) const = default;
};
/// An override there. Its times are of this machine's clocks: only ages and what is left of it are sent.
struct PeerOverride {
  PeerServer server;
  std::optional<Time> until = {};
  WallTime since{};
  std::string reason, by;
  bool until_down = false;
  bool operator==(const PeerOverride&) const = default;
};
/// A server that is disabled there.
struct PeerDisabled {
  PeerServer server;
  std::optional<Time> until = {};
  WallTime since{};
  std::string reason, by;
  bool operator==(const PeerDisabled&) const = default;
};
struct PeerService {
  std::string name;
  std::vector<std::string> listen; // "203.0.113.10:443/tcp", sorted
  std::string group = {};
  std::vector<PeerServer> servers = {};  // of the configuration
  std::optional<PeerServer> target = {}; // nullopt: none
  std::string why = {};
  WallTime since{};
  std::optional<PeerOverride> force = {};
  std::vector<PeerDisabled> disabled = {};
  bool operator==(const PeerService&) const = default;
};
struct PeerPage {
  int version = peer_page_version;
  std::string hanatd = {};                                    // its version
  std::string instance = {};                                  // changes with each start: serials of another one mean nothing
  std::uint64_t serial = 0;                                   // of the last change that the page holds
  bool whole = false;                                         // it begins anew: what was known before is void
  bool more = false;                                          // ask again at once
  std::string role = {};                                      // "alone", "standby", "settling", "active"
  std::string conntrackd = "unknown", keepalived = "unknown"; // what is known of them; an older hanatd does not say
  std::chrono::milliseconds role_age{};
  std::chrono::milliseconds change_age{}; // since the last change
  WallTime clock{};                       // of the gateway that sends it
  std::vector<PeerService> services = {};
  std::vector<std::string> removed = {};
  bool operator==(const PeerPage&) const = default;
};

/// `now` and `wall`: the same moment, as in the next one.
std::string to_json_text(const PeerPage& page, Time now, WallTime wall);
/// The page, or what is wrong with it in words.
std::variant<PeerPage, std::string> parse_peer_page(std::string_view text, Time now, WallTime wall);

} // namespace hanat
