// Which services a reload has to change together: those of a group, and those between which an endpoint changes hands. Everything else may
// be changed one after the other, with time for failovers in between. Pure. Not here: changing them (reload), when (reload_queue).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/api/reload_plan.hpp"
#include "daemon/config/config.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// Names of services.
struct ReloadSlice {
  std::vector<std::string> changed;   // that the reload adds, changes or removes
  std::vector<std::string> unchanged; // that it may move: of the same groups, or with something left of an endpoint
  std::vector<std::string> gone;      // that were removed before, with something left of an endpoint
  bool fresh = false;                 // they are all new, and take nothing over: no traffic moves
  bool operator==(const ReloadSlice&) const = default;
};

/// Slices of about `size` services; one that cannot be divided may be larger. In the order of the changes.
std::vector<ReloadSlice> reload_slices(const ServiceRegistry& registry, const std::vector<ServicePlan>& changes, const Config& next,
                                       std::size_t size);

} // namespace hanat
