// The table, the checks that follow from it, and the text that follows from it.
#include "daemon/interface.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/control.hpp"

namespace hanat {
namespace {

constexpr std::array status_parameters = {Parameter{"service", "?string"}};
constexpr std::array force_parameters = {Parameter{"service", "?string"}, Parameter{"all", "?bool"},
                                         Parameter{"server", "string"},   Parameter{"for_s", "?float"},
                                         Parameter{"reason", "?string"},  Parameter{"even_if_down", "?bool"}};
constexpr std::array auto_parameters = {Parameter{"service", "?string"}, Parameter{"all", "?bool"}};

constexpr std::array methods = {
    Method{"Status", false, status_parameters, "status: object"},
    Method{"Force", true, force_parameters, "services: []Forced"},
    Method{"Auto", true, auto_parameters, "services: []Unforced"},
    Method{"Reload", true, {}, "services: int, added: []string, changed: []string, removed: []string"},
    Method{"History", false, status_parameters, "history: []object"},
    Method{"Version", false, {}, "version: string"},
};

constexpr std::string_view types = R"(# target_address is null where the target is none; until is RFC 3339, null: until Auto;
# all services of a group are forced and unforced together
type Forced (name: string, target: string, target_address: ?string, until: ?string, group: ?string)
type Unforced (name: string, target: string, target_address: ?string, was_forced: bool, group: ?string)
)";

constexpr std::string_view errors = R"(
error Refused (message: string)
error Failed (message: string)
error UnknownService (message: string, services: []string)
error NotPermitted (message: string)
error BadConfiguration (message: string, errors: []string)
error InvalidParameter (message: string, parameter: string)
)";

bool has_type(const nlohmann::json& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "bool") return value.is_boolean();
  return value.is_number(); // "float"
}

std::string describe() {
  std::string text =
      fmt::format("# hanat: a kernel-NAT failover controller. Status, History and Version are for everybody who can open the socket,\n"
                  "# the rest for root and the group named in [hanatd] operators.\ninterface {}\n\n{}\n",
                  control_interface, types);
  for (const auto& method : methods) {
    std::string parameters;
    for (const auto& parameter : method.parameters)
      parameters += fmt::format("{}{}: {}", parameters.empty() ? "" : ", ", parameter.name, parameter.type);
    text += fmt::format("method {}({}) -> ({})\n", method.name, parameters, method.result);
  }
  return text.append(errors);
}

} // namespace

std::span<const Method> control_methods() { return methods; }

const Method* find_method(std::string_view name) {
  const auto* const found = std::find_if(methods.begin(), methods.end(), [&](const Method& method) { return method.name == name; });
  return found == methods.end() ? nullptr : found;
}

std::optional<WrongParameter> check_parameters(const Method& method, const nlohmann::json& parameters) {
  for (const auto& [key, value] : parameters.items()) {
    const auto is_it = [&wanted = key](const Parameter& parameter) { return parameter.name == wanted; };
    if (std::none_of(method.parameters.begin(), method.parameters.end(), is_it))
      return WrongParameter{key, fmt::format("{} has no such parameter", method.name)};
  }
  for (const auto& parameter : method.parameters) {
    const bool optional = parameter.type.front() == '?';
    const auto type = parameter.type.substr(optional ? 1 : 0);
    const auto found = parameters.find(std::string{parameter.name});
    if (found == parameters.end() || found->is_null()) {
      if (!optional)
        return WrongParameter{std::string{parameter.name}, fmt::format("{} needs {}, a {}", method.name, parameter.name, type)};
    } else if (!has_type(*found, type)) {
      return WrongParameter{std::string{parameter.name}, fmt::format("{} of {} must be a {}", parameter.name, method.name, type)};
    }
  }
  return std::nullopt;
}

std::string_view interface_description() {
  static const std::string text = describe();
  return text;
}

std::string_view service_description() {
  return R"(# What every varlink service answers about itself
interface org.varlink.service

method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
)";
}

} // namespace hanat
