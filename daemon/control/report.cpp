// All parameters are checked before anything changes.
#include "daemon/control/report.hpp"

#include <cmath>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/control/move_reply.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/failover/reported_health.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat {
namespace {

using nlohmann::json;

// Whoever reports is there to report again: a report that outlives its program is a mistake that nobody mends.
constexpr double shortest_ttl_s = 1, longest_ttl_s = 24.0 * 3600;

/// nullopt: none.
std::optional<Health> health_in(const json& parameters) {
  const auto word = optional_of<std::string>(parameters, "health").value_or("");
  if (word == "up") return Health::up;
  if (word == "down") return Health::down;
  if (word == "drain") return Health::full;
  if (word == "none") return std::nullopt;
  bad_parameter("health", fmt::format("health is up, down, drain or none, not \"{}\"", word));
}

std::chrono::milliseconds ttl_in(const json& parameters) {
  const auto ttl_s = optional_of<double>(parameters, "ttl_s");
  if (!ttl_s) bad_parameter("ttl_s", "say for how long it counts: ttl_s, from 1 s to 24 h; report again before that");
  if (!(*ttl_s >= shortest_ttl_s && *ttl_s <= longest_ttl_s)) bad_parameter("ttl_s", "a report counts for 1 s to 24 h");
  return std::chrono::milliseconds{std::llround(*ttl_s * 1000)};
}

json report_reply(const Subject& subject, std::size_t server) {
  const ServerState& state = subject.service->servers[server];
  json reply = move_reply(subject);
  reply["server"] = state.role;
  reply["server_address"] = address_text(state);
  reply["health"] = to_text(state.health);
  reply["until"] = state.report ? json(to_text(state.report->until_wall)) : json();
  return reply;
}

} // namespace

json handle_report(Controller& controller, const Call& call) {
  const json& parameters = call.parameters;
  ServiceState& service_of_call = one_service(controller.registry(), parameters);
  const Subject subject{.service = &service_of_call, .flips = service_of_call.flips};
  const std::size_t server = server_for(*subject.service, optional_of<std::string>(parameters, "server").value_or(""));
  const auto health = health_in(parameters);
  if (const ServerState& state = subject.service->servers[server]; health && state.addresses.empty())
    throw ControlError{"Refused", fmt::format("{} of {} has no address: {} is not resolved, so nothing could be sent to it", state.role,
                                              subject.service->config->name, state.host)};
  if (health) {
    const auto lasts = ttl_in(parameters);
    HealthReport report{
        .health = *health, .until = Clock::now() + lasts, .since = wall_now(), .reason = reason_in(parameters), .by = call.asked_by()};
    report.until_wall = report.since + lasts;
    controller.change(*subject.service, std::nullopt, [&](ServiceState& service, ServiceRegistry& registry, Outbox& outbox) {
      begin_report(service, server, report, registry, outbox);
    });
  } else {
    controller.change(*subject.service, std::nullopt, [&](ServiceState& service, ServiceRegistry& registry, Outbox& outbox) {
      end_report(service, server, call.asked_by(), registry, outbox);
    });
  }
  controller.sync_now();
  return {{"services", json::array({report_reply(subject, server)})}};
}

} // namespace hanat
