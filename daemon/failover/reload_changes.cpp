// Compares the configuration of each service with the new one.
#include "daemon/failover/reload_changes.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "daemon/config/key_values.hpp"
#include "daemon/config/probe_targets.hpp"

namespace hanat {
namespace {

std::vector<KeyChange> changes_of_keys(const ServiceConfig& before, const ServiceConfig& after) {
  std::vector<KeyChange> keys;
  for (KeyDifference& one : differences(before, after))
    keys.push_back({.key = std::move(one.key), .before = std::move(one.before), .after = std::move(one.after)});
  return keys;
}

/// As HealthMonitor::configure() keeps them: each once, on whichever server.
ProbesPlan probes_plan(const ServiceState* service, const ServiceConfig& config) {
  std::vector<const probes::Probe*> before;
  if (service != nullptr)
    for (const ServerState& server : service->servers)
      for (const ProbeState& probe : server.probes) before.push_back(probe.probe);
  ProbesPlan plan;
  for (const ServerConfig& server : config.servers)
    for (const probes::Probe& probe : probes_for(config, server)) {
      const auto same = std::ranges::find_if(before, [&](const probes::Probe* one) { return *one == probe; });
      if (same == before.end()) {
        ++plan.started;
        continue;
      }
      before.erase(same);
      ++plan.kept;
    }
  plan.ended = before.size();
  return plan;
}

} // namespace

std::optional<ServicePlan> service_change(const ServiceState* service, const ServiceConfig& next) {
  if (service != nullptr && service->config == next) return std::nullopt;
  ServicePlan change{.service = next.name, .change = service == nullptr ? "added" : "changed"};
  if (service != nullptr) change.keys = changes_of_keys(service->config, next);
  change.probes = probes_plan(service, next);
  return change;
}

ServicePlan service_removal(const ServiceState& service) {
  return {.service = service.config.name, .change = "removed", .probes = probes_plan(&service, {})};
}

std::vector<ServicePlan> service_changes(const ServiceRegistry& registry, const Config& config) {
  std::vector<ServicePlan> changes;
  std::unordered_set<std::string_view> configured;
  for (const ServiceConfig& service : config.services) configured.insert(service.name);
  for (const auto& service : registry.services())
    if (!service->removed && !configured.contains(service->config.name)) changes.push_back(service_removal(*service));
  for (const ServiceConfig& next : config.services)
    if (auto change = service_change(registry.find(next.name), next)) changes.push_back(std::move(*change));
  return changes;
}

} // namespace hanat
