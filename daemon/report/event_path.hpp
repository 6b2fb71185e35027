// The way between clients and servers, as values: what stops packets although servers work. Not here: all other events (event), sentences
// (event_text), how a cause is found (daemon/doctor).
#pragma once

#include <cstdint>
#include <optional>

#include "daemon/doctor/finding.hpp"
#include "daemon/report/server_name.hpp"
#include "nat/address.hpp"
#include "nat/clock.hpp"

namespace hanat::events {

/// Clients get no answer, although the target passes its probes.
struct PathTrouble {
  ServerName target;
  std::optional<Address> client; // one of them; nullopt: hanatd's own check
  bool operator==(const PathTrouble&) const = default;
};
/// Why: the cause, or one of several.
struct PathFinding {
  Finding finding;
  bool operator==(const PathFinding&) const = default;
};
struct PathTroubleEnded {
  Clock::duration lasted{};
  std::uint64_t connections = 0; // that got no answer meanwhile, at least
  bool answered = false;         // a client that had waited
  bool target_changed = false;   // or went down
  bool own_client = false;       // hanatd's own gets its answers again; none of these: no client was seen any more
  bool operator==(const PathTroubleEnded&) const = default;
};

/// A setting of this machine stops the clients of every service, and the probes do not notice.
struct SettingChanged {
  Finding finding;
  bool gone = false; // it does so no longer
  bool operator==(const SettingChanged&) const = default;
};

} // namespace hanat::events
