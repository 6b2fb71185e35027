// Each service becomes text at once; what is over the limit is only counted.
#include "daemon/report/page_status.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "daemon/api/redundancy.hpp"

namespace hanat {
namespace {

/// Bytes that are no UTF-8, for instance in an operator's reason, are replaced.
std::string to_json_text(const nlohmann::json& value) { return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); }

bool is_down(const ServerStatus& server) { return server.group_health.value_or(server.health) == "down"; }

bool listens_nowhere(const ListenStatus& listener) { return listener.addresses.empty() && !listener.problems.empty(); }

/// None of the other servers could take over, and somebody has to mend one: not where they are out of service on purpose.
bool lost_redundancy(const ServiceStatus& service) {
  if (service.target == "none") return false;
  bool fails = false;
  for (const ServerStatus& server : service.servers) {
    if (server.role == service.target || server.disabled || server.drains) continue;
    const std::string health = server.group_health.value_or(server.health);
    if (health == "up" || takes_over(service, server)) return false;
    fails = fails || health == "down" || health == "full";
  }
  return fails;
}

bool has_problem(const ServiceStatus& service) {
  if (service.path.state == "unanswered" || service.outage || lost_redundancy(service)) return true;
  if (std::ranges::any_of(service.servers, [](const ServerStatus& server) { return server.new_probes && server.new_probes->failing; }))
    return true;
  if (std::ranges::any_of(service.interfaces, listens_nowhere)) return true;
  if (service.mode == "observe") return false;
  if (service.target == "none") return service.why != "starting";
  const auto target = std::ranges::find(service.servers, service.target, &ServerStatus::role);
  return target != service.servers.end() && (is_down(*target) || target->health == "full") && service.why != "followed";
}

bool needs_a_look(const ServerStatus& server) {
  return server.disabled || server.group_health.value_or(server.health) != "up" || server.flapping || server.warning || server.former_since;
}

} // namespace

std::string_view to_text(Attention attention) {
  switch (attention) {
  case Attention::problem: return "problem";
  case Attention::warning: return "warning";
  case Attention::ok: return "ok";
  }
  return "?";
}

Attention attention_of(const ServiceStatus& service) {
  if (has_problem(service)) return Attention::problem;
  const bool looks = service.forced || !service.foreign.empty() || (service.witness && service.witness->answers == false) ||
                     std::ranges::any_of(service.servers, needs_a_look);
  return looks ? Attention::warning : Attention::ok;
}

PageStatus::PageStatus(const DaemonStatus& daemon, const std::vector<HistoryEntry>& history)
    : daemon_(to_json_text(daemon)), history_(to_json_text(history)) {}

void PageStatus::add(const ServiceStatus& service) {
  const Attention attention = attention_of(service);
  Group& group = groups_[static_cast<std::size_t>(attention)];
  ++group.number;
  if (group.services.size() >= most_services) return;
  nlohmann::json value = service;
  value["severity"] = to_text(attention);
  group.services.push_back(to_json_text(value));
}

std::string PageStatus::take() {
  std::vector<std::string> services;
  for (Group& group : groups_)
    for (std::string& service : group.services)
      if (services.size() < most_services) services.push_back(std::move(service));
  return fmt::format(
      R"({{"version":{},"daemon":{},"summary":{{"services":{},"shown":{},"problems":{},"warnings":{}}},"services":[{}],"history":{}}})",
      status_version, daemon_, groups_[0].number + groups_[1].number + groups_[2].number, services.size(), groups_[0].number,
      groups_[1].number, fmt::join(services, ","), history_);
}

} // namespace hanat
