// Checks that hold for every method.
#include "daemon/control/parameters.hpp"

#include <fmt/ranges.h>

#include "daemon/util/wall_time.hpp"

namespace hanat {

using nlohmann::json;

void bad_parameter(const std::string& name, const std::string& message) {
  throw ControlError{"InvalidParameter", message, {{"parameter", name}}};
}

std::string moment_in(const json& parameters, const std::string& name) {
  const auto text = optional_of<std::string>(parameters, name);
  if (!text) return {};
  const auto moment = parse_wall_time(*text);
  if (!moment) bad_parameter(name, fmt::format("\"{}\" is not a time: write RFC 3339 in UTC, as in 2026-01-31T10:00:00.123Z", *text));
  return to_text(*moment);
}

std::vector<ServiceState*> selected_services(const ServiceRegistry& registry, const json& parameters) {
  const auto name = optional_of<std::string>(parameters, "service");
  const bool all = optional_of<bool>(parameters, "all").value_or(false);
  if (name && all) bad_parameter("all", "name a service or use --all, not both");
  std::vector<ServiceState*> result;
  std::vector<std::string> names;
  for (const auto& service : registry.services()) {
    if (service->removed) continue;
    names.push_back(service->config.name);
    if (!name || service->config.name == *name) result.push_back(service.get());
  }
  const std::string list = names.empty() ? "none is configured" : fmt::format("there are: {}", fmt::join(names, ", "));
  if (name && result.empty())
    throw ControlError{"UnknownService", fmt::format("no service \"{}\"; {}", *name, list), {{"services", names}}};
  if (!name && !all && result.size() != 1) throw ControlError{"Refused", fmt::format("name a service, or use --all; {}", list)};
  return result;
}

} // namespace hanat
