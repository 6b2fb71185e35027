// What an operator changes in a running daemon: Force, Auto, Disable, Enable. Each checks all of its parameters before it changes anything,
// and its reply says what became of the traffic and of the connections of the old target (move_reply). Not here: who may call (server), how
// an override takes effect (failover).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "daemon/control/server.hpp"
#include "daemon/failover/controller.hpp"

namespace hanat {

/// The server that a call names, by its role or an address. Throws ControlError.
std::size_t server_for(const ServiceState& service, const std::string& name);
/// Status, history and journal show it in one line. Throws ControlError.
std::string reason_in(const nlohmann::json& parameters);

/// Each throws ControlError.
nlohmann::json handle_force(Controller& controller, const Call& call);
nlohmann::json handle_auto(Controller& controller, const Call& call);
nlohmann::json handle_disable(Controller& controller, const Call& call);
nlohmann::json handle_enable(Controller& controller, const Call& call);

} // namespace hanat
