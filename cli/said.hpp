// What hanatctl says after a word that changes something: what happened, to what, and what is next; and after an error, the same.
// Pure. Not here: the status (show).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "daemon/client.hpp"
#include "daemon/walltime.hpp"

namespace hanat::cli {

/// Each takes the reply of a method of io.hanat.Control, and throws nlohmann::json::exception when it is not one.
std::string said_of_force(const nlohmann::json& reply, std::optional<std::chrono::milliseconds> for_time, WallTime now);
std::string said_of_auto(const nlohmann::json& reply);
std::string said_of_reload(const nlohmann::json& reply);

/// The refusal for people: several lines where it has a list. Every line is printable. `asked`: the service that was named, if one was.
std::string said_of_refusal(const Refusal& refusal, std::string_view asked);

} // namespace hanat::cli
