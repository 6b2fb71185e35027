// From one role to the next.
#include "daemon/pair/role.hpp"

namespace hanat {

std::string_view to_text(Role role) {
  switch (role) {
  case Role::alone: return "alone";
  case Role::standby: return "standby";
  case Role::settling: return "settling";
  case Role::active: return "active";
  }
  return "?";
}

std::optional<RoleChange> RoleMachine::change(Role to, WallTime wall) {
  if (role_ == to) return std::nullopt;
  const RoleChange result{.from = role_, .to = to};
  role_ = to;
  since_ = wall;
  if (to != Role::active) settled_at_.reset();
  return result;
}

std::optional<RoleChange> RoleMachine::settle(Settled how, Time now, WallTime wall) {
  auto result = change(Role::active, wall);
  settled_at_ = now;
  if (result) {
    result->settled = how;
    result->after = now - arrived_;
  }
  return result;
}

std::optional<RoleChange> RoleMachine::arrive(Time now, WallTime wall) {
  arrived_ = now;
  return settle_ == Clock::duration::zero() ? settle(Settled::at_once, now, wall) : change(Role::settling, wall);
}

std::optional<RoleChange> RoleMachine::begin(bool has_address, bool was_settled, Clock::duration settle_for, Time now, WallTime wall) {
  settle_ = settle_for;
  if (!has_address) return change(Role::standby, wall);
  if (!was_settled) return arrive(now, wall);
  arrived_ = now;
  return settle(Settled::at_once, now, wall);
}

std::optional<RoleChange> RoleMachine::end(WallTime wall) { return change(Role::alone, wall); }

std::optional<RoleChange> RoleMachine::on_address(bool has_address, Time now, WallTime wall) {
  if (role_ == Role::alone) return std::nullopt;
  if (!has_address) return change(Role::standby, wall);
  return role_ == Role::standby ? arrive(now, wall) : std::nullopt;
}

std::optional<RoleChange> RoleMachine::on_settled(Time now, WallTime wall) {
  return role_ == Role::settling ? settle(Settled::told, now, wall) : std::nullopt;
}

std::optional<RoleChange> RoleMachine::run(Time now, WallTime wall) {
  const auto limit = next_wakeup();
  return limit && *limit <= now ? settle(Settled::time_limit, now, wall) : std::nullopt;
}

std::optional<Time> RoleMachine::next_wakeup() const {
  return role_ == Role::settling ? std::optional<Time>{arrived_ + settle_} : std::nullopt;
}

} // namespace hanat
