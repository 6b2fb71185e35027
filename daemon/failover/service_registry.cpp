// Look-ups, marks and timers of the services.
#include "daemon/failover/service_registry.hpp"

#include <algorithm>
#include <utility>

#include "nat/port_range.hpp"

namespace hanat {

ServiceState* ServiceRegistry::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

std::span<ServiceState* const> ServiceRegistry::group_of(ServiceState*& service) const {
  if (!service->config->group.empty())
    if (const auto group = groups_.find(service->config->group); group != groups_.end()) return group->second;
  return {&service, 1};
}

const std::vector<ServiceState*>& ServiceRegistry::at(const Address& address) {
  if (by_server_address_.empty())
    for (const auto& service : services_)
      for (const ServerState& server : service->servers)
        for (const Endpoint& endpoint : server.addresses)
          if (auto& services = by_server_address_[endpoint.address]; services.empty() || services.back() != service.get())
            services.push_back(service.get());
  static const std::vector<ServiceState*> none;
  const auto found = by_server_address_.find(address);
  return found == by_server_address_.end() ? none : found->second;
}

ServiceState* ServiceRegistry::listening_at(const Vip& vip) {
  constexpr std::size_t at_most = 4'096; // the endpoints of clients in trouble; whoever sends them to all ports must not fill the memory
  if (const auto known = by_vip_.find(vip); known != by_vip_.end()) return known->second;
  const auto has = [&vip](const Vip& listener) { return covers(listener, vip); };
  const auto found =
      std::ranges::find_if(services_, [&](const auto& service) { return std::ranges::any_of(service->config->listen, has); });
  if (by_vip_.size() >= at_most) by_vip_.clear();
  return by_vip_[vip] = found == services_.end() ? nullptr : found->get();
}

ServiceState& ServiceRegistry::add(const std::string& name) {
  ServiceState& service = *services_.emplace_back(std::make_unique<ServiceState>());
  service.config.edit().name = name;
  return service;
}

void ServiceRegistry::list(ServiceState& service) {
  by_name_[service.config->name] = &service;
  by_server_address_.clear();
  by_vip_.clear();
}

void ServiceRegistry::unlist(ServiceState& service) {
  if (const auto named = by_name_.find(service.config->name); named != by_name_.end() && named->second == &service) by_name_.erase(named);
  by_server_address_.clear();
  by_vip_.clear();
  service.removed = true;
  mark_evicting(service);
  mark_dirty(service);
}

ServiceState& ServiceRegistry::tombstone(const std::string& name) {
  const auto removed =
      std::ranges::find_if(services_, [&](const auto& service) { return service->removed && service->config->name == name; });
  if (removed != services_.end()) return **removed;
  ServiceState& service = add(name);
  unlist(service);
  return service;
}

const std::map<std::string, std::vector<ServiceState*>>& ServiceRegistry::regroup() {
  std::map<std::string, std::vector<ServiceState*>> groups;
  for (const auto& service : services_)
    if (!service->config->group.empty()) groups[service->config->group].push_back(service.get());
  for (const auto& [name, members] : groups) {
    if (const auto before = groups_.find(name); before != groups_.end() && before->second == members) continue;
    for (ServiceState* service : members) mark_dirty(*service);
  }
  groups_ = std::move(groups);
  return groups_;
}

void ServiceRegistry::mark_dirty(ServiceState& service) {
  if (!std::exchange(service.dirty, true)) dirty_.push_back(&service);
}

void ServiceRegistry::mark_all_dirty() {
  for (const auto& service : services_) mark_dirty(*service);
}

void ServiceRegistry::complete_groups() {
  for (std::size_t index = 0; index < dirty_.size(); ++index) { // it grows meanwhile
    ServiceState* service = dirty_[index];
    for (ServiceState* member : group_of(service)) mark_dirty(*member);
  }
}

std::vector<ServiceState*> ServiceRegistry::take_dirty() {
  for (ServiceState* service : dirty_) service->dirty = false;
  return std::exchange(dirty_, {});
}

void ServiceRegistry::reap(ServiceState& service) {
  const bool unfinished =
      !service.evictions.empty() || (service.removed && (!service.loaded.empty() || service.dirty || service.due.answer));
  if (unfinished || evicting_.erase(&service) == 0 || !service.removed) return;
  if (service.due.timer) timers_.erase({*service.due.timer, &service});
  waiting.forget(service);
  std::erase_if(services_, [&service](const auto& other) { return other.get() == &service; });
}

void ServiceRegistry::set_timer(ServiceState& service, Time now) {
  const auto timer = next_timer(service, now);
  if (timer == service.due.timer) return;
  if (service.due.timer) timers_.erase({*service.due.timer, &service});
  if (timer) timers_.emplace(*timer, &service);
  service.due.timer = timer;
}

void ServiceRegistry::run_due(Time now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    ServiceState* service = timers_.begin()->second;
    timers_.erase(timers_.begin());
    service->due.timer.reset();
    mark_dirty(*service);
  }
}

std::optional<Time> ServiceRegistry::next_wakeup() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

} // namespace hanat
