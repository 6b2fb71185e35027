// The controller: once a turn of the loop, after all events of that turn, sync() brings the kernel in sync with what is decided. It holds
// the classes of this folder and the one order of every transition. Not here: how anything is decided (transition, decision), what each
// step does (the class it is called from).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <uv.h>

#include "daemon/failover/client_evidence.hpp"
#include "daemon/failover/conntrack_audit.hpp"
#include "daemon/failover/evictions.hpp"
#include "daemon/failover/gateway_role.hpp"
#include "daemon/failover/health_monitor.hpp"
#include "daemon/failover/heartbeat.hpp"
#include "daemon/failover/offload.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/real_kernel.hpp"
#include "daemon/failover/reload.hpp"
#include "daemon/failover/reload_queue.hpp"
#include "daemon/failover/server_sets.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/failover/table_sync.hpp"

namespace hanat {

/// How much of a turn of the loop its transaction may take.
struct Pace {
  Clock::duration wait = commit_patience; // for the kernel, when traffic moves
  std::size_t patient = 128;              // services that can wait, such as those that get their first target: some milliseconds
};

class Controller {
public:
  enum class Urgency : std::uint8_t { now, soon };
  struct Publish {
    std::function<void(Event)> event;
    std::function<void()> send_now = {}; // the loop may wait for the kernel next: whoever follows the events gets them now
    /// An override, a maintenance or a drain began or ended, and the table is in sync with it: the state file is out of date. Who changed
    /// an override waits until it is in the file.
    std::function<void(Urgency)> state_changed = {};
    std::function<void(std::set<std::string> services)> health_changed = {}; // what is saved of them is out of date
    std::function<void(bool)> server_reached = {}; // whether this gateway reaches a server; also when that is the same as before
  };

  /// Without a notifier no client is nudged; the rest works.
  Controller(uv_loop_t* loop, nat::NftTable table, nat::HeartbeatSocket heartbeat, nat::Cutter cutter,
             std::optional<ClientNotifier> notifier, Publish publish);
  ~Controller();
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  /// Adopts the table that is loaded, or loads a fresh one, and begins to probe. Returns when the table stands. Throws nat::ForeignTable,
  /// nat::TableInUse, std::system_error.
  void start(const Config& config, const State& saved, const EarlierRun& earlier);
  /// Changes what differs and nothing else, in slices, between which failovers go on. `done` is called on the loop when all of it is in the
  /// table. One that comes meanwhile follows.
  void reload(ReloadQueue::Order order);
  /// What that would change.
  void plan(std::shared_ptr<const Config> config, std::function<void(const std::shared_ptr<const ReloadPlan>&)> done);
  /// on_stop: keeps the table as it is, or removes it. Nothing is probed or done afterwards; the loop ends when a cut under way has.
  void stop();

  const ServiceRegistry& registry() const { return registry_; }
  /// An operator's change of one service, as overrides.hpp and maintenance.hpp have them; sync_now() then carries out all of them, in one
  /// transaction. What came of it stands in the services. What one of a group is given is the group's: change all of them. `flows`: of the
  /// old target, where the traffic moves; nullopt: as on_forced says.
  using OperatorChange = std::function<void(ServiceState& service, ServiceRegistry& registry, Outbox& outbox)>;
  void change(ServiceState& service, std::optional<FlowPolicy> flows, const OperatorChange& make);
  void sync_now();
  /// What the state file is to hold.
  State state() const;

  const TableSync& table() const { return table_; }

private:
  KernelCallbacks callbacks();
  void sync(Time now, const Pace& pace = {});
  void applied(Change& change, Time now);
  void join_commits(bool all);
  void wake_up(Time now);

  Publish publish_;
  Outbox outbox_;
  bool stopped_ = false;

  // in the order in which they depend on each other
  ServiceRegistry registry_;
  RealKernel kernel_;
  TableSync table_;

public:
  struct Upkeep { // of what is of no service alone
    ServerSets servers;
    Heartbeat heartbeat;
    Offload offload; // follows the interfaces of this machine
  };
  Upkeep upkeep{.servers = {kernel_.table(), table_, registry_},
                .heartbeat = {kernel_.heartbeats(), table_, registry_, outbox_},
                .offload = {kernel_.table(), table_, registry_, upkeep.servers, outbox_}};

private:
  Evictions evictions_;
  HealthMonitor health_;
  ConntrackAudit audit_;
  Reload reload_;
  ReloadQueue reloads_{registry_, reload_, outbox_, Clock::now};

public:
  /// Whether clients get an answer. Who looks for causes sets `diagnose` there.
  ClientEvidence clients{registry_, outbox_};
  /// Of this gateway in a pair. Behind its `settle` comes sync_now().
  GatewayRole role{kernel_.addresses(), registry_, table_, evictions_, audit_, upkeep.servers, outbox_};
};

} // namespace hanat
