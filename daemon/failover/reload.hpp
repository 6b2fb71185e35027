// From a configuration to services: made at the start from what is loaded, changed by a reload. Owns the settings of [hanatd], and nothing
// else.
// Not here: what happens to the services afterwards (controller).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/api/reload_plan.hpp"
#include "daemon/failover/conntrack_audit.hpp"
#include "daemon/failover/evictions.hpp"
#include "daemon/failover/health_monitor.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/reload_slices.hpp"
#include "daemon/failover/saved_health.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// The names of the services that a reload touched, and of the daemon's own settings.
struct Reloaded {
  std::vector<std::string> added, changed, removed, settings;
  std::shared_ptr<const ReloadPlan> plan = {}; // by which it was done; null: it was not asked for
};

/// Whose the standing connections are: on the standby of a pair a reload ends none.
enum class FlowOwner : std::uint8_t { this_gateway, active_gateway };

using ConfigsByName = std::unordered_map<std::string_view, const Shared<ServiceConfig>*>;
ConfigsByName configs_by_name(const Config& config);

class Reload {
public:
  Reload(ServiceRegistry& registry, HealthMonitor& health, Evictions& evictions, ConntrackAudit& audit, Outbox& outbox)
      : registry_(registry), health_(health), evictions_(evictions), audit_(audit), outbox_(outbox) {}

  /// Every service of the configuration, with what `loaded` has for its endpoints; what is left of `loaded` belongs to services that are
  /// gone. Overrides, drains and verdicts of before the restart go on.
  void start(const Config& config, nat::TableState loaded, const State& saved, const EarlierRun& earlier, Time now);
  /// What apply() will do, and what follows from it at once. Changes nothing.
  ReloadPlan plan(const Config& config, Time now, std::size_t slice = 64) const;
  /// Changes what differs and nothing else. By the next two, in slices of this size.
  Reloaded apply(const Config& config, Time now, std::size_t slice = 64);
  /// Of [hanatd]. Returns the names of those that changed.
  std::vector<std::string> apply_settings(const Config& config, Time now);
  /// The changed services of a slice; `next` has their configurations by name, without those that are removed.
  void apply_slice(const ReloadSlice& slice, const ConfigsByName& next, Time now);
  /// Of [hanatd]; without services.
  const Config& settings() const { return settings_; }
  FlowOwner flow_owner() const { return evictions_.is_silent() ? FlowOwner::active_gateway : FlowOwner::this_gateway; }

private:
  void configure(ServiceState& service, const Shared<ServiceConfig>& config, Time now);
  void retire(ServiceState& service);
  void adopt(nat::TableState loaded, Time now);
  void resume_evictions(ServiceState& service, Time now);
  void transfer_endpoints(std::span<ServiceState* const> services, Time now);
  void regroup();

  Config settings_;
  ServiceRegistry& registry_;
  HealthMonitor& health_;
  Evictions& evictions_;
  ConntrackAudit& audit_;
  Outbox& outbox_;
};

} // namespace hanat
