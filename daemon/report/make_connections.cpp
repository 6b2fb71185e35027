// Sums.
#include "daemon/report/make_connections.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "daemon/report/make_status.hpp"
#include "daemon/util/duration.hpp"

namespace hanat {
namespace {

constexpr std::size_t others_shown = 8; // services that have the same server as their target

/// Its place in the configuration; nullopt: it is none of the service's servers.
std::optional<std::size_t> place_of(const ServiceState& service, const Mapping& mapping) {
  for (std::size_t server = 0; server < service.config->servers.size(); ++server)
    if (endpoint_for(service.config->servers[server], mapping.vip) == mapping.server) return server;
  return std::nullopt;
}

ConnectionServer row_of(const ServiceState& service, std::size_t server) {
  const ServerState& state = service.servers[server];
  return {.role = state.role,
          .address = address_text(state),
          .health = std::string{to_text(state.health)},
          .target = service.current == std::optional{server},
          .disabled = candidate(state).disabled,
          .leaving = {},
          .ends_in_s = {},
          .returns_in_s = {},
          .counts = {},
          .also_target_of = {}};
}

void add_counts(ConnectionCounts& sum, const nat::FlowCounts& counts) {
  const auto of = [&counts](nat::FlowState state) { return counts.by_state.at(static_cast<std::size_t>(state)); };
  sum.opening += of(nat::FlowState::opening);
  sum.established += of(nat::FlowState::established);
  sum.closing += of(nat::FlowState::closing);
  sum.answered += of(nat::FlowState::answered);
  sum.unanswered += of(nat::FlowState::unanswered);
  sum.opened_by_server += counts.opened_by_server;
  sum.offloaded += counts.offloaded;
}

/// The rows of a report while it is made.
class ConnectionRows {
public:
  explicit ConnectionRows(const ServiceState& service) : service_(service) {
    for (std::size_t server = 0; server < service.servers.size(); ++server) rows_.push_back(row_of(service, server));
  }

  ConnectionServer& of(const Mapping& mapping) {
    if (const auto place = place_of(service_, mapping)) return rows_[*place];
    const std::string address = to_text(Endpoint{.address = mapping.server.address, .port = mapping.server.port});
    const auto known = others_.find(address);
    if (known != others_.end()) return rows_[known->second];
    others_[address] = rows_.size();
    const auto target = service_.loaded.dnat.find(mapping.vip);
    rows_.push_back({.role = {},
                     .address = address,
                     .health = "unknown",
                     .target = target != service_.loaded.dnat.end() && target->second.server == mapping.server,
                     .disabled = false,
                     .leaving = {},
                     .ends_in_s = {},
                     .returns_in_s = {},
                     .counts = {},
                     .also_target_of = {}});
    return rows_.back();
  }
  std::vector<ConnectionServer>& all() { return rows_; }

private:
  const ServiceState& service_;
  std::vector<ConnectionServer> rows_;
  std::map<std::string, std::size_t> others_; // by address
};

std::string policy_text(const FlowPolicy& policy) {
  switch (policy.action) {
  case FlowAction::reset: return "reset";
  case FlowAction::drain: return "drain " + duration_text(policy.time);
  case FlowAction::keep: return "keep";
  }
  return {};
}

void note_leaving(const ServiceState& service, ConnectionRows& rows, Time now) {
  for (const Eviction& eviction : service.evictions) {
    if (eviction.untranslated || eviction.mappings.empty()) continue;
    ConnectionServer& row = rows.of(eviction.mappings.front());
    row.leaving = !eviction.drain ? "cut" : eviction.drain->until ? "drain" : "keep";
    if (eviction.drain && eviction.drain->until)
      row.ends_in_s = std::max(row.ends_in_s.value_or(0), std::chrono::duration<double>(*eviction.drain->until - now).count());
  }
}

void note_other_services(const ServiceState& service, const Services& services, ConnectionRows& rows) {
  std::map<Address, std::set<std::string>> targets;
  for (std::size_t server = 0; server < service.servers.size(); ++server)
    for (const Endpoint& address : service.servers[server].addresses) targets[address.address];
  for (const auto& other : services) {
    if (other.get() == &service || other->removed) continue;
    for (const auto& [vip, target] : other->loaded.dnat)
      if (const auto found = targets.find(target.server.address); found != targets.end()) found->second.insert(other->config->name);
  }
  for (std::size_t server = 0; server < service.servers.size(); ++server)
    for (const Endpoint& address : service.servers[server].addresses)
      for (const std::string& name : targets[address.address]) {
        auto& names = rows.all()[server].also_target_of;
        if (names.size() < others_shown && std::ranges::find(names, name) == names.end()) names.push_back(name);
      }
}

} // namespace

std::vector<Mapping> mappings_of(const ServiceState& service) {
  std::set<Mapping> all;
  for (const Vip& vip : service.config->listen)
    for (const ServerConfig& server : service.config->servers)
      if (const auto endpoint = endpoint_for(server, vip)) all.insert({.vip = vip, .server = *endpoint});
  for (const auto& [vip, target] : service.loaded.dnat) all.insert({.vip = vip, .server = target.server});
  for (const Eviction& eviction : service.evictions)
    if (!eviction.untranslated) all.insert(eviction.mappings.begin(), eviction.mappings.end());
  return {all.begin(), all.end()};
}

ConnectionsReport make_connections(const ServiceState& service, const Services& services, const nat::FlowList& flows,
                                   std::chrono::microseconds took, Time now) {
  ConnectionRows rows{service};
  note_leaving(service, rows, now);
  for (const auto& [mapping, counts] : flows.counts) add_counts(rows.of(mapping).counts, counts);
  note_other_services(service, services, rows);
  ConnectionsReport report{.service = service.config->name,
                           .took_ms = std::chrono::duration<double, std::milli>(took).count(),
                           .on_forced = policy_text(service.config->on_forced),
                           .observed = service.shadow.has_value(),
                           .servers = {},
                           .list = {}};
  for (const nat::ListedFlow& flow : flows.flows) {
    const ConnectionServer& row = rows.of(flow.mapping);
    report.list.push_back(
        {.client = to_text(flow.client),
         .listen = to_text(Vip{.address = flow.vip.address, .protocol = flow.mapping.vip.protocol, .port = flow.vip.port}),
         .server = row.role.empty() ? row.address : row.role,
         .state = std::string{nat::to_text(flow.state)},
         .opened_by_server = flow.opened_by_server,
         .offloaded = flow.offloaded});
  }
  report.servers = std::move(rows.all());
  const ServiceStatus status = hanat::report(service, now);
  for (ConnectionServer& server : report.servers)
    if (!server.role.empty() && status.failback.to == server.role) server.returns_in_s = status.failback_in_s;
  return report;
}

} // namespace hanat
