// Keeps the sets up to date that are of all services together, those of servers and of offloaded endpoints: it knows when they may have
// changed. Not here: what they hold (decision/server_endpoints), transactions (table_sync).
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "daemon/failover/change.hpp"
#include "daemon/failover/kernel.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/failover/table_sync.hpp"

namespace hanat {

class ServerSets {
public:
  ServerSets(Table& table, TableSync& sync, const ServiceRegistry& registry) : table_(table), sync_(sync), registry_(registry) {}

  /// The table is adopted, with these endpoints: what was displaced there still is.
  void on_start(const std::map<nat::SetKind, nat::EndpointMap>& found, Time now);
  /// In peace the sets change with the configuration alone.
  void on_config_changed() { servers_changed_ = displaced_changed_ = true; }
  /// Other services than before are offloaded.
  void on_offloading_changed() { offloaded_changed_ = true; }
  /// In a pair the guard may drop what servers send that fits no flow, of every protocol; otherwise only TCP.
  void set_all_protocols(bool on) {
    if (std::exchange(all_protocols_, on) != on) servers_changed_ = true;
  }
  /// A change has been made in the table.
  void on_applied(const Change& change) {
    const bool leaves = !std::ranges::all_of(change.plan.evictions, &Eviction::untranslated); // servers are displaced, or drain
    const ServiceState& service = *change.service;
    offloaded_changed_ |= service.offloading == Offloading::on && change.plan.rules.vips != service.loaded.vips;
    displaced_changed_ |= any_displaced_ || leaves || !service.displaced_until.empty();
  }
  /// Loads what differs, unless the table is busy: then the next call does, and so it does with what a transaction is too short for. A
  /// refusal is tried again, too.
  void update(Time now);
  /// There is more to load.
  std::optional<Time> next_wakeup(Time now) const;

private:
  void intend(nat::SetKind kind, nat::EndpointMap endpoints);

  Table& table_;
  TableSync& sync_;
  const ServiceRegistry& registry_;
  struct Endpoints {
    std::shared_ptr<const nat::EndpointMap> intended, loaded; // the same one: in sync
  };
  std::map<nat::SetKind, Endpoints> sets_;
  bool servers_changed_ = false, displaced_changed_ = false, offloaded_changed_ = false; // perhaps
  bool all_protocols_ = false;
  bool any_displaced_ = false;
  bool unfinished_ = false; // the last update was a part
};

} // namespace hanat
