// What an operator changes in a running daemon: Force, Auto, Disable, Enable. Each checks all of its parameters before it changes anything,
// and its reply says what became of the traffic and of the connections of the old target. Not here: who may call (server), how an override
// takes effect (failover).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"

namespace hanat {

/// Each throws ControlError.
nlohmann::json force_server(Controller& controller, const Call& call);
nlohmann::json end_override(Controller& controller, const Call& call);
nlohmann::json disable_server(Controller& controller, const Call& call);
nlohmann::json enable_server(Controller& controller, const Call& call);

} // namespace hanat
