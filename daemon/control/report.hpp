// The method Report: a program on this machine says how a server is. Not here: what follows (failover/reported_health).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"

namespace hanat {

/// Throws ControlError.
nlohmann::json handle_report(Controller& controller, const Call& call);

} // namespace hanat
