// What the services of a group are together: a server is as fit as in the worst of them, and one choice is made for all. Pure; a service
// without a group is one alone. Not here: the choice itself (decision), which services are in a group (config), moving them (gateway).
#pragma once

#include <span>

#include "daemon/decision.hpp"

namespace hanat {

/// One server as two services see it: down when down for one of them, up when up for both, and up since it has been so for both.
Candidate together(const Candidate& one, const Candidate& other);
/// What together() leaves as it is.
inline constexpr Candidate nobody_else{.health = Health::up, .up_since = Time::min()};

/// Where the traffic of one service is.
struct Standing {
  std::optional<std::size_t> current;
  bool refused = false;
  bool operator==(const Standing&) const = default;
};

/// choose() for services that stand where `members` says; `view.current` and `view.refused` follow from that. One that has nothing yet
/// follows the others; those that stand apart come together on the best server, and stay as they are until it is known.
Decision choose_together(View view, std::span<const Standing> members, Time now);

} // namespace hanat
