// What the services of a group are together: a server is as healthy as for the worst of them, and one decision is made for all. Pure; a
// service without a group is a group of one. Not here: the decision itself (decision), which services are in a group (config).
#pragma once

#include <span>

#include "daemon/decision/decision.hpp"

namespace hanat {

/// One server as two services see it: down when down for one of them, up when up for both, and up since it has been so for both.
Candidate merge_health(const Candidate& one, const Candidate& other);
/// What merge_health() leaves as it is.
inline constexpr Candidate neutral{.health = Health::up, .up_since = Time::min()};

/// Where the traffic of one service is.
struct Placement {
  std::optional<std::size_t> current;
  bool refused = false;
  bool operator==(const Placement&) const = default;
};

/// decide() for services whose traffic is where `members` says; `input.current` and `input.refused` follow from that. One that has nothing
/// yet follows the others; those that are at different servers meet at the best one, and stay where they are until it is known.
Decision decide_group(DecisionInput input, std::span<const Placement> members, Time now);

} // namespace hanat
