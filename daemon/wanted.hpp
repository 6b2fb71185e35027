// What the kernel should hold for a service once a decision stands, and which flows depart by it. Pure.
// Not here: the decision (decision), making it so (gateway).
#pragma once

#include <vector>

#include "daemon/decision.hpp"
#include "daemon/running_service.hpp"
#include "nat/rules.hpp"

namespace hanat {

struct Wanted {
  nat::Rules rules;
  std::vector<Departure> departures; // new ones, caused by this change
  std::vector<Mapping> returning;    // mappings that are targets again: their unfinished departures end before the flip
  std::vector<Mapping> ending;       // mappings whose drain is over: among the new departures they are going now
  bool moves = false;                // a virtual endpoint that stays gets another server, or none
};

/// What only the time after a flip needs, `moved` and the new target's `hold`, is not part of it but of the next look at the service: a
/// flip of thousands is done in three quarters of the time. The old target's `hold` goes then too: what it holds meanwhile, the nudge
/// heals. `service.loaded` is what stands now; departures and moved_until of the service are taken into account.
Wanted wanted(const RunningService& service, const Decision& decision, Time now);

/// The same for a service in mode observe: what stands, without what is held. Flows that depart by an earlier flip go to their end, and
/// endpoints that it does not listen on any more are given up.
Wanted frozen(const RunningService& service, Time now);

/// How long a virtual endpoint stays in `moved` after its target changed: longer than a client's retransmission timer after a few losses.
inline constexpr auto moved_for = std::chrono::seconds{60};

} // namespace hanat
