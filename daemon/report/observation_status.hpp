// Observations as the history and `why` have them: with the names of probes, and times of the wall clock. Pure. Not here: gathering them
// (decision/observations), their sentences (cli/show_why).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "daemon/api/health_change.hpp"
#include "daemon/decision/service_state.hpp"
#include "daemon/report/event.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat {

/// `at` is the time of the wall clock that `now` is.
std::vector<ObservationStatus> observation_statuses(const std::string& role, const events::HealthCause& cause, WallTime at);
HealthChangeStatus health_change_status(const events::HealthChanged& changed, WallTime at);

/// What led to the server's health, or may change it yet. Values, as it is made before a flip that follows from it.
events::HealthCause cause_of(const ServiceState& service, const ServerState& server, Time now);

} // namespace hanat
