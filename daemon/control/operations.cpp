// Checks, then calls of the controller, then one transaction for all services.
#include "daemon/control/operations.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/api/methods.hpp"
#include "daemon/control/move_reply.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/decision/reconfiguration.hpp"
#include "daemon/failover/drains.hpp"
#include "daemon/failover/maintenance.hpp"
#include "daemon/failover/overrides.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/report/make_status.hpp"
#include "daemon/util/credentials.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr double longest_override_s = 10.0 * 365 * 24 * 3600;
constexpr double shortest_drain_s = 1, longest_drain_s = 30.0 * 24 * 3600; // as in the configuration

ControlError refused(std::string message) { return {.name = "Refused", .message = std::move(message)}; }

std::string full_name(const ServerState& server) { return events::full_name(events::server_name(server)); }

bool is_enabled(const ServerState& server) { return !candidate(server).disabled; }

/// Of the maintenance of a group any member's.
std::string disabled_text(const ServerState& server) {
  if (!server.maintenance) return "disabled";
  const Maintenance& maintenance = *server.maintenance;
  return fmt::format("disabled by {}{}", maintenance.by, maintenance.reason.empty() ? "" : fmt::format(" ({})", maintenance.reason));
}

void refuse_to_force(const ServiceState& service, const ServerState& server, bool even_if_down) {
  const std::string& name = service.config->name;
  if (!is_enabled(server))
    throw refused(fmt::format("{0}: {1} is {2}, and is never chosen: hanatctl enable {0} {3} first, then force it", name, full_name(server),
                              disabled_text(server), server.role));
  if (server.addresses.empty())
    throw refused(fmt::format("{}: {} has no address, as its name {} is not resolved: there is nowhere to send its traffic", name,
                              server.role, server.host));
  if (server.health == Health::down && !even_if_down)
    throw refused(fmt::format("{}: {} is down; forcing it would take the service away. Use --even-if-down to force it anyway", name,
                              full_name(server)));
}

/// A drill shows what a failover does: from a primary that can take the traffic back, to a backup that can have it.
void refuse_to_drill(const ServiceState& service, const ServerState& backup) {
  const std::string& name = service.config->name;
  const ServerState& primary = service.servers.front();
  if (&backup == &primary)
    throw refused(fmt::format("{}: {} is the primary, and a drill moves the traffic to a backup", name, full_name(primary)));
  if (service.force && service.force->drill)
    throw refused(fmt::format("{0}: a drill by {1} is running: wait for its end, or end it (hanatctl auto {0})", name, service.force->by));
  if (service.force)
    throw refused(fmt::format("{0} is forced to {1} by {2}: end that first (hanatctl auto {0}), then drill", name,
                              full_name(service.servers[service.force->server]), service.force->by));
  if (service.current != std::optional<std::size_t>{0} || primary.former)
    throw refused(fmt::format("{0}: the primary does not have the traffic, so there is no failover to rehearse: hanatctl why {0} says why, "
                              "and hanatctl status {0} when it goes back",
                              name));
  if (certain(candidate(backup)) != Health::up)
    throw refused(fmt::format("{0}: {1} is {2}, not up: a drill would take the service away. hanatctl probe {0} shows what it answers",
                              name, full_name(backup), to_text(backup.health)));
  if (certain(candidate(primary)) != Health::up)
    throw refused(fmt::format("{0}: {1} has the traffic and is {2}, not up: it might not get the traffic back. hanatctl probe {0} shows "
                              "what it answers",
                              name, full_name(primary), to_text(primary.health)));
}

void refuse_if_observed(const ServiceState& service) {
  if (!service.shadow) return;
  throw refused(fmt::format("{0} is in mode observe: hanat does not touch its traffic, so nothing can be forced. Set mode = "
                            "\"auto\" for {0}{1} in the configuration, run hanatctl reload, then force it",
                            service.config->name,
                            service.config->group.empty() ? "" : fmt::format(" and the rest of group {}", service.config->group)));
}

void refuse_to_disable(const ServiceState& service, std::size_t index, bool even_if_last) {
  const std::string& name = service.config->name;
  const ServerState& server = service.servers[index];
  if (service.force && service.force->server == index)
    throw refused(fmt::format("{0} is forced to {1} by {2}: end that first (hanatctl auto {0}), or force it to another server", name,
                              full_name(server), service.force->by));
  const bool serves = candidate(server).health != Health::down || service.current == std::optional{index};
  if (even_if_last || !serves || has_other_usable(service, index)) return;
  throw refused(fmt::format("{0}: {1} is the last server that can have the traffic: no other one is up and enabled, and without it clients "
                            "are turned away. See hanatctl status {0} for the others, or use --yes to disable it anyway",
                            name, full_name(server)));
}

/// A drill has an end, and is over when its backup goes down.
void check_drill(std::optional<std::chrono::milliseconds> lasts, bool even_if_down) {
  using namespace std::chrono_literals;
  if (!lasts || *lasts < 1s || *lasts > 24h) bad_parameter("for_s", "a drill lasts from 1 s to 24 hours: for longer, force the service");
  if (even_if_down) bad_parameter("even_if_down", "a drill ends when its server goes down");
}

std::optional<std::chrono::milliseconds> time_in(const json& parameters) {
  const auto for_s = optional_of<double>(parameters, "for_s");
  if (!for_s) return std::nullopt;
  if (!(*for_s > 0 && *for_s < longest_override_s)) bad_parameter("for_s", "it lasts more than 0 s and less than ten years");
  return std::chrono::milliseconds{std::llround(*for_s * 1000)};
}

/// What the operator wants for the connections of the old target; nullopt: as on_forced says.
std::optional<FlowPolicy> flows_in(const json& parameters) {
  const auto drain_s = optional_of<double>(parameters, "drain_s");
  const bool reset = optional_of<bool>(parameters, "reset").value_or(false);
  if (drain_s && reset) bad_parameter("reset", "give either a time to drain, or reset");
  if (reset) return FlowPolicy{.action = FlowAction::reset, .time = {}};
  if (!drain_s) return std::nullopt;
  if (!(*drain_s >= shortest_drain_s && *drain_s <= longest_drain_s)) bad_parameter("drain_s", "a drain lasts from 1 s to 30 days");
  return FlowPolicy{.action = FlowAction::drain, .time = std::chrono::milliseconds{std::llround(*drain_s * 1000)}};
}

/// Adds the other services of their groups, which move together; the selected ones come first.
std::vector<ServiceState*> with_their_groups(const ServiceRegistry& registry, std::vector<ServiceState*> services) {
  std::set<ServiceState*> seen(services.begin(), services.end());
  for (std::size_t index = 0, named = services.size(); index < named; ++index)
    for (ServiceState* member : registry.group_of(services[index]))
      if (seen.insert(member).second) services.push_back(member);
  return services;
}

std::vector<Subject> subjects_of(const ServiceRegistry& registry, std::vector<ServiceState*> selected) {
  std::vector<Subject> subjects;
  for (ServiceState* service : with_their_groups(registry, std::move(selected)))
    subjects.push_back({.service = service, .flips = service->flips});
  return subjects;
}

std::vector<Subject> all_subjects(const ServiceRegistry& registry, const json& parameters) {
  return subjects_of(registry, selected_services(registry, parameters));
}
/// A server is of one service, and of its group.
std::vector<Subject> subjects_with_server(const ServiceRegistry& registry, const json& parameters) {
  return subjects_of(registry, {&one_service(registry, parameters)});
}

/// What is asked for connections holds for those that drain already, too.
void change_running_drains(Subject& subject, std::optional<std::size_t> server, const std::optional<FlowPolicy>& flows, const Call& call,
                           Outbox& outbox) {
  ServiceState& service = *subject.service;
  if (service.shadow) return; // nothing is touched
  subject.drains = running_drains(service, server, flows);
  if (flows) change_drains(service, server, *flows, call.asked_by(), outbox, Clock::now());
}

} // namespace

json handle_force(Controller& controller, const Call& call) {
  const json& parameters = call.parameters;
  const auto role = optional_of<std::string>(parameters, "server");
  if (!role) bad_parameter("server", fmt::format("name a server: primary, backup, backup2, ..., or {}", any_backup));
  const auto lasts = time_in(parameters);
  const auto flows = flows_in(parameters);
  const bool even_if_down = optional_of<bool>(parameters, "even_if_down").value_or(false);
  const bool until_down = optional_of<bool>(parameters, "until_down").value_or(false);
  if (even_if_down && until_down) bad_parameter("until_down", "give either until_down or even_if_down: they contradict each other");
  const bool drill = optional_of<bool>(parameters, "drill").value_or(false);
  if (drill) check_drill(lasts, even_if_down);
  std::vector<std::pair<Subject, std::size_t>> targets; // all are checked before any is forced
  for (const Subject& subject : all_subjects(controller.registry(), parameters)) {
    refuse_if_observed(*subject.service);
    const std::size_t server = server_for(*subject.service, *role);
    refuse_to_force(*subject.service, subject.service->servers[server], even_if_down);
    if (drill) refuse_to_drill(*subject.service, subject.service->servers[server]);
    targets.emplace_back(subject, server);
  }
  Override force{.server = 0,
                 .until = {},
                 .until_wall = {},
                 .since = wall_now(),
                 .reason = reason_in(parameters),
                 .by = call.asked_by(),
                 .until_down = until_down || drill,
                 .drill = drill};
  if (lasts) {
    force.until = Clock::now() + *lasts;
    force.until_wall = force.since + *lasts;
  }
  std::vector<std::optional<ForcedStatus>> replaced; // the overrides of before
  for (auto& [subject, server] : targets) {
    replaced.push_back(report(*subject.service, Clock::now()).forced);
    force.server = server;
    controller.change(*subject.service, flows, [&, &about = subject](ServiceState& service, ServiceRegistry& registry, Outbox& outbox) {
      if (flows && service.current == std::optional{force.server}) change_running_drains(about, std::nullopt, flows, call, outbox);
      begin_override(service, force, registry, outbox);
    });
  }
  controller.sync_now();
  json services = json::array();
  for (std::size_t index = 0; index < targets.size(); ++index) {
    json reply = move_reply(targets[index].first);
    reply["until_down"] = force.until_down;
    const std::optional<ForcedStatus>& before = replaced[index];
    reply["replaced"] = before ? json(*before) : json();
    services.push_back(std::move(reply));
  }
  return {{"services", std::move(services)}};
}

json handle_auto(Controller& controller, const Call& call) {
  const auto flows = flows_in(call.parameters);
  std::vector<std::pair<Subject, bool>> ended; // and whether each was forced
  for (const Subject& subject : all_subjects(controller.registry(), call.parameters)) {
    ended.emplace_back(subject, subject.service->force.has_value());
    controller.change(*subject.service, flows, [&call](ServiceState& service, ServiceRegistry& registry, Outbox& outbox) {
      end_override(service, call.asked_by(), registry, outbox);
    });
  }
  controller.sync_now();
  json services = json::array();
  for (const auto& [subject, was_forced] : ended) {
    json reply = move_reply(subject);
    reply.erase("until");
    reply["was_forced"] = was_forced;
    services.push_back(std::move(reply));
  }
  return {{"services", std::move(services)}};
}

json handle_disable(Controller& controller, const Call& call) {
  const json& parameters = call.parameters;
  const auto name = optional_of<std::string>(parameters, "server").value_or("");
  const auto lasts = time_in(parameters);
  const auto flows = flows_in(parameters);
  const bool even_if_last = optional_of<bool>(parameters, "even_if_last").value_or(false);
  std::vector<Subject> subjects = subjects_with_server(controller.registry(), parameters);
  const std::size_t server = server_for(*subjects.front().service, name); // in the whole group: it moves role by role
  for (const Subject& subject : subjects) refuse_to_disable(*subject.service, server, even_if_last);
  Maintenance maintenance{.since = wall_now(), .reason = reason_in(parameters), .by = call.asked_by()};
  if (lasts) {
    maintenance.until = Clock::now() + *lasts;
    maintenance.until_wall = maintenance.since + *lasts;
  }
  for (Subject& subject : subjects)
    controller.change(*subject.service, flows, [&](ServiceState& service, ServiceRegistry& registry, Outbox& outbox) {
      change_running_drains(subject, server, flows, call, outbox);
      disable_server(service, server, maintenance, registry, outbox);
    });
  controller.sync_now();
  json services = json::array();
  for (const Subject& subject : subjects) services.push_back(move_reply(subject, server));
  return {{"services", std::move(services)}};
}

json handle_enable(Controller& controller, const Call& call) {
  const json& parameters = call.parameters;
  const auto flows = flows_in(parameters);
  const std::vector<Subject> subjects = subjects_with_server(controller.registry(), parameters);
  const std::size_t server = server_for(*subjects.front().service, optional_of<std::string>(parameters, "server").value_or(""));
  std::vector<bool> was_disabled;
  for (const Subject& subject : subjects) {
    was_disabled.push_back(subject.service->servers[server].maintenance.has_value());
    controller.change(*subject.service, flows, [&](ServiceState& service, ServiceRegistry& registry, Outbox& outbox) {
      enable_server(service, server, call.asked_by(), registry, outbox);
    });
  }
  controller.sync_now();
  json services = json::array();
  for (std::size_t index = 0; index < subjects.size(); ++index) {
    json reply = move_reply(subjects[index], server);
    reply["was_disabled"] = static_cast<bool>(was_disabled[index]);
    add_way_back(reply, *subjects[index].service, server);
    services.push_back(std::move(reply));
  }
  return {{"services", std::move(services)}};
}

} // namespace hanat
