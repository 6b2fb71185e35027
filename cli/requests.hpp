// What every command does: it asks the daemon, and prints. Not here: which request (commands, diagnosis), which text (show, replies).
#pragma once

#include <chrono>
#include <string>

#include <nlohmann/json.hpp>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"

namespace hanat::cli {

inline constexpr const char* default_config = "/etc/hanat/hanat.toml";

/// A closed pipe or a full disk is a failure: a script must not take half a reply for a whole one.
Exit print(const std::string& text, Exit status = Exit::done);
Exit print_json(const nlohmann::json& value, Exit status = Exit::done);
/// Sentences for people, wrapped to the width of the terminal.
Exit print_message(const Invocation& invocation, const std::string& text);
/// One value on one line.
std::string json_line(const nlohmann::json& value);

std::string socket_of(const Invocation& invocation);
/// Throws NoDaemon or Refusal.
nlohmann::json request(const Invocation& invocation, const char* method, const nlohmann::json& parameters,
                       std::chrono::milliseconds deadline = std::chrono::seconds{10});

} // namespace hanat::cli
