// Several services as one.
#include "daemon/decision/group.hpp"

#include <algorithm>
#include <array>

namespace hanat {
namespace {

/// When a server that is not up in one of two services, or in both, will be up in both.
std::optional<Time> merge_up_at(const Candidate& one, const Candidate& other) {
  if (one.health == Health::up) return other.up_at;
  if (other.health == Health::up) return one.up_at;
  return one.up_at && other.up_at ? std::optional{std::max(*one.up_at, *other.up_at)} : std::nullopt;
}

/// No member counts more than another: the first server that is up, as if nothing were decided yet.
Decision decide_anew(DecisionInput input, std::span<const Placement> members, Time now) {
  const auto left_alive = [&input](const Placement& member) {
    return !member.current || input.servers[*member.current].health != Health::down;
  };
  input.current.reset();
  input.refused = false;
  Decision decision = decide(input, now);
  decision.planned = std::ranges::all_of(members, left_alive); // a reload made them a group
  if (decision.planned && decision.kind == TargetKind::server) decision.flip_reason = Reason::configuration;
  if (decision.kind == TargetKind::undecided) decision.reason = Reason::adopted;
  if (decision.kind == TargetKind::none && input.on_none == OnNone::keep) // each keeps what it has
    decision = {.kind = TargetKind::undecided,
                .server = 0,
                .reason = Reason::no_server_up_kept,
                .flip_reason = Reason::no_server_up_kept,
                .failback_at = {}};
  return decision;
}

} // namespace

Candidate merge_health(const Candidate& one, const Candidate& other) {
  return {.health = combine(std::array{one.health, other.health}),
          .up_since = std::max(one.up_since, other.up_since),
          .up_at = merge_up_at(one, other),
          .disabled = one.disabled || other.disabled,
          .planned = one.planned || other.planned,
          .placed = one.placed || other.placed,
          .penalty = std::max(one.penalty, other.penalty),
          .unconfirmed = one.unconfirmed || other.unconfirmed,
          .former = one.former || other.former};
}

Decision decide_group(DecisionInput input, std::span<const Placement> members, Time now) {
  bool apart = false;
  input.current.reset();
  input.refused = false;
  for (const Placement& member : members) {
    input.refused |= member.refused;
    if (!member.current) continue;
    apart |= input.current && *input.current != *member.current;
    input.current = member.current;
  }
  if (input.current) input.refused = false;
  return apart && !input.forced && !input.followed ? decide_anew(input, members, now) : decide(input, now);
}

} // namespace hanat
