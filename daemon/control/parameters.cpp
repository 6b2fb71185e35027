// Checks that hold for every method.
#include "daemon/control/parameters.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/ranges.h>

#include "daemon/api/methods.hpp"
#include "daemon/decision/reconfiguration.hpp"
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
    names.push_back(service->config->name);
    if (!name || service->config->name == *name) result.push_back(service.get());
  }
  if (name && result.empty())
    throw ControlError{"UnknownService", fmt::format("no service \"{}\"; {}", *name, list_of(names)), {{"services", names}}};
  if (!name && !all && result.size() != 1) throw ControlError{"Refused", fmt::format("{}; {}", advice, list_of(names))};
  return result;
}

std::string roles_of(const ServiceState& service) {
  std::string roles;
  for (const ServerState& server : configured_servers(service)) roles += (roles.empty() ? "" : ", ") + server.role;
  return roles;
}

/// The first backup that is up, otherwise the first that is not disabled.
std::size_t any_backup_of(const ServiceState& service) {
  const auto servers = configured_servers(service);
  if (servers.size() < 2)
    throw ControlError{"Refused", fmt::format("{} has no backup: add one to its configuration, then reload", service.config->name)};
  const auto up = std::ranges::find(servers.begin() + 1, servers.end(), Health::up,
                                    [](const ServerState& server) { return usable(candidate(server)); });
  const auto chosen = up != servers.end() ? up : std::ranges::find_if(servers.begin() + 1, servers.end(), [](const ServerState& server) {
    return !candidate(server).disabled;
  });
  return chosen == servers.end() ? 1 : static_cast<std::size_t>(chosen - servers.begin());
}

} // namespace

std::vector<ServiceState*> selected_services(const ServiceRegistry& registry, const json& parameters) {
  return select(registry, parameters, "name a service, or use --all");
}

ServiceState& one_service(const ServiceRegistry& registry, const json& parameters) {
  return *select(registry, parameters, "name a service").front();
}

std::size_t server_for(const ServiceState& service, const std::string& name) {
  if (name == any_backup) return any_backup_of(service);
  const auto is_at = [&name](const Endpoint& address) { return to_text(address) == name || address.address.text() == name; };
  std::vector<std::size_t> found;
  for (std::size_t server = 0; server < configured_servers(service).size(); ++server) {
    if (service.servers[server].role == name || (!name.empty() && service.servers[server].host == name)) return server;
    if (std::ranges::any_of(service.servers[server].addresses, is_at)) found.push_back(server);
  }
  if (found.size() == 1) return found.front();
  throw ControlError{"Refused", fmt::format("{} has {} server \"{}\"; it has {}", service.config->name,
                                            found.empty() ? "no" : "more than one", name, roles_of(service))};
}

std::string reason_in(const json& parameters) {
  const auto reason = optional_of<std::string>(parameters, "reason").value_or("");
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  if (std::ranges::any_of(reason, is_control))
    bad_parameter("reason", "the reason is one line of text: write it without control characters");
  return reason;
}

} // namespace hanat
