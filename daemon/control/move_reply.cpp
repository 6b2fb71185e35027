// From the state of the services behind the move.
#include "daemon/control/move_reply.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "daemon/failover/drains.hpp"
#include "daemon/report/make_status.hpp"

namespace hanat {
namespace {

using nlohmann::json;

/// What becomes of the connections of the old target; null: the traffic has not moved, or had no target.
json flip_connections(const Subject& subject) {
  const ServiceState& service = *subject.service;
  if (service.flips == subject.flips || !service.last_flip || service.last_flip->from == "none") return {};
  json value = {{"server", service.last_flip->from}, {"address", nullptr}, {"action", "reset"}, {"until", nullptr}};
  std::optional<WallTime> until;
  for (const Eviction& eviction : service.evictions) {
    if (eviction.flip != service.last_flip->number || eviction.mappings.empty()) continue;
    value["address"] = to_text(eviction.mappings.front().server);
    if (!eviction.drain) continue;
    value["action"] = eviction.drain->until ? "drain" : "keep";
    if (const auto& end = eviction.drain->until_wall) until = until ? std::max(*until, *end) : *end;
  }
  if (until) value["until"] = to_text(*until);
  return value;
}

/// Whether the traffic is still where it is to go away from.
bool is_pending(const ServiceState& service) {
  if (service.shadow) return false;
  if (service.force) return service.current != std::optional{service.force->server};
  if (!service.current || *service.current >= service.servers.size()) return false;
  const auto is_up = [](const ServerState& server) { return usable(candidate(server)) == Health::up; };
  const auto better = std::span{service.servers}.first(*service.current);
  return candidate(service.servers[*service.current]).disabled || (service.override_ended && std::ranges::any_of(better, is_up));
}

} // namespace

json running_drains(const ServiceState& service, std::optional<std::size_t> server, const std::optional<FlowPolicy>& policy) {
  json value;
  std::optional<WallTime> until;
  for (const Eviction& eviction : service.evictions) {
    if (!eviction.drain || !is_drain_of(service, eviction, server)) continue;
    const std::string role = eviction.comment.substr(eviction.comment.find(' ') + 1); // then, or now
    if (!value.is_null() && value["server"] != role) continue;
    value = {{"server", role}, {"address", to_text(eviction.mappings.front().server)}, {"action", "keep"}, {"until", nullptr}};
    if (const auto& end = eviction.drain->until_wall) until = until ? std::max(*until, *end) : *end;
  }
  if (value.is_null()) return value;
  if (policy) until.reset();
  if (policy && policy->action == FlowAction::drain) until = wall_now() + std::chrono::duration_cast<WallTime::duration>(policy->time);
  if (policy && policy->action == FlowAction::reset) value["action"] = "reset";
  if (until) value["action"] = "drain", value["until"] = to_text(*until);
  return value;
}

json move_reply(const Subject& subject) {
  const ServiceState& service = *subject.service;
  const ServiceStatus status = report(service, Clock::now());
  json old = flip_connections(subject);
  return {{"forced", status.forced ? json(status.forced->target) : json()},
          {"group", status.group ? json(*status.group) : json()},
          {"pending", is_pending(service)},
          {"name", status.name},
          {"mode", status.mode},
          {"why", status.why},
          {"target", status.target},
          {"target_address", status.target_address ? json(*status.target_address) : json()},
          {"until", status.forced && status.forced->until ? json(*status.forced->until) : json()},
          {"old_connections", old.is_null() ? subject.drains : old}};
}

json move_reply(const Subject& subject, std::size_t server) {
  json reply = move_reply(subject);
  const ServiceState& service = *subject.service;
  const ServerState& state = service.servers[server];
  reply["server"] = state.role;
  reply["server_address"] = address_text(state);
  const auto until = state.maintenance ? state.maintenance->until_wall : std::optional<WallTime>{};
  reply["until"] = until ? json(to_text(*until)) : json();
  // Until the flip that follows: a disabled server has the traffic no longer.
  reply["pending"] = state.maintenance && !service.shadow && service.current == std::optional{server};
  return reply;
}

void add_way_back(json& reply, const ServiceState& service, std::size_t server) {
  const ServiceStatus status = report(service, Clock::now());
  const Health health = candidate(service.servers[server]).health;
  const bool better = service.current ? server < *service.current : true; // than what has the traffic now
  reply.erase("until");
  reply["health"] = to_text(health);
  reply["failback_in_s"] = status.failback_in_s ? json(*status.failback_in_s) : json();
  reply["waits_for"] = nullptr;
  if (service.force || service.shadow || !better) return; // it gets no traffic back
  if (status.failback.to == service.servers[server].role && status.failback.waits_for)
    reply["waits_for"] = *status.failback.waits_for;
  else if (health == Health::down || health == Health::unknown)
    reply["waits_for"] = service.current && !service.config->failback.automatic ? "operator" : "up";
}

} // namespace hanat
