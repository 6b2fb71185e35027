// Several services as one.
#include "daemon/decision/group.hpp"

#include <algorithm>
#include <array>

namespace hanat {
namespace {

/// No member counts more than another: the first server that is up, as if nothing were decided yet.
Decision decide_anew(DecisionInput input, Time now) {
  input.current.reset();
  input.refused = false;
  Decision decision = decide(input, now);
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
  return {.health = combine(std::array{one.health, other.health}), .up_since = std::max(one.up_since, other.up_since)};
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
  return apart && !input.forced ? decide_anew(input, now) : decide(input, now);
}

} // namespace hanat
