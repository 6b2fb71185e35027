// A reload before it takes place: what it would change, and what traffic and flows would do at once. It is found out by the code of the
// reload and of the decisions themselves, on copies of the services that are concerned, between a kernel and probes that do nothing. Not
// here: the reload (reload).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/api/reload_plan.hpp"
#include "daemon/config/config.hpp"
#include "daemon/failover/reload.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/report/event.hpp"

namespace hanat {

/// A plan, worked out step by step, so that it can wait for what is more urgent. Moves that come later, as when a new server has to be
/// judged first, are not part of it.
class Rehearsal {
public:
  /// `settings`: of [hanatd], those in use.
  Rehearsal(const ServiceRegistry& registry, const Config& settings, std::shared_ptr<const Config> next, std::size_t slice,
            FlowOwner owner);

  /// Some more of it: as much as a slice of services takes. False: all is done. Services may be changed between two steps.
  bool step(Time now);
  const ReloadPlan& plan() const { return plan_; }
  ReloadPlan take_plan() { return std::move(plan_); }
  const ConfigsByName& configs() const { return configs_; }
  /// How the reload may be divided, when all is done.
  const std::vector<ReloadSlice>& slices() const { return slices_; }

private:
  void compare_some();
  bool stays(const Shared<ServiceConfig>& next);
  void rehearse_slice(const ReloadSlice& slice, Time now);

  const ServiceRegistry& registry_;
  std::shared_ptr<const Config> next_;
  std::size_t slice_size_;
  FlowOwner owner_;
  ConfigsByName configs_;
  std::vector<std::string> removed_; // services that the new configuration does not have
  ReloadPlan plan_;
  std::vector<ReloadSlice> slices_;
  std::unordered_map<const ServiceState*, std::size_t>
      order_; // of the services that were there, which may have ended: the first of a group decides for it
  std::unordered_map<std::string, std::size_t> places_; // of the changes of services, in the plan
  std::size_t compared_ = 0, rehearsed_ = 0;
  std::size_t next_place_ = 0; // in the registry: where the service to compare next stands, if nothing came or went
  bool sliced_ = false;
};

/// All of it at once.
ReloadPlan rehearse(const ServiceRegistry& registry, const Config& settings, const Config& next, Time now, std::size_t slice,
                    FlowOwner owner);

/// What the events of a reload say of overrides and disabled servers: what operators set is moved or ends.
std::vector<std::string> reload_warnings(std::span<const Event> events);

} // namespace hanat
