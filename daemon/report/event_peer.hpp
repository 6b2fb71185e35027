// Events of the link to the other gateway of a pair. Not here: the other kinds (event), the role (event).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "daemon/pair/flow_sync.hpp"
#include "daemon/pair/vrrp.hpp"
#include "daemon/report/server_name.hpp"

namespace hanat::events {

/// The other gateway answers, for the first time or again.
struct PeerSeen {
  std::string peer, role;                          // "198.18.9.2:9718", "standby"
  std::optional<std::chrono::seconds> missed = {}; // it did not answer for so long
  bool operator==(const PeerSeen&) const = default;
};
/// It has not answered for some seconds.
struct PeerLost {
  std::string peer, why;
  bool active = false; // this gateway is
  bool operator==(const PeerLost&) const = default;
};
/// Somebody who is not the other gateway asked for the page.
struct PeerRefused {
  std::string client; // and why
  bool operator==(const PeerRefused&) const = default;
};
struct PeerNotServed {
  std::string error;
  bool operator==(const PeerNotServed&) const = default;
};
/// The standby does to its list of overrides and disabled servers what was done on the active gateway.
struct PeerListed {
  enum class What : std::uint8_t { forced, unforced, disabled, enabled };
  What what = What::forced;
  ServerName server;
  std::string by = {}, reason = {};
  std::optional<std::chrono::seconds> lasts = {};
  bool dropped = false; // it was made here, not there: the active gateway's list holds
  bool operator==(const PeerListed&) const = default;
};
/// The configurations of the two are not the same.
struct PeerDiffers {
  std::string first; // difference, in words
  std::size_t number = 0;
  bool operator==(const PeerDiffers&) const = default;
};
struct PeerAgrees {
  bool operator==(const PeerAgrees&) const = default;
};
/// Both gateways are active.
struct PairSplit {
  std::string peer;
  bool operator==(const PairSplit&) const = default;
};
struct PairJoined {
  std::chrono::seconds lasted{};
  bool standby = false; // this gateway is now; otherwise the other one
  bool operator==(const PairJoined&) const = default;
};
/// Neither gateway is active for some seconds, or one is again.
struct PairIdle {
  std::string peer = {};
  std::optional<std::chrono::seconds> lasted = {}; // it is over
  bool operator==(const PairIdle&) const = default;
};
/// conntrackd, which carries connections to the other gateway, stopped or fell behind; `ok`: it is well again.
struct ConntrackdChanged {
  FlowSync state = FlowSync::ok;
  std::string peer = {}; // the other gateway, whose it is; empty: this one's
  bool standby = false;  // that gateway is
  bool operator==(const ConntrackdChanged&) const = default;
};
/// keepalived, or what else spoke VRRP, is gone or there again.
struct KeepalivedChanged {
  Vrrp state = Vrrp::ok;
  std::string peer = {}; // as above
  bool standby = false;
  bool operator==(const KeepalivedChanged&) const = default;
};
/// An operator's command on the standby was carried out, or refused, by the active gateway.
struct CommandForwarded {
  std::string command = {}, by = {}, peer = {}; // "force web backup"
  std::string failure = {};                     // empty: it was carried out
  bool operator==(const CommandForwarded&) const = default;
};

} // namespace hanat::events
