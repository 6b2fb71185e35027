// The methods of io.hanat.Control as a table: who may call them, their parameters, and the interface description with the type of every
// field that is sent. Not here: what the methods do and the socket (control), the wire (varlink), the JSON of a status (status).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

inline constexpr std::string_view control_interface = "io.hanat.Control";
/// Server of Force: the first backup that is up. "backup" is the first one of the configuration, up or not.
inline constexpr std::string_view any_backup = "any-backup";

struct Parameter {
  std::string_view name;
  std::string_view type; // as varlink writes it: "string", "?bool", "?float"; "?" is optional
};
struct Method {
  std::string_view name;
  bool changes; // only root and the operators' group may call it
  std::span<const Parameter> parameters;
  std::string_view result; // the fields of the reply, as varlink writes them
  bool streams = false;    // it replies again and again, to a call with "more"
};

std::span<const Method> control_methods();
const Method* find_method(std::string_view name);

struct WrongParameter {
  std::string parameter, message;
};
/// nullopt when the parameters are of the method's types, none is missing and none is unknown.
std::optional<WrongParameter> check_parameters(const Method& method, const nlohmann::json& parameters);

/// The description of org.varlink.service, which every varlink service implements.
std::string_view service_description();

/// The description of io.hanat.Control, for `varlinkctl introspect`.
std::string_view interface_description();

} // namespace hanat
