// Commands that the standby of a pair passes on to the active gateway, on both sides of the link: their form there, and the reply's. Not
// here: the link (daemon/peer), what the commands do (operations).
#pragma once

#include <functional>
#include <string>
#include <variant>

#include <nlohmann/json.hpp>

#include "daemon/control/server.hpp"

namespace hanat {

/// Whether the method changes what both gateways of a pair are to know.
bool is_forwarded(const std::string& method);
/// As an operator would type it: "force-backup web".
std::string command_text(const Call& call);

/// For the active gateway. `by`: who asked for it, on this one.
std::string command_bytes(const Call& call, const std::string& by);
/// The reply of the active gateway to that, or its refusal; also an error where it is neither.
std::variant<nlohmann::json, ControlError> parse_command_reply(const std::string& body);

/// On the active gateway: runs what came over the link. `from`: the address of the other gateway. `run` throws ControlError.
std::string run_command(const std::string& body, const std::string& from, const std::function<nlohmann::json(const Call&)>& run);
/// The same where nothing can be run.
std::string refuse_command(const std::string& message);

} // namespace hanat
