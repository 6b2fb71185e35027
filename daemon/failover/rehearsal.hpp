// A reload before it takes place: what it would change, and what traffic and flows would do at once. It is found out by the code of the
// reload and of the decisions themselves, on copies of the services that are concerned, between a kernel and probes that do nothing. Not
// here: the reload (reload).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "daemon/api/reload_plan.hpp"
#include "daemon/config/config.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/report/event.hpp"

namespace hanat {

/// `settings`: of [hanatd], those in use. Moves that come later, as when a new server has to be judged first, are not part of it.
ReloadPlan rehearse(const ServiceRegistry& registry, const Config& settings, const Config& next, Time now);

/// What the events of a reload say of overrides and disabled servers: what operators set is moved or ends.
std::vector<std::string> reload_warnings(std::span<const Event> events);

} // namespace hanat
