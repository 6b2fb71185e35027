// Events of overrides, of servers out of service and of reports about servers, which operators and their programs begin and end. Not here:
// the other kinds (event).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "daemon/report/server_name.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::events {

struct Forced {
  ServerName server;
  std::string by;
  std::optional<WallTime> until;
  std::optional<std::chrono::seconds> lasts = {}; // until then
  std::string reason;                             // the operator's
  bool until_down = false;                        // it ends, too, when the server goes down
  bool drill = false;                             // a rehearsal of a failover
  bool operator==(const Forced&) const = default;
};
/// One of before the restart.
struct OverrideRestored {
  Forced forced;
  bool operator==(const OverrideRestored&) const = default;
};
/// Mode observe begins, or is found at the start, while an override is set.
struct OverrideWaits {
  std::string role, by;
  bool operator==(const OverrideWaits&) const = default;
};
struct OverrideEnded {
  bool expired = false;
  std::string by = {}; // who ended it
  bool operator==(const OverrideEnded&) const = default;
};
/// The service is no longer configured.
struct OverrideLost {
  std::string role, by, reason;
  bool operator==(const OverrideLost&) const = default;
};
/// Its server is no longer in the configuration. `server` has no address: of an older hanatd.
struct OverrideDropped {
  ServerName server;
  std::string by;
  bool operator==(const OverrideDropped&) const = default;
};
/// The clock shows a time before the override began.
struct OverrideClock {
  std::chrono::seconds ends_after{};
  bool operator==(const OverrideClock&) const = default;
};
/// The override of another service of the group applies.
struct OverrideShared {
  std::string owner, group;
  bool operator==(const OverrideShared&) const = default;
};
/// Its server went down, and it was to end then; or it was disabled.
struct OverrideVoid {
  ServerName server;
  bool disabled = false;
  bool operator==(const OverrideVoid&) const = default;
};
/// A reload gave its server another place or address; it stays with the server.
struct OverrideMoved {
  ServerName from, to;
  bool operator==(const OverrideMoved&) const = default;
};

/// A program said how a server is, and its probes decide nothing until then.
struct HealthReported {
  ServerName server;
  Health health = Health::unknown;
  std::string by, reason;
  Clock::duration lasts{}; // unless it is renewed
  bool operator==(const HealthReported&) const = default;
};
struct ReportEnded {
  ServerName server;
  std::string by; // who ended it; empty: its time is over
  bool operator==(const ReportEnded&) const = default;
};
/// A server is never chosen until it is enabled.
struct ServerDisabled {
  ServerName server;
  std::string by;
  std::optional<WallTime> until;
  std::optional<std::chrono::seconds> lasts = {}; // until then
  std::string reason;                             // the operator's
  bool operator==(const ServerDisabled&) const = default;
};
struct ServerEnabled {
  ServerName server;
  bool expired = false;
  std::string by = {}; // who did it
  bool operator==(const ServerEnabled&) const = default;
};
/// One of before the restart.
struct MaintenanceRestored {
  ServerDisabled disabled;
  bool operator==(const MaintenanceRestored&) const = default;
};
/// A reload gave a disabled server another place or address: it stays disabled.
struct MaintenanceMoved {
  ServerName from, to;
  bool operator==(const MaintenanceMoved&) const = default;
};
/// A disabled server, or its service, is no longer in the configuration.
struct MaintenanceLost {
  ServerName server;
  std::string by, reason;
  bool operator==(const MaintenanceLost&) const = default;
};
/// The clock shows a time before the server was disabled.
struct MaintenanceClock {
  std::chrono::seconds ends_after{};
  bool operator==(const MaintenanceClock&) const = default;
};

} // namespace hanat::events
