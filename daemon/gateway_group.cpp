// Services with one fate: who they are after a configuration was read, and one override for all of them. Not here: what they decide
// together (group), that their changes are made together (gateway, gateway_kernel).
#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"

namespace hanat {

/// `service` is what a group of one is made of.
std::span<RunningService* const> Gateway::fate_of(RunningService*& service) {
  if (!service->config.group.empty())
    if (const auto group = groups_.find(service->config.group); group != groups_.end()) return group->second;
  return {&service, 1};
}

/// Follows what is configured now; a group that has changed is decided anew.
void Gateway::regroup() {
  std::map<std::string, std::vector<RunningService*>> groups;
  for (const auto& service : services_)
    if (!service->config.group.empty()) groups[service->config.group].push_back(service.get());
  for (const auto& [name, members] : groups) {
    share_override(members);
    if (const auto before = groups_.find(name); before != groups_.end() && before->second == members) continue;
    for (RunningService* service : members) touch(*service);
  }
  groups_ = std::move(groups);
}

/// Services that were not always one may have different overrides: the newest one rules.
void Gateway::share_override(std::span<RunningService* const> group) {
  const RunningService* newest = nullptr;
  for (const RunningService* service : group)
    if (service->force && (newest == nullptr || service->force->since > newest->force->since)) newest = service;
  if (newest == nullptr) return;
  for (RunningService* service : group) {
    const bool same = service->force && service->force->server == newest->force->server && service->force->since == newest->force->since;
    if (same) continue;
    service->force = newest->force;
    service->override_ended = false;
    overrides_changed_ = true;
    tell(Level::warning, fmt::format("{} and {} have one fate (group {}): the override of {} rules both", service->config.name,
                                     newest->config.name, service->config.group, newest->config.name));
    events_.push_back(words::forced(*service, *service->force));
    touch(*service);
  }
}

/// Where one service of a group is to be looked at, all are.
void Gateway::complete_groups() {
  for (std::size_t index = 0; index < dirty_.size(); ++index) {
    RunningService* service = dirty_[index];
    for (RunningService* fellow : fate_of(service)) touch(*fellow);
  }
}

} // namespace hanat
