// The doctor of a running daemon: it looks for the cause when clients get no answer, its path checks are evidence of their own, and
// settings that stop all clients are watched. Not here: what they do (doctor), the reply to a client (handlers, diagnosis).
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <uv.h>

#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/path_checks.hpp"
#include "daemon/doctor/rule_tracing.hpp"
#include "daemon/doctor/settings_watch.hpp"
#include "daemon/failover/controller.hpp"

namespace hanat {

class Examinations {
public:
  /// First removes the veth pair of a hanatd that was killed; `on_warning` is told if that fails, and when examinations fail; `on_setting`,
  /// when a setting begins or ceases to stop all clients. `table`: the name of hanat's table.
  Examinations(uv_loop_t* loop, const std::string& table, Controller& controller, const std::function<void(const std::string&)>& on_warning,
               SettingsWatch::OnChange on_setting);
  ~Examinations();
  Examinations(const Examinations&) = delete;
  Examinations& operator=(const Examinations&) = delete;

  Doctor& doctor() { return doctor_; }
  /// Settings that stop the clients of every service now.
  const std::vector<Finding>& settings() const { return settings_.found(); }
  /// [hanatd] path_check, at the start and after a reload.
  void configure(const PathCheck& check);
  /// The role of a gateway in a pair has changed: on a standby nothing is sent, because replies take the way over the other gateway.
  void follow_role();

private:
  void diagnose(const ServiceState& service, const Endpoint& client, const Vip& vip);
  void note_failure(const std::string& why);

  Controller& controller_;
  std::function<void(const std::string&)> on_warning_;
  std::optional<Clock::duration> interval_; // of checks of hanatd's own, as configured
  std::string failure_;                     // of the last examination for a client
  RuleTracing tracing_;
  Doctor doctor_;
  PathChecks path_checks_;
  SettingsWatch settings_;
};

} // namespace hanat
