// Two lists of flows, compared.
#include "daemon/doctor/served_clients.hpp"

#include <algorithm>
#include <utility>

#include "daemon/doctor/synthetic_client.hpp"

namespace hanat {

std::set<Vip> served_between(const nat::FlowList& before, const nat::FlowList& after) {
  std::set<std::pair<Endpoint, Endpoint>> old;
  for (const nat::ListedFlow& flow : before.flows) old.emplace(flow.client, flow.vip);
  std::set<Vip> served;
  for (const nat::ListedFlow& flow : after.flows) {
    const bool both_ways = flow.state != nat::FlowState::opening && flow.state != nat::FlowState::unanswered;
    if (both_ways && !flow.opened_by_server && !is_own_client(flow.client.address) && !old.contains({flow.client, flow.vip}))
      served.insert(flow.mapping.vip);
  }
  return served;
}

void ServedClients::begin(const std::vector<ServiceCheck>& services, const std::atomic<bool>& cancelled) {
  services_ = services;
  for (const ServiceCheck& service : services)
    for (const EndpointCheck& endpoint : service.endpoints)
      if (endpoint.server) mappings_.push_back({.vip = endpoint.vip, .server = *endpoint.server});
  before_ = list(cancelled);
}

std::optional<nat::FlowList> ServedClients::list(const std::atomic<bool>& cancelled) try {
  if (mappings_.empty()) return std::nullopt;
  if (!cutter_) cutter_.emplace();
  auto flows = cutter_->list(mappings_, flows_at_most, cancelled);
  return flows && flows->flows.size() < flows_at_most ? std::move(flows) : std::nullopt;
} catch (const std::exception&) {
  return std::nullopt; // then it is not known
}

std::set<std::string> ServedClients::end(const std::atomic<bool>& cancelled) {
  std::set<std::string> names;
  const auto after = before_ ? list(cancelled) : std::nullopt;
  if (!after) return names;
  const std::set<Vip> served = served_between(*before_, *after);
  for (const ServiceCheck& service : services_)
    if (std::ranges::any_of(service.endpoints, [&](const EndpointCheck& endpoint) { return served.contains(endpoint.vip); }))
      names.insert(service.name);
  return names;
}

} // namespace hanat
