// The parameters of a call: values of their types, and the services and servers that they name. Not here: which there are (api/methods),
// what is done with them (handlers, inquiry).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/control/server.hpp"
#include "daemon/failover/service_registry.hpp"

namespace hanat {

/// Throws ControlError.
[[noreturn]] void bad_parameter(const std::string& name, const std::string& message);

/// Throws ControlError for another type.
template <typename Value> std::optional<Value> optional_of(const nlohmann::json& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end() || found->is_null()) return std::nullopt;
  try {
    return found->get<Value>();
  } catch (const nlohmann::json::exception&) {
    bad_parameter(name, fmt::format("parameter \"{}\" does not have the type that the interface declares", name));
  }
}

/// As an entry of the history has it; empty: not asked for. Throws ControlError.
std::string moment_in(const nlohmann::json& parameters, const std::string& name);

/// The services that a call names: one, all, or the only one there is. Throws ControlError.
std::vector<ServiceState*> selected_services(const ServiceRegistry& registry, const nlohmann::json& parameters);
/// The same for a call that cannot be about all.
ServiceState& one_service(const ServiceRegistry& registry, const nlohmann::json& parameters);

/// The server that a call names: by its role, its name in DNS, or an address that only one server has; or any backup. Throws ControlError.
std::size_t server_for(const ServiceState& service, const std::string& name);
/// Why somebody does it. Status, history and journal show it in one line. Throws ControlError.
std::string reason_in(const nlohmann::json& parameters);

} // namespace hanat
