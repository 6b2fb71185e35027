// Has hanat's flowtable in the table as long as a service has offload = true, with the interfaces of this machine; beside what services
// wait for. Not here: which endpoints are offloaded (decision/server_endpoints), how flows leave the flowtable (evictions), transactions
// (table_sync).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "daemon/failover/kernel.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/server_sets.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/failover/table_sync.hpp"

namespace hanat {

class Offload {
public:
  Offload(Table& table, TableSync& sync, const ServiceRegistry& registry, ServerSets& sets, Outbox& outbox)
      : table_(table), sync_(sync), registry_(registry), sets_(sets), outbox_(outbox) {}

  using Interfaces = std::map<unsigned, std::string>; // by index: a name may come back with another interface
  /// The interfaces of this machine whose packets may come to the flowtable.
  void set_interfaces(Interfaces interfaces);
  /// Other services than before may have the key.
  void on_config_changed() { config_changed_ = true; }
  /// Once a turn of the loop. Loads what differs, unless the table is busy: then the next call does.
  void run(Time now);
  /// A refusal is tried again.
  std::optional<Time> next_wakeup() const { return retry_at_; }

private:
  void take_outcome(Time now);
  void mark_services();
  bool is_loaded() const;

  Table& table_;
  TableSync& sync_;
  const ServiceRegistry& registry_;
  ServerSets& sets_;
  Outbox& outbox_;

  Interfaces interfaces_;
  bool config_changed_ = false;
  std::string services_; // that ask for it: "web and 2 other services"; empty: none
  std::optional<Interfaces> loaded_;
  Offloading state_ = Offloading::off;
  std::optional<Time> retry_at_;
  struct Outcome { // of the last change; nothing else looks at it while the thread is busy
    bool pending = false;
    std::optional<Interfaces> interfaces = {};
    Offloading state = Offloading::off;
    std::string error = {};
  };
  Outcome outcome_;
  std::string told_; // the last refusal
};

} // namespace hanat
