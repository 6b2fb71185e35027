// Asks hanatd for its status, service by service. Not here: one call of any method (client), the status itself (status).
#pragma once

#include <chrono>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "daemon/api/status.hpp"

namespace hanat {

/// Of all services, or of the one that the parameters name. Throws NoDaemon, Refusal, and nlohmann::json::exception for one of another
/// version. `deadline`, `cancel`: as of call().
Status call_status(const std::string& socket_path, const nlohmann::json& parameters,
                   std::chrono::milliseconds deadline = std::chrono::seconds{10}, int cancel = -1);

} // namespace hanat
