// What is known of the servers' health: probes are sent, their results counted, and what the kernel tells of clients and paths triggers a
// probe at once. Not here: sending (probes/scheduling), counting (decision/failure_window), what follows from a verdict (decision).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "daemon/decision/reconfiguration.hpp"
#include "daemon/failover/kernel.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "probes/passive/kernel_events.hpp"

namespace hanat {

class HealthMonitor {
public:
  /// A burst of probes to the target ended well: clients whose refusal was held meanwhile need not wait for their own timer.
  using BurstPassed = std::function<void(ServiceState&)>;
  using IsConntrackFull = std::function<bool()>;

  HealthMonitor(ProbeScheduler& scheduler, PathMonitor& paths, IsConntrackFull is_conntrack_full, ServiceRegistry& registry, Outbox& outbox,
                BurstPassed burst_passed);

  /// Replaces the probes of all servers, `before`, by those of `next`; a probe that stays the same keeps its history.
  void configure(std::vector<ServerState>& before, std::vector<ServerState>& servers, const Reconfiguration& next);
  /// Probes `copy` as `server` is, with the same results until now.
  void copy_probes(const ServerState& server, ServerState& copy);
  /// Its results belong to the service from now on.
  void assign(ServiceState& service);
  /// Probes the witness of the configuration, if it has one, and no other any more.
  void watch_witness(ServiceState& service);
  /// Nothing of the service, or of one of its servers, is probed any more.
  void forget(const ServiceState& service);
  void forget(const ServerState& server);
  /// No probe is sent any more.
  void stop();

  /// Probes are sent at the rate that the windows ask for now.
  void update_rates(ServiceState& service);

  /// The result of a probe that needs not be sent: this machine has no path to the server.
  std::optional<probes::ProbeResult> precheck(const probes::Probe& probe);
  void on_probe_result(probes::ProbeId id, const probes::ProbeResult& received, Time now);
  void on_kernel_event(const probes::KernelEvent& event, Time now);

  /// Replies to probes have to bypass conntrack, since its table drops whatever begins a connection.
  bool is_conntrack_full() const { return conntrack_.is_full; }

private:
  ProbeState keep_or_add(const probes::Probe& probe, const ServiceConfig& config, std::vector<ProbeState>& old);
  void forget(const ProbeState& probe);
  void on_new_probe_result(ServiceState& service, std::size_t server, std::size_t probe, const probes::ProbeResult& received, Time now);
  void take_up(ServiceState& service, std::size_t server, Time now);
  void trigger(ServiceState& service, const Endpoint& at, const probes::KernelEvent& event, Time now);
  probes::ProbeResult discount_if_full(const probes::ProbeResult& result, probes::Kind kind, Time now);
  void note_inconclusive(bool was, const probes::ProbeResult& now);

  ProbeScheduler& scheduler_;
  PathMonitor& paths_;
  IsConntrackFull check_conntrack_;
  ServiceRegistry& registry_;
  Outbox& outbox_;
  BurstPassed burst_passed_;

  struct ProbeOwner {
    ServiceState* service;
    std::size_t server, probe; // places in the service's lists; `server` is `witness` of that
    bool is_new = false;       // one of the server's new probes
  };
  static constexpr std::size_t witness = SIZE_MAX;
  std::unordered_map<probes::ProbeId, ProbeOwner> owners_;
  std::size_t inconclusive_ = 0; // probes whose last result was so

  struct FullConntrack {
    bool is_full = false;
    Time since{};
    bool untracked_works = false; // a reply came although the table is full
  } conntrack_;
};

} // namespace hanat
