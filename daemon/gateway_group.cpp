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
  const RunningService* owner = nullptr;
  const Force* newest = nullptr;
  for (const RunningService* service : group)
    if (const auto& force = service->force; force && (newest == nullptr || force->since > newest->since)) {
      owner = service;
      newest = &*force;
    }
  if (newest == nullptr) return;
  for (RunningService* service : group) {
    if (const auto& own = service->force; own && own->server == newest->server && own->since == newest->since) continue;
    service->force = *newest;
    service->override_ended = false;
    overrides_changed_ = true;
    tell(Level::warning, fmt::format("{0} and {1} have one fate (group {2}): the override of {1} rules both", service->config.name,
                                     owner->config.name, service->config.group));
    events_.push_back(words::forced(*service, *newest));
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
