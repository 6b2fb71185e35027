// The role of this gateway in a pair, and what it means for each class of this folder: a standby decides and touches no connection, and one
// that settles lets nobody else's end. Not here: which role follows which (pair/role), whether the address is here (pair/address_monitor).
#pragma once

#include <optional>
#include <string>

#include "daemon/config/config.hpp"
#include "daemon/failover/conntrack_audit.hpp"
#include "daemon/failover/evictions.hpp"
#include "daemon/failover/kernel.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/server_sets.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/failover/table_sync.hpp"
#include "daemon/pair/role.hpp"

namespace hanat {

class GatewayRole {
public:
  GatewayRole(AddressWatch& addresses, ServiceRegistry& registry, TableSync& table, Evictions& evictions, ConntrackAudit& audit,
              ServerSets& servers, Outbox& outbox)
      : addresses_(addresses), registry_(registry), table_(table), evictions_(evictions), audit_(audit), servers_(servers),
        outbox_(outbox) {}

  /// Before anything is decided. `found`: what is loaded, by which a restart knows whether it was settled. Throws std::system_error.
  void start(const std::optional<PairConfig>& pair, const nat::Loaded& found, Time now);
  /// Follows [pair] of the configuration in use.
  void configure(const std::optional<PairConfig>& pair, Time now);
  /// The address may have come or gone.
  void on_addresses(Time now);
  /// hanatctl settled. False: there is nothing to settle.
  bool settle(const std::string& by, Time now);
  /// The limit may be over.
  void run(Time now);
  std::optional<Time> next_wakeup() const { return machine_.next_wakeup(); }

  const std::optional<PairConfig>& config() const { return pair_; }
  const RoleMachine& machine() const { return machine_; }

private:
  void change(const std::optional<RoleChange>& change, const std::string& by, Time now);
  void apply();

  AddressWatch& addresses_;
  ServiceRegistry& registry_;
  TableSync& table_;
  Evictions& evictions_;
  ConntrackAudit& audit_;
  ServerSets& servers_;
  Outbox& outbox_;
  std::optional<PairConfig> pair_;
  RoleMachine machine_;
};

} // namespace hanat
