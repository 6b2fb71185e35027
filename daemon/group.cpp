// Several services as one.
#include "daemon/group.hpp"

#include <algorithm>
#include <array>

namespace hanat {
namespace {

/// Nobody's place counts more than another's: the first fit server, as if nothing were decided yet.
Decision bring_together(View view, Time now) {
  view.current.reset();
  view.refused = false;
  Decision decision = choose(view, now);
  if (decision.place == Place::undecided) decision.why = Why::adopted;
  if (decision.place == Place::none && view.on_none == OnNone::keep) // each keeps what it has
    decision = {.place = Place::undecided, .server = 0, .why = Why::none_fit_kept, .flip_why = Why::none_fit_kept, .failback_at = {}};
  return decision;
}

} // namespace

Candidate together(const Candidate& one, const Candidate& other) {
  return {.health = combine(std::array{one.health, other.health}), .up_since = std::max(one.up_since, other.up_since)};
}

Decision choose_together(View view, std::span<const Standing> members, Time now) {
  bool apart = false;
  view.current.reset();
  view.refused = false;
  for (const Standing& member : members) {
    view.refused |= member.refused;
    if (!member.current) continue;
    apart |= view.current && *view.current != *member.current;
    view.current = member.current;
  }
  if (view.current) view.refused = false;
  return apart && !view.forced ? bring_together(view, now) : choose(view, now);
}

} // namespace hanat
