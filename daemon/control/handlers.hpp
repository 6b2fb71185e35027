// What the methods of the control socket do: each checks its parameters, calls the controller and returns a reply.
// Not here: who may call (server), how an override or a reload takes effect (failover).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>
#include <uv.h>

#include "daemon/control/inquiry.hpp"
#include "daemon/control/server.hpp"
#include "daemon/doctor/doctor.hpp"
#include "daemon/failover/controller.hpp"
#include "daemon/report/history.hpp"

namespace hanat {

class Handlers {
public:
  /// `reload` reads the configuration file again and applies it, or throws ControlError.
  using Reload = std::function<nlohmann::json(const std::string& by)>;
  /// `config`: the file that a reload reads.
  Handlers(uv_loop_t* loop, Controller& controller, History& history, std::string config, Reload reload);

  /// The handler of the control socket. Throws ControlError.
  Reply operator()(const Call& call);
  /// Nothing is probed, counted or told to followers any more. No call may follow.
  void stop() { inquiry_.reset(); }
  DaemonStatus daemon_status() const;
  /// With the last flip of before the start, if there was none since.
  ServiceStatus service_status(const ServiceState& service) const;
  /// The configuration in use; `fallback`: why it is not the file that was named.
  void set_config(std::string file, std::optional<std::string> fallback);
  void set_reload_refused(const std::string& by, std::size_t errors, std::string first);
  void set_config_stale(bool stale) { config_stale_ = stale; }
  /// Before the first call of Doctor. nullptr: there is none any more.
  void set_doctor(Doctor* doctor) { doctor_ = doctor; }
  bool reload_refused() const { return reload_refused_.has_value(); }
  const std::optional<std::string>& fallback() const { return fallback_; }

private:
  Reply status(const nlohmann::json& parameters) const;
  Reply history(const nlohmann::json& parameters) const;
  Reply examine(const nlohmann::json& parameters) const;

  Controller& controller_;
  Doctor* doctor_ = nullptr;
  const History& history_;
  std::string config_file_;
  std::optional<std::string> fallback_;
  WallTime config_loaded_at_{};
  std::optional<RefusedReload> reload_refused_;
  bool config_stale_ = false;
  Reload reload_;
  std::unique_ptr<Inquiry> inquiry_; // until stop()
  Time started_ = Clock::now();
};

} // namespace hanat
