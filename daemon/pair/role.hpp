// The role of this gateway, as a pure value: a pair's other program (keepalived) moves an address, and whoever has it is active. Between
// the address's arrival and the moment at which the other gateway's connections are all in conntrack, it settles.
// Not here: looking for the address (address_monitor), what a role means for the table and for connections (failover/gateway_role).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "daemon/util/wall_time.hpp"
#include "nat/clock.hpp"

namespace hanat {

enum class Role : std::uint8_t {
  alone,    // no [pair]: nobody else has the traffic
  standby,  // the other gateway has the address: decide, and touch no connection
  settling, // the address came: other connections may still come into conntrack
  active,
};
std::string_view to_text(Role role);

/// Why a gateway is settled.
enum class Settled : std::uint8_t {
  told,       // hanatctl settled
  time_limit, // [pair] settle
  at_once,    // settle = "0s", or hanatd restarted on a gateway that was settled
};

/// What has just changed.
struct RoleChange {
  Role from = Role::alone, to = Role::alone;
  std::optional<Settled> settled = {}; // only of a change to active
  Clock::duration after{};             // of a change to active: since the address came
  bool operator==(const RoleChange&) const = default;
};

class RoleMachine {
public:
  /// How the gateway begins, at the start or with a reload that adds [pair] or names another address. `was_settled`: the connections of the
  /// other gateway are no longer waited for, because this one had the address before.
  std::optional<RoleChange> begin(bool has_address, bool was_settled, Clock::duration settle, Time now, WallTime wall);
  /// [pair] is gone.
  std::optional<RoleChange> end(WallTime wall);
  /// The limit of a gateway that settles now counts from the same moment.
  void set_settle(Clock::duration settle) { settle_ = settle; }

  std::optional<RoleChange> on_address(bool has_address, Time now, WallTime wall);
  /// hanatctl settled. nullopt: there was nothing to settle.
  std::optional<RoleChange> on_settled(Time now, WallTime wall);
  /// The limit may be over.
  std::optional<RoleChange> run(Time now, WallTime wall);
  /// The moment of the limit.
  std::optional<Time> next_wakeup() const;

  Role role() const { return role_; }
  WallTime since() const { return since_; }
  /// Of an active gateway of a pair: since when connections are not waited for.
  std::optional<Time> settled_at() const { return settled_at_; }

private:
  std::optional<RoleChange> change(Role to, WallTime wall);
  std::optional<RoleChange> arrive(Time now, WallTime wall);
  std::optional<RoleChange> settle(Settled how, Time now, WallTime wall);

  Role role_ = Role::alone;
  WallTime since_{}; // wall time of the last change of the role
  Clock::duration settle_{};
  Time arrived_{}; // of settling: when the address came
  std::optional<Time> settled_at_;
};

/// A standby and a gateway that settles let nothing end that they do not know: packets without a connection are dropped.
constexpr bool is_unsettled(Role role) { return role == Role::standby || role == Role::settling; }

} // namespace hanat
