// Checks that hold for every method.
#include "daemon/control/parameters.hpp"

#include <algorithm>
#include <string_view>

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

namespace {

/// "there are: web, mail and 298 more"
std::string list_of(const std::vector<std::string>& names) {
  constexpr std::size_t listed = 20;
  if (names.empty()) return "none is configured";
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), listed));
  return fmt::format("there {}: {}{}", names.size() == 1 ? "is" : "are", fmt::join(names.begin(), end, ", "),
                     names.size() > listed ? fmt::format(" and {} more", names.size() - listed) : "");
}

std::vector<ServiceState*> select(const ServiceRegistry& registry, const json& parameters, std::string_view advice) {
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
  if (name && result.empty())
    throw ControlError{"UnknownService", fmt::format("no service \"{}\"; {}", *name, list_of(names)), {{"services", names}}};
  if (!name && !all && result.size() != 1) throw ControlError{"Refused", fmt::format("{}; {}", advice, list_of(names))};
  return result;
}

} // namespace

std::vector<ServiceState*> selected_services(const ServiceRegistry& registry, const json& parameters) {
  return select(registry, parameters, "name a service, or use --all");
}

ServiceState& one_service(const ServiceRegistry& registry, const json& parameters) {
  return *select(registry, parameters, "name a service").front();
}

} // namespace hanat
