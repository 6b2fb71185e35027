// The doctor of a running daemon, and its path checks, over the daemon's services. Not here: what they do (doctor), the reply to a client
// (handlers, diagnosis).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/path_checks.hpp"
#include "daemon/doctor/rule_tracing.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

class Examinations {
public:
  /// First removes the veth pair of a hanatd that was killed; `on_warning` is told if that fails. `found`: of path checks.
  /// `table`: the name of hanat's table.
  Examinations(uv_loop_t* loop, const std::string& table, const ServiceRegistry& registry, PathChecks::Found found,
               const std::function<void(const std::string&)>& on_warning);

  Doctor& doctor() { return doctor_; }
  /// nullopt: no path checks.
  void set_period(std::optional<Clock::duration> period) { path_checks_.set_period(period); }

private:
  RuleTracing tracing_;
  Doctor doctor_;
  PathChecks path_checks_;
};

} // namespace hanat
