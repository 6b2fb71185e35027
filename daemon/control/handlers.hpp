// What the methods of the control socket do: each checks its parameters, calls the controller and returns a reply.
// Not here: who may call (server), how an override or a reload takes effect (failover).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/control/config_in_use.hpp"
#include "daemon/control/inquiry.hpp"
#include "daemon/control/reload_requests.hpp"
#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/pair/program_monitor.hpp"
#include "daemon/report/flow_counter.hpp"
#include "daemon/report/history.hpp"

namespace hanat {

class Examinations;

class Handlers {
public:
  /// `named`: the file that a reload reads; `config`: what is in use, and what is to be said of it.
  Handlers(uv_loop_t* loop, Controller& controller, History& history, const std::string& named, const ConfigInUse& config,
           ReloadRequests& reloads);

  /// The handler of the control socket. Throws ControlError.
  Reply operator()(const Call& call);
  /// Nothing is probed, counted or told to followers any more. No call may follow.
  void stop() {
    inquiry_.reset();
    flows_.reset();
  }
  DaemonStatus daemon_status() const;
  /// With the last flip of before the start, if there was none since.
  ServiceStatus service_status(const ServiceState& service) const;
  /// Before the first call of Doctor; also for settings in the status. nullptr: there are none any more.
  void set_examinations(Examinations* examinations) { examinations_ = examinations; }
  /// Of a gateway of a pair: what is known of its other programs. nullptr: nothing any more.
  void set_programs(const ProgramMonitor* monitor) { programs_ = monitor; }
  /// The link to the other gateway of a pair.
  struct Peer {
    std::function<PeerStatus()> status;
    std::function<std::shared_ptr<PendingReply>(const Call&)> forward; // null: the call is for this gateway
  };
  /// nullopt: there is none any more.
  void set_peer(std::optional<Peer> peer) { peer_ = std::move(peer); }
  /// What is known of the programs that are told of events.
  void set_hooks(std::function<std::optional<HookStatus>()> status) { hooks_ = std::move(status); }
  /// Of addresses that the configuration does not hold, but DNS or an interface of this machine: what is known of them, and of those of
  /// other configurations.
  struct LiveAddresses {
    std::function<void(ServiceStatus& status, const ServiceConfig& config)> add_to;
    Inquiry::LookUp look_up;
    std::function<std::vector<Finding>(const std::string& service)> findings; // of services that do not listen where they should
  };
  void set_live_addresses(LiveAddresses addresses) {
    inquiry_->set_look_up(std::move(addresses.look_up));
    addresses_ = std::move(addresses);
  }
  void set_flow_counter(std::unique_ptr<FlowCounter> counter) { flows_ = std::move(counter); }
  /// Somebody looks at the status: the next one has newer counts of flows.
  void count_flows() const;
  /// Force, Auto, Disable or Enable, on this gateway. Throws ControlError.
  nlohmann::json operate(const Call& call);

private:
  Reply status(const nlohmann::json& parameters) const;
  Reply history(const nlohmann::json& parameters) const;
  Reply examine(const nlohmann::json& parameters) const;
  Reply reload(const Call& call);
  Reply settled(const Call& call);

  Controller& controller_;
  Examinations* examinations_ = nullptr;
  const ProgramMonitor* programs_ = nullptr;
  std::optional<Peer> peer_;
  std::function<std::optional<HookStatus>()> hooks_;
  LiveAddresses addresses_;            // without look_up
  std::unique_ptr<FlowCounter> flows_; // until stop()
  const History& history_;
  const ConfigInUse& config_;
  ReloadRequests& reloads_;
  std::unique_ptr<Inquiry> inquiry_; // until stop()
  Time started_ = Clock::now();
};

} // namespace hanat
