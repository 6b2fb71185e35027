// Status, Force, Auto, Reload, History, Version: parameters to calls of the controller, and its state to replies. The others: inquiry.
#include "daemon/control/handlers.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "daemon/api/methods.hpp"
#include "daemon/control/diagnosis.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/report/make_status.hpp"
#include "daemon/util/credentials.hpp"
#include "daemon/util/version.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr std::size_t clients_followed = 4; // in one examination
constexpr double longest_override_s = 10.0 * 365 * 24 * 3600;

std::string kernel_text(TableSync::State state) {
  switch (state) {
  case TableSync::State::in_sync:
  case TableSync::State::committing: return "in-step";
  case TableSync::State::repairing: return "repairing";
  case TableSync::State::failed: return "failed";
  }
  return {};
}

std::string roles_of(const ServiceState& service) {
  std::string roles;
  for (const ServerState& server : service.servers) roles += (roles.empty() ? "" : ", ") + server.role;
  return roles;
}

/// A role names one server.
std::size_t server_for(const ServiceState& service, const std::string& role) {
  const auto& servers = service.servers;
  if (role == any_backup) {
    if (servers.size() < 2)
      throw ControlError{"Refused", fmt::format("{} has no backup: add one to its configuration, then reload", service.config.name)};
    const auto up = std::ranges::find(servers.begin() + 1, servers.end(), Health::up,
                                      [](const ServerState& server) { return candidate(server).health; });
    return up == servers.end() ? 1 : static_cast<std::size_t>(up - servers.begin());
  }
  const auto found = std::ranges::find(servers, role, [](const ServerState& server) { return server.role; });
  if (found == servers.end())
    throw ControlError{"Refused", fmt::format("{} has no server \"{}\"; it has {}", service.config.name, role, roles_of(service))};
  return static_cast<std::size_t>(found - servers.begin());
}

void refuse_if_down(const ServiceState& service, const ServerState& server) {
  if (server.health != Health::down) return;
  throw ControlError{"Refused",
                     fmt::format("{}: {} ({}) is down; forcing it would take the service away. Use --even-if-down to force it anyway",
                                 service.config.name, server.role, to_text(server.addresses.front()))};
}

void refuse_if_observed(const ServiceState& service) {
  if (!service.shadow) return;
  throw ControlError{"Refused",
                     fmt::format("{0} is in mode observe: hanat does not touch its traffic, so nothing can be forced. Set mode = "
                                 "\"auto\" for {0}{1} in the configuration, run hanatctl reload, then force it",
                                 service.config.name,
                                 service.config.group.empty() ? "" : fmt::format(" and the rest of group {}", service.config.group))};
}

/// Status, history and journal show it in one line.
std::string override_reason(const json& parameters) {
  const auto reason = optional_of<std::string>(parameters, "reason").value_or("");
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  if (std::ranges::any_of(reason, is_control))
    bad_parameter("reason", "the reason is one line of text: write it without control characters");
  return reason;
}

/// "pending": the flip still waits, for a cut that is being cancelled or because the kernel refuses it; hanatd tries again by itself.
json reply_for(const ServiceState& service) {
  const ServiceStatus status = report(service, Clock::now());
  return {{"forced", status.forced ? json(status.forced->target) : json()},
          {"group", status.group ? json(*status.group) : json()},
          {"pending", service.force && !service.shadow && service.current != std::optional{service.force->server}},
          {"name", status.name},
          {"target", status.target},
          {"target_address", status.target_address ? json(*status.target_address) : json()},
          {"until", status.forced && status.forced->until ? json(*status.forced->until) : json()}};
}

} // namespace

Handlers::Handlers(uv_loop_t* loop, Controller& controller, History& history, std::string config, Reload reload)
    : controller_(controller), history_(history), reload_(std::move(reload)),
      inquiry_(std::make_unique<Inquiry>(loop, controller, history, std::move(config))) {}

void Handlers::set_config(std::string file, std::optional<std::string> fallback) {
  config_file_ = std::move(file);
  fallback_ = std::move(fallback);
  config_loaded_at_ = wall_now();
  reload_refused_.reset();
  config_stale_ = false;
}

void Handlers::set_reload_refused(const std::string& by, std::size_t errors, std::string first) {
  reload_refused_ = RefusedReload{.at = to_text(wall_now()), .by = by, .errors = errors, .first = std::move(first)};
}

Reply Handlers::operator()(const Call& call) {
  if (call.method == "Status") return status(call.parameters);
  if (call.method == "Force") return force(call);
  if (call.method == "Auto") return end_override(call);
  if (call.method == "Reload") return reload_(user_name(call.peer.uid));
  if (call.method == "History") return history(call.parameters);
  if (call.method == "Doctor") return examine(call.parameters);
  if (call.method == "Version") return json{{"version", version()}};
  if (call.method == "Why") return inquiry_->why(call.parameters);
  if (call.method == "Follow") return inquiry_->follow(call.parameters);
  if (call.method == "Plan") return inquiry_->plan(call.parameters);
  if (call.method == "Ask") return inquiry_->ask(call);
  if (call.method == "ProbeServers") return inquiry_->probe(call.parameters);
  if (call.method == "Connections") return inquiry_->connections(call.parameters);
  throw ControlError{"Failed", fmt::format("method {} is declared but has no handler", call.method)};
}

/// Adds the other services of their groups, which share an override; the selected ones come first.
std::vector<ServiceState*> Handlers::with_their_groups(std::vector<ServiceState*> services) const {
  std::set<ServiceState*> seen(services.begin(), services.end());
  for (std::size_t index = 0, named = services.size(); index < named; ++index)
    for (ServiceState* member : controller_.registry().group_of(services[index]))
      if (seen.insert(member).second) services.push_back(member);
  return services;
}

DaemonStatus Handlers::daemon_status() const {
  DaemonStatus daemon;
  daemon.pid = getpid();
  daemon.uptime_s = std::chrono::duration<double>(Clock::now() - started_).count();
  daemon.kernel = kernel_text(controller_.table().state());
  if (!controller_.table().error().empty()) daemon.kernel_error = controller_.table().error();
  daemon.inconclusive = inconclusive_reason(controller_.registry().services());
  daemon.config = config_file_;
  daemon.fallback = fallback_;
  daemon.version = version();
  daemon.config_loaded_at = to_text(config_loaded_at_);
  daemon.reload_refused = reload_refused_;
  daemon.config_stale = config_stale_;
  return daemon;
}

ServiceStatus Handlers::service_status(const ServiceState& service) const {
  ServiceStatus status = report(service, Clock::now());
  if (!status.last_flip) status.last_flip = history_.last_flip(service.config.name);
  status.path = controller_.clients.status(service.config.name, Clock::now());
  controller_.clients.add_totals(service.config.name, status.totals);
  return status;
}

Reply Handlers::status(const json& parameters) const {
  const Status status{.daemon = daemon_status(), .services = {}};
  const bool one = optional_of<std::string>(parameters, "service").has_value();
  const std::vector<ServiceState*> services =
      one ? selected_services(controller_.registry(), parameters) : selected_services(controller_.registry(), {{"all", true}});
  std::vector<std::string> names; // a reload may remove services before their turn comes
  names.reserve(services.size());
  for (const ServiceState* service : services) names.push_back(service->config.name);
  auto next = [this, names = std::move(names), index = std::size_t{0}]() mutable -> std::optional<json> {
    while (index < names.size())
      if (const ServiceState* service = controller_.registry().find(names[index++]))
        return std::make_optional<json>(service_status(*service));
    return std::nullopt;
  };
  return {json{{"status", status}}, "services", std::move(next)};
}

/// Of one service or all. The reply comes when the examination has ended.
Reply Handlers::examine(const json& parameters) const {
  if (doctor_ == nullptr) throw ControlError{"Failed", "hanatd is about to end"};
  const bool one = optional_of<std::string>(parameters, "service").has_value();
  std::vector<ServiceCheck> checks;
  std::map<std::string, Address> clients; // that wait for an answer
  for (const ServiceState* service : selected_services(controller_.registry(), one ? parameters : json{{"all", true}})) {
    checks.push_back(check_of(*service));
    checks.back().unanswered =
        clients.size() < clients_followed ? controller_.clients.waiting(service->config.name, Clock::now()) : std::nullopt;
    if (const auto& client = checks.back().unanswered) clients[service->config.name] = client->client.address;
  }
  auto pending = std::make_shared<PendingReply>();
  const auto reply = [this, pending, clients](const Diagnosis& diagnosis) {
    pending->finish(diagnosis_json(diagnosis));
    for (const Diagnosis::Checked& checked : diagnosis.services) { // what was mended is not told any longer
      const auto client = clients.find(checked.service);
      controller_.clients.found(checked.service,
                                examined_in(diagnosis, checked.service, client == clients.end() ? Address{} : client->second),
                                causes_in(diagnosis.found, checked.service));
    }
  };
  if (!doctor_->examine(std::move(checks), reply))
    throw ControlError{"Refused", "as many examinations as hanatd takes wait already: try again in some seconds"};
  return pending;
}

/// Of one service and the reloads, or of all. A service that is no longer configured may still have a history.
Reply Handlers::history(const json& parameters) const {
  HistoryFilter filter{.service = optional_of<std::string>(parameters, "service").value_or(""),
                       .since = moment_in(parameters, "since"),
                       .until = moment_in(parameters, "until")};
  if (!filter.service.empty() && !history_.knows(filter.service)) selected_services(controller_.registry(), {{"service", filter.service}});
  std::uint64_t begin = history_.begin();
  if (const auto after = optional_of<std::int64_t>(parameters, "after"); after && *after > 0)
    begin = std::max(begin, static_cast<std::uint64_t>(*after));
  if (const auto last = optional_of<std::int64_t>(parameters, "last")) {
    if (*last < 1) bad_parameter("last", "ask for one entry at least");
    begin = history_.first_of_last(filter, static_cast<std::uint64_t>(*last), begin);
  }
  auto next = [this, filter, at = begin, end = history_.end()]() mutable -> std::optional<json> {
    for (at = std::max(at, history_.begin()); at < end; ++at) { // the oldest may have been dropped meanwhile
      const HistoryEntry& entry = history_[at];
      if (!filter.accepts(entry)) continue;
      ++at;
      return std::make_optional<json>(entry);
    }
    return std::nullopt;
  };
  return {json{{"version", status_version}, {"next", history_.end()}, {"history", json::array()}}, "history", std::move(next)};
}

json Handlers::force(const Call& call) {
  const json& parameters = call.parameters;
  const auto role = optional_of<std::string>(parameters, "server");
  if (!role) bad_parameter("server", fmt::format("name a server: primary, backup, backup2, ..., or {}", any_backup));
  const auto for_s = optional_of<double>(parameters, "for_s");
  if (for_s && !(*for_s > 0 && *for_s < longest_override_s))
    bad_parameter("for_s", "an override lasts more than 0 s and less than ten years");
  const bool even_if_down = optional_of<bool>(parameters, "even_if_down").value_or(false);

  std::vector<std::pair<ServiceState*, std::size_t>> targets; // all are checked before any is forced
  for (ServiceState* service : with_their_groups(selected_services(controller_.registry(), parameters))) {
    refuse_if_observed(*service);
    const std::size_t server = server_for(*service, *role);
    if (!even_if_down) refuse_if_down(*service, service->servers[server]);
    targets.emplace_back(service, server);
  }
  Override force{.server = 0,
                 .until = {},
                 .until_wall = {},
                 .since = wall_now(),
                 .reason = override_reason(parameters),
                 .by = user_name(call.peer.uid)};
  if (for_s) {
    const auto duration = std::chrono::milliseconds{std::llround(*for_s * 1000)};
    force.until = Clock::now() + duration;
    force.until_wall = force.since + duration;
  }
  std::vector<std::optional<ForcedStatus>> replaced; // the overrides of before
  for (const auto& [service, server] : targets) {
    replaced.push_back(report(*service, Clock::now()).forced);
    force.server = server;
    controller_.set_override(*service, force, force.by);
  }
  controller_.sync_now();
  json services = json::array();
  for (std::size_t index = 0; index < targets.size(); ++index) {
    services.push_back(reply_for(*targets[index].first));
    const std::optional<ForcedStatus>& before = replaced[index];
    services.back()["replaced"] = before ? json(*before) : json();
  }
  return {{"services", std::move(services)}};
}

json Handlers::end_override(const Call& call) {
  std::vector<std::pair<ServiceState*, bool>> ended; // and whether each was forced
  for (ServiceState* service : with_their_groups(selected_services(controller_.registry(), call.parameters))) {
    ended.emplace_back(service, service->force.has_value());
    controller_.set_override(*service, std::nullopt, user_name(call.peer.uid));
  }
  controller_.sync_now();
  json services = json::array();
  for (const auto& [service, was_forced] : ended) {
    json reply = reply_for(*service);
    reply.erase("until");
    reply["was_forced"] = was_forced;
    services.push_back(std::move(reply));
  }
  return {{"services", std::move(services)}};
}

} // namespace hanat
