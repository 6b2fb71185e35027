// What the kernel should hold for a service once a decision stands, and which flows leave because of it. Pure.
// Not here: the decision (decision), carrying it out (failover).
#pragma once

#include <vector>

#include "daemon/decision/decision.hpp"
#include "daemon/decision/service_state.hpp"
#include "nat/nftables/table_state.hpp"

namespace hanat {

struct Plan {
  nat::TableState rules;
  std::vector<Eviction> evictions; // new ones, caused by this change
  std::vector<Mapping> returning;  // mappings that are targets again: their unfinished evictions end before the flip
  std::vector<Mapping> ending;     // mappings whose drain is over: they are among the new evictions
  bool moves = false;              // a virtual endpoint that stays gets another server, or none
};

/// What only the time after a flip needs, `recent` and the new target's `hold`, is not part of it but of the next decision on the service:
/// a flip of thousands takes three quarters of the time. The old target's `hold` goes then too: whom it holds meanwhile, the nudge helps.
/// That of UDP and SCTP goes with the end of the cut.
/// `service.loaded` is what is loaded now; evictions and recent_until of the service are taken into account.
Plan desired_state(const ServiceState& service, const Decision& decision, Time now);

/// The same for a service in mode observe: what is loaded, without what is held. Evictions of an earlier flip go to their end, and
/// endpoints that it no longer listens on are given up.
Plan plan_observe(const ServiceState& service, Time now);

/// What a standby of a pair does of such a plan: new connections have their server loaded, and no connection ends. Nobody is refused,
/// drains are only counted, and endpoints that the service no longer listens on are given up at once.
Plan plan_standby(const ServiceState& service, Plan plan);

/// How long a virtual endpoint stays in `recent` after its target changed: longer than a client's retransmission timer after a few losses.
inline constexpr auto recent_for = std::chrono::seconds{60};

} // namespace hanat
