// What hanatctl prints after a command that changes something: what happened, to which service, and what is next; and after an error.
// Pure. Not here: the status (show).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "daemon/api/client.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

/// Each takes the reply of a method of io.hanat.Control, and throws nlohmann::json::exception when it is not one.
std::string force_reply(const nlohmann::json& reply, std::optional<std::chrono::milliseconds> for_time, WallTime now);
std::string drill_reply(const nlohmann::json& reply, WallTime now);
std::string auto_reply(const nlohmann::json& reply, WallTime now);
std::string report_reply(const nlohmann::json& reply, WallTime now);
std::string disable_reply(const nlohmann::json& reply, WallTime now);
std::string enable_reply(const nlohmann::json& reply, WallTime now);
/// Behind them, where the active gateway of the pair did it. Empty: this one did.
std::string forwarded_reply(const nlohmann::json& reply);
/// Behind --wait: what became of the connections of the old targets. Empty: there were none.
std::string waited_reply(const nlohmann::json& reply);
std::string reload_reply(const nlohmann::json& reply, WallTime now);

/// A refusal for people. Every line is printable. `command`: the word that was typed; `service`: the one that was named; empty: none.
std::string refusal_text(const Refusal& refusal, std::string_view command, std::string_view service);
/// Of a refused configuration: a line for each of its errors, which stands before the above.
std::string error_lines(const Refusal& refusal);

} // namespace hanat::cli
