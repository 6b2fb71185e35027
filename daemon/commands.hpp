// What the methods of the control socket do. Each checks what it was asked, calls the gateway, and answers with values.
// Not here: who may call (control), how it becomes so (gateway).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "daemon/control.hpp"
#include "daemon/gateway.hpp"
#include "daemon/history.hpp"

namespace hanat {

class Commands {
public:
  /// `reload` reads the configuration file again and applies it; it throws ControlError for a bad one.
  using Reload = std::function<nlohmann::json()>;
  Commands(Gateway& gateway, const History& history, Reload reload);

  /// The handler of the control socket. Throws ControlError.
  Reply operator()(const Call& call);
  DaemonStatus daemon_status() const;
  /// Which configuration is in force; `fallback`: why it is not the one that was named.
  void set_config(std::string file, std::optional<std::string> fallback);
  const std::optional<std::string>& fallback() const { return fallback_; }

private:
  Reply status(const nlohmann::json& parameters) const;
  Reply history(const nlohmann::json& parameters) const;
  nlohmann::json force(const Call& call);
  nlohmann::json end_override(const nlohmann::json& parameters);
  std::vector<RunningService*> chosen(const nlohmann::json& parameters) const;
  std::vector<RunningService*> with_their_groups(std::vector<RunningService*> services) const;

  Gateway& gateway_;
  const History& history_;
  std::string config_file_;
  std::optional<std::string> fallback_;
  Reload reload_;
  Time began_ = Clock::now();
};

} // namespace hanat
