// Compares the configuration of each service with the new one.
#include "daemon/failover/reload_changes.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "daemon/config/key_values.hpp"
#include "daemon/decision/reconfiguration.hpp"

namespace hanat {
namespace {

std::vector<KeyChange> changes_of_keys(const ServiceConfig& before, const ServiceConfig& after) {
  std::vector<KeyChange> keys;
  for (KeyDifference& one : differences(before, after))
    keys.push_back({.key = std::move(one.key), .before = std::move(one.before), .after = std::move(one.after)});
  return keys;
}

std::vector<const probes::Probe*> probes_of(const ServiceState& service) {
  std::vector<const probes::Probe*> all;
  for (const ServerState& server : service.servers) {
    for (const ProbeState& probe : server.probes) all.push_back(probe.probe);
    if (server.new_probes)
      for (const ProbeState& probe : server.new_probes->probes) all.push_back(probe.probe);
  }
  return all;
}

/// As HealthMonitor::configure() keeps them: each once, on whichever server.
ProbesPlan probes_plan(std::vector<const probes::Probe*> before, const Reconfiguration& next) {
  ProbesPlan plan;
  const auto count = [&](const probes::Probe& probe) {
    const auto same = std::ranges::find_if(before, [&](const probes::Probe* one) { return *one == probe; });
    ++(same == before.end() ? plan.started : plan.kept);
    if (same != before.end()) before.erase(same);
  };
  for (const ServerProbes& server : next.probes) {
    std::ranges::for_each(server.deciding, count);
    std::ranges::for_each(server.waiting, count);
  }
  plan.ended = before.size();
  return plan;
}

/// What stands until something new has shown that it works.
void add_held(const ServiceState& service, const Reconfiguration& next, ServicePlan& change) {
  for (std::size_t index = 0; index < next.probes.size(); ++index)
    if (!next.probes[index].waiting.empty()) change.held.push_back(next.config->servers[index].role);
  const ServerConfig& last = next.config->servers.back();
  if (last.role == former_role && service.current) change.serves_on = to_text(last.addresses.front());
}

} // namespace

std::optional<ServicePlan> service_change(const ServiceState* service, const Shared<ServiceConfig>& next) {
  if (service == nullptr) {
    const ServiceState nothing;
    return ServicePlan{.service = next->name,
                       .change = "added",
                       .probes = probes_plan({}, reconfigure(nothing, next)),
                       .observed = next->mode == Mode::observe};
  }
  if (is_configured_as(*service, next)) return std::nullopt;
  const Reconfiguration behind = reconfigure(*service, next);
  ServicePlan change{.service = next->name, .change = "changed", .keys = changes_of_keys(configured(*service), next)};
  change.probes = probes_plan(probes_of(*service), behind);
  add_held(*service, behind, change);
  change.observed = next->mode == Mode::observe;
  return change;
}

ServicePlan service_removal(const ServiceState& service) {
  return {.service = service.config->name, .change = "removed", .probes = probes_plan(probes_of(service), {})};
}

std::vector<ServicePlan> service_changes(const ServiceRegistry& registry, const Config& config) {
  std::vector<ServicePlan> changes;
  std::unordered_set<std::string_view> names;
  for (const ServiceConfig& service : config.services) names.insert(service.name);
  for (const auto& service : registry.services())
    if (!service->removed && !names.contains(service->config->name)) changes.push_back(service_removal(*service));
  for (const Shared<ServiceConfig>& next : config.services)
    if (auto change = service_change(registry.find(next->name), next)) changes.push_back(std::move(*change));
  return changes;
}

} // namespace hanat
