// The commands that ask why, what would be and what is: one function each. Not here: the others (commands), the texts (show_why, show_plan,
// show_probes, show_connections, show_doctor).
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/arguments.hpp"
#include "cli/commands.hpp"
#include "daemon/config/diagnostics.hpp"

namespace hanat::cli {

// Each throws NoDaemon, Refusal and nlohmann::json::exception.
Exit run_why(const Invocation& invocation);
Exit run_plan(const Invocation& invocation);
/// check --ask
Exit run_ask(const Invocation& invocation);
Exit run_probe(const Invocation& invocation);
Exit run_connections(const Invocation& invocation);
Exit run_doctor(const Invocation& invocation);
/// The history, as entries for people or as events for programs, and on with what happens.
Exit run_history(const Invocation& invocation);

/// Errors, or warnings, as JSON has them.
nlohmann::json error_list(const std::vector<ConfigError>& errors);
/// The errors of a configuration, a line each on stderr, and with --json one object on stdout.
Exit print_config_errors(const std::string& file, const std::vector<ConfigError>& errors, bool as_json);

} // namespace hanat::cli
