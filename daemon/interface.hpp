// The methods of io.hanat.Control as a table: who may call them, with which parameters, and the description that varlink shows of them.
// Not here: what the methods do, the wire (varlink), the socket (control).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace hanat {

inline constexpr std::string_view control_interface = "io.hanat.Control";

struct Parameter {
  std::string_view name;
  std::string_view type; // varlink's word: "string", "?bool", "?float"; "?" is optional
};
struct Method {
  std::string_view name;
  bool changes; // what is not reading is for root and the operators' group alone
  std::span<const Parameter> parameters;
  std::string_view result; // in varlink's words
};

std::span<const Method> control_methods();
const Method* find_method(std::string_view name);

struct WrongParameter {
  std::string parameter, message;
};
/// nullopt when the parameters are of the method's types, none is missing and none is unknown.
std::optional<WrongParameter> check_parameters(const Method& method, const nlohmann::json& parameters);

/// org.varlink.service, which every varlink service has.
std::string_view service_description();

} // namespace hanat
