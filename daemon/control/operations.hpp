// What an operator changes in a running daemon: Force, Auto, Disable, Enable. Each checks all of its parameters before it changes anything,
// and its reply says what became of the traffic and of the connections of the old target (move_reply). Not here: who may call (server), how
// an override takes effect (failover).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"

namespace hanat {

/// Each throws ControlError.
nlohmann::json handle_force(Controller& controller, const Call& call);
nlohmann::json handle_auto(Controller& controller, const Call& call);
nlohmann::json handle_disable(Controller& controller, const Call& call);
nlohmann::json handle_enable(Controller& controller, const Call& call);

} // namespace hanat
