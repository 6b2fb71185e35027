// Every service, found by name, group and address of its servers; which of them have to be looked at, and when the next one changes by time
// alone. Not here: what is decided of them (transition), what is done (controller).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/decision/service_state.hpp"
#include "daemon/failover/waiting_services.hpp"

namespace hanat {

class ServiceRegistry {
public:
  const Services& services() const { return services_; }
  /// A configured service; nullptr: none of that name.
  ServiceState* find(const std::string& name) const;
  /// The services of its group, itself included; without a group `service` alone.
  std::span<ServiceState* const> group_of(ServiceState*& service) const;
  /// Those with a server at this address.
  const std::vector<ServiceState*>& at(const Address& address);
  /// The one with a listener that has this endpoint, a single port; nullptr: none.
  ServiceState* listening_at(const Vip& vip);

  /// A new service, with nothing but its name. It is found by name after list().
  ServiceState& add(const std::string& name);
  /// Its configuration has been set or changed: it is found by its name, its servers by their addresses.
  void list(ServiceState& service);
  /// It is no longer configured. It stays until nothing of it is left in the kernel.
  void unlist(ServiceState& service);
  /// The service of that name that is no longer configured, for what is left of it; made where there is none.
  ServiceState& tombstone(const std::string& name);
  /// Follows the groups of the configuration; the members of one that has changed are marked. Returns all groups.
  const std::map<std::string, std::vector<ServiceState*>>& regroup();

  /// The service has to be looked at.
  void mark_dirty(ServiceState& service);
  void mark_all_dirty();
  /// Where one service of a group is dirty, all are.
  void complete_groups();
  const std::vector<ServiceState*>& dirty() const { return dirty_; }
  std::vector<ServiceState*> take_dirty();

  /// Services with flows on their way out, and removed ones.
  const std::set<ServiceState*>& evicting() const { return evicting_; }
  void mark_evicting(ServiceState& service) { evicting_.insert(&service); }
  /// The service has just been decided. Where its flows are gone it is no longer among evicting(); a removed one of which nothing is left
  /// in the kernel ends.
  void reap(ServiceState& service);

  /// Notes when the service has to be looked at next; marks those whose time has come.
  void set_timer(ServiceState& service, Time now);
  void run_due(Time now);
  std::optional<Time> next_wakeup() const;

private:
  Services services_;
  std::unordered_map<std::string, ServiceState*> by_name_;          // the configured ones
  std::map<std::string, std::vector<ServiceState*>> groups_;        // by name
  std::map<Address, std::vector<ServiceState*>> by_server_address_; // empty: made at the next look-up
  std::map<Vip, ServiceState*> by_vip_;                             // what was looked for since services changed
  std::vector<ServiceState*> dirty_;
  std::set<ServiceState*> evicting_;
  std::set<std::pair<Time, ServiceState*>> timers_;

public:
  /// Of the dirty ones those that can wait. It refers to them, and stands behind them.
  WaitingServices waiting{dirty_};
};

} // namespace hanat
