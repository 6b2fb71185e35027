// Joins what is known of the clients with the doctor: which services are examined, when, and what becomes of the findings.
// Not here: examining (doctor/), the evidence of clients (failover/client_evidence).
#pragma once

#include <string>

#include <uv.h>

#include "daemon/doctor/doctor.hpp"
#include "daemon/doctor/path_checks.hpp"
#include "daemon/doctor/rule_tracing.hpp"
#include "daemon/failover/controller.hpp"

namespace hanat {

class Examinations {
public:
  /// `table`: the name of hanat's table.
  Examinations(uv_loop_t* loop, const std::string& table, Controller& controller);

  Doctor& doctor() { return doctor_; }

private:
  Controller& controller_;
  RuleTracing tracing_;
  Doctor doctor_;
  PathChecks checks_;
};

} // namespace hanat
