// Status, Force, Auto, Reload, History, Version.
#include "daemon/commands.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "daemon/report.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr double longest_override_s = 10.0 * 365 * 24 * 3600;

[[noreturn]] void bad_parameter(const std::string& name, const std::string& message) {
  throw ControlError{"InvalidParameter", message, {{"parameter", name}}};
}

template <typename Value> std::optional<Value> optional_of(const json& parameters, const std::string& name) {
  const auto found = parameters.find(name);
  if (found == parameters.end() || found->is_null()) return std::nullopt;
  try {
    return found->get<Value>();
  } catch (const json::exception&) {
    bad_parameter(name, fmt::format("parameter \"{}\" has another type than the interface says", name));
  }
}

std::string kernel_word(KernelState state) {
  switch (state) {
  case KernelState::in_step: return "in-step";
  case KernelState::repairing: return "repairing";
  case KernelState::failed: return "failed";
  }
  return {};
}

std::string roles_of(const RunningService& service) {
  std::string roles;
  for (const RunningServer& server : service.servers) roles += (roles.empty() ? "" : ", ") + server.role;
  return roles;
}

/// "backup" is the first backup that is up; any other word names one server.
std::size_t server_for(const RunningService& service, const std::string& word) {
  const auto& servers = service.servers;
  if (word == "backup") {
    if (servers.size() < 2)
      throw ControlError{"Refused", fmt::format("{} has no backup: add one to its configuration, then reload", service.config.name)};
    const auto fit = std::ranges::find(servers.begin() + 1, servers.end(), Health::up,
                                       [](const RunningServer& server) { return candidate(server).health; });
    return fit == servers.end() ? 1 : static_cast<std::size_t>(fit - servers.begin());
  }
  const auto found = std::ranges::find(servers, word, [](const RunningServer& server) { return server.role; });
  if (found == servers.end())
    throw ControlError{"Refused", fmt::format("{} has no server \"{}\"; it has {}", service.config.name, word, roles_of(service))};
  return static_cast<std::size_t>(found - servers.begin());
}

void refuse_if_down(const RunningService& service, std::size_t server) {
  const RunningServer& wanted = service.servers[server];
  if (wanted.health != Health::down) return;
  throw ControlError{"Refused",
                     fmt::format("{}: {} ({}) is down; forcing it would take the service away. Use --even-if-down to do it all the same",
                                 service.config.name, wanted.role, to_text(wanted.addresses.front()))};
}

void refuse_if_observed(const RunningService& service) {
  if (!service.would) return;
  throw ControlError{"Refused",
                     fmt::format("{0} is in mode observe: hanat does not touch its traffic, so nothing can be forced. Set mode = "
                                 "\"auto\" for {0}{1} in the configuration, run hanatctl reload, then force it",
                                 service.config.name,
                                 service.config.group.empty() ? "" : fmt::format(" and the rest of group {}", service.config.group))};
}

std::string user_of(const Peer& peer) { return peer.name.empty() ? fmt::format("uid {}", peer.uid) : peer.name; }

/// "pending": the flip waits for a cut that is being ended, or for a kernel that refuses; it comes by itself.
json answer_for(const RunningService& service) {
  const ServiceStatus status = report(service, Clock::now());
  return {{"forced", status.forced ? json(status.forced->target) : json()},
          {"group", status.group ? json(*status.group) : json()},
          {"pending", service.force && !service.would && service.current != std::optional{service.force->server}},
          {"name", status.name},
          {"target", status.target},
          {"target_address", status.target_address ? json(*status.target_address) : json()},
          {"until", status.forced && status.forced->until ? json(*status.forced->until) : json()}};
}

} // namespace

Commands::Commands(Gateway& gateway, const History& history, Reload reload)
    : gateway_(gateway), history_(history), reload_(std::move(reload)) {}

void Commands::set_config(std::string file, std::optional<std::string> fallback) {
  config_file_ = std::move(file);
  fallback_ = std::move(fallback);
}

Reply Commands::operator()(const Call& call) {
  if (call.method == "Status") return status(call.parameters);
  if (call.method == "Force") return force(call);
  if (call.method == "Auto") return end_override(call.parameters);
  if (call.method == "Reload") return reload_();
  if (call.method == "History") return history(call.parameters);
  if (call.method == "Version") return {{"version", HANAT_VERSION}};
  throw ControlError{"Failed", fmt::format("method {} is in the interface, but does nothing", call.method)};
}

/// The services that a call is about: the named one, all, or the only one there is.
std::vector<RunningService*> Commands::chosen(const json& parameters) const {
  const auto name = optional_of<std::string>(parameters, "service");
  const bool all = optional_of<bool>(parameters, "all").value_or(false);
  if (name && all) bad_parameter("all", "name a service or say --all, not both");
  std::vector<RunningService*> result;
  std::vector<std::string> names;
  for (const auto& service : gateway_.services()) {
    if (service->removed) continue;
    names.push_back(service->config.name);
    if (!name || service->config.name == *name) result.push_back(service.get());
  }
  const std::string list = names.empty() ? "none is configured" : fmt::format("there are: {}", fmt::join(names, ", "));
  if (name && result.empty())
    throw ControlError{"UnknownService", fmt::format("no service \"{}\"; {}", *name, list), {{"services", names}}};
  if (!name && !all && result.size() != 1) throw ControlError{"Refused", fmt::format("say which service, or --all; {}", list)};
  return result;
}

/// What happens to one service of a group happens to all; the ones that were chosen come first.
std::vector<RunningService*> Commands::with_their_groups(std::vector<RunningService*> services) const {
  std::set<RunningService*> taken(services.begin(), services.end());
  for (std::size_t index = 0, chosen = services.size(); index < chosen; ++index) {
    RunningService* service = services[index];
    for (RunningService* fellow : gateway_.fate_of(service))
      if (taken.insert(fellow).second) services.push_back(fellow);
  }
  return services;
}

DaemonStatus Commands::daemon_status() const {
  DaemonStatus daemon;
  daemon.pid = getpid();
  daemon.uptime_s = std::chrono::duration<double>(Clock::now() - began_).count();
  daemon.kernel = kernel_word(gateway_.kernel_state());
  if (!gateway_.kernel_error().empty()) daemon.kernel_error = gateway_.kernel_error();
  daemon.blind = blindness(gateway_.services());
  daemon.config = config_file_;
  daemon.fallback = fallback_;
  daemon.version = HANAT_VERSION;
  return daemon;
}

Reply Commands::status(const json& parameters) const {
  const Status status{.daemon = daemon_status(), .services = {}};
  const bool one = optional_of<std::string>(parameters, "service").has_value();
  const std::vector<RunningService*> services = one ? chosen(parameters) : chosen({{"all", true}});
  std::vector<std::string> names; // a reload may take services away before their turn comes
  names.reserve(services.size());
  for (const RunningService* service : services) names.push_back(service->config.name);
  auto next = [this, names = std::move(names), at = std::size_t{0}]() mutable -> std::optional<json> {
    while (at < names.size())
      if (const RunningService* service = gateway_.find(names[at++])) return json(report(*service, Clock::now()));
    return std::nullopt;
  };
  return {json{{"status", status}}, "services", std::move(next)};
}

/// Of one service, or of all and the daemon. A service that is not configured any more may have a history, too.
Reply Commands::history(const json& parameters) const {
  const auto name = optional_of<std::string>(parameters, "service");
  if (name && !history_.knows(*name)) chosen(parameters);
  auto next = [this, name, at = history_.begin(), end = history_.end()]() mutable -> std::optional<json> {
    for (at = std::max(at, history_.begin()); at < end; ++at) { // older ones may have gone meanwhile
      const HistoryEntry& entry = history_[at];
      if (name && entry.service != *name) continue;
      ++at;
      return json(entry);
    }
    return std::nullopt;
  };
  return {json{{"version", 1}, {"history", json::array()}}, "history", std::move(next)};
}

json Commands::force(const Call& call) {
  const json& parameters = call.parameters;
  const auto word = optional_of<std::string>(parameters, "server");
  if (!word) bad_parameter("server", "say which server: primary, backup, backup2, ...");
  const auto for_s = optional_of<double>(parameters, "for_s");
  if (for_s && !(*for_s > 0 && *for_s < longest_override_s))
    bad_parameter("for_s", "an override lasts longer than nothing and less than ten years");
  const bool even_if_down = optional_of<bool>(parameters, "even_if_down").value_or(false);

  std::vector<std::pair<RunningService*, std::size_t>> pairs; // all are checked before any is forced
  for (RunningService* service : with_their_groups(chosen(parameters))) {
    refuse_if_observed(*service);
    const std::size_t server = server_for(*service, *word);
    if (!even_if_down) refuse_if_down(*service, server);
    pairs.emplace_back(service, server);
  }
  Force force{.server = 0,
              .until = {},
              .until_wall = {},
              .since = wall_now(),
              .reason = optional_of<std::string>(parameters, "reason").value_or(""),
              .by = user_of(call.peer)};
  if (for_s) {
    const auto lasts = std::chrono::milliseconds{std::llround(*for_s * 1000)};
    force.until = Clock::now() + lasts;
    force.until_wall = force.since + lasts;
  }
  for (const auto& [service, server] : pairs) {
    force.server = server;
    gateway_.force(*service, force);
  }
  gateway_.act();
  json services = json::array();
  for (const auto& [service, server] : pairs) services.push_back(answer_for(*service));
  return {{"services", std::move(services)}};
}

json Commands::end_override(const json& parameters) {
  std::vector<std::pair<RunningService*, bool>> ended; // and whether it was forced
  for (RunningService* service : with_their_groups(chosen(parameters))) {
    ended.emplace_back(service, service->force.has_value());
    gateway_.end_override(*service);
  }
  gateway_.act();
  json services = json::array();
  for (const auto& [service, was_forced] : ended) {
    json answer = answer_for(*service);
    answer.erase("until");
    answer["was_forced"] = was_forced;
    services.push_back(std::move(answer));
  }
  return {{"services", std::move(services)}};
}

} // namespace hanat
