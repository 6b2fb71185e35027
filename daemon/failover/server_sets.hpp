// Keeps the guard's sets of servers up to date, which are of all services together: it knows when they may have changed.
// Not here: what they hold (decision/server_endpoints), loading them (table_sync).
#pragma once

#include "daemon/failover/change.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/failover/table_sync.hpp"

namespace hanat {

class ServerSets {
public:
  ServerSets(TableSync& table, const ServiceRegistry& registry) : table_(table), registry_(registry) {}

  /// Everything found in the table is adopted: what was displaced there still is.
  void on_start(Time now);
  /// In peace the sets change with the configuration alone.
  void on_config_changed() { servers_changed_ = displaced_changed_ = true; }
  /// A change has been made in the table.
  void on_applied(const Change& change) { displaced_changed_ |= any_displaced_ || !change.plan.evictions.empty(); }
  /// Says what TableSync is to load.
  void update(Time now);

private:
  TableSync& table_;
  const ServiceRegistry& registry_;
  bool servers_changed_ = false, displaced_changed_ = false; // perhaps
  bool any_displaced_ = false;
};

} // namespace hanat
