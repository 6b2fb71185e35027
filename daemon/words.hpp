// The sentences of the journal: what happened, to what, and what to do or expect next. Pure: each makes one event from values.
// Not here: when they are said (gateway), where they go (journal).
#pragma once

#include "daemon/decision.hpp"
#include "daemon/events.hpp"
#include "daemon/running_service.hpp"

namespace hanat::words {

/// The service is about to go from where it is to where the decision says; last_flip tells how long the commit took.
Event flip(const RunningService& service, const Decision& decision, const Flip& flip);
/// A service has its first target, or none from the beginning.
Event first_target(const RunningService& service, const Decision& decision);
Event adopted(const RunningService& service);
Event health(const RunningService& service, const RunningServer& server, Time now);
Event cut(const RunningService& service, const Departure& departure);
Event forced(const RunningService& service, const Force& force);
/// Mode observe begins, or is found at the start, while an override rules.
Event override_waits(const RunningService& service);
/// Mode observe: where the imagined traffic is about to go.
Event would(const RunningService& service, const Decision& decision);
Event override_ended(const RunningService& service, bool expired);

// of flows that stay a while (words_drain.cpp)
Event drain_begun(const RunningService& service, const Departure& departure);
/// Its server is target again.
Event drain_void(const RunningService& service, const Departure& departure);
/// Nothing is left.
Event drained(const RunningService& service, const Departure& departure, Time now);
/// What is left, by `drain`'s count, is on its way out for `end`.
Event drain_ended(const RunningService& service, const Departure& departure, DrainEnd end, Time now);
/// Flows that no target and no policy explains.
Event strays(const RunningService& service, const Departure& departure, std::uint64_t number);

} // namespace hanat::words
