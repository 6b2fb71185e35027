// The dead man's switch of held refusals: renews the table's heartbeat once a second, while some refusal would be held. When hanatd dies or
// hangs, nothing is held after nat::heartbeat_for. By a packet, which costs no transaction; by a transaction where packets do not get
// through. Not here: the packet (nat/nftables/heartbeat_socket), holding (nat/nftables/ruleset), which refusals (decision/desired_state).
#pragma once

#include <optional>
#include <string>

#include "daemon/decision/service_state.hpp"
#include "daemon/failover/kernel.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/failover/table_sync.hpp"

namespace hanat {

class Heartbeat {
public:
  Heartbeat(HeartbeatSender& sender, TableSync& table, ServiceRegistry& registry, Outbox& outbox)
      : sender_(sender), table_(table), registry_(registry), outbox_(outbox) {}

  /// The table holds what the service has loaded.
  void on_applied(const ServiceState& service, Time now);
  /// Once a turn of the loop.
  void run(Time now);
  std::optional<Time> next_wakeup() const { return next_; }

private:
  bool is_needed() const;
  bool send_packet();

  HeartbeatSender& sender_;
  TableSync& table_;
  ServiceRegistry& registry_;
  Outbox& outbox_;
  std::optional<Time> next_;  // while some refusal would be held, or the gateway settles
  unsigned lost_packets_ = 0; // in a row
};

} // namespace hanat
