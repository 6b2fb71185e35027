// What is replied to an operator's move of the traffic, service by service: where it is now, whether the move is still to come, and what
// becomes of the connections of the old target. Not here: the moves (operations).
#pragma once

#include <cstdint>
#include <optional>

#include <nlohmann/json.hpp>

#include "daemon/decision/service_state.hpp"

namespace hanat {

/// A service that a call is about, as it was before the call changed anything.
struct Subject {
  ServiceState* service = nullptr;
  std::uint64_t flips = 0;
  nlohmann::json drains = {}; // of running drains that the call gives another end: what becomes of them; null: none
};

/// What becomes of the flows of one server of the service, or of the first that has some, that drain or are kept now; null: there are none.
/// `policy`: the end that an operator gives them.
nlohmann::json running_drains(const ServiceState& service, std::optional<std::size_t> server, const std::optional<FlowPolicy>& policy);

/// "pending": the move still waits, for a cut that is being cancelled or because the kernel refuses it; hanatd tries again by itself.
nlohmann::json move_reply(const Subject& subject);
/// Of a server that was disabled or enabled.
nlohmann::json move_reply(const Subject& subject, std::size_t server);
/// Of one that was enabled: what the traffic's way back to it waits for.
void add_way_back(nlohmann::json& reply, const ServiceState& service, std::size_t server);

} // namespace hanat
