// Compares servers, probes and what is loaded.
#include "daemon/decision/reconfiguration.hpp"

#include <algorithm>
#include <utility>

#include "daemon/config/probe_targets.hpp"

namespace hanat {
namespace {

/// The server that has the traffic, or had it last: nobody has it, and that one may get it back.
std::optional<std::size_t> last_target(const ServiceState& service) { return service.current ? service.current : former_of(service); }

/// The target as a server behind those of the next configuration; nullopt: it is among them, or there is nothing to keep.
std::optional<ServerConfig> former_target(const ServiceState& service, const ServiceConfig& next) {
  if (service.removed || service.shadow || next.mode == Mode::observe) return std::nullopt;
  const auto place = last_target(service);
  if (!place || *place >= service.config->servers.size()) return std::nullopt;
  ServerConfig server = service.config->servers[*place];
  if (service.current) {
    ServiceConfig alone = next; // the listeners that stay, with this server
    alone.servers = {server};
    if (!serving_now(alone, service.loaded) || serving_now(next, service.loaded)) return std::nullopt;
  } else if (std::ranges::find(next.servers, server.addresses, &ServerConfig::addresses) != next.servers.end()) {
    return std::nullopt;
  }
  server.role = former_role;
  server.host.reset(); // it is the address that serves
  return server;
}

/// Neither has an address, which would say it.
bool is_named_as(const ServerState& before, const ServerConfig& server) { return server.host && to_text(*server.host) == before.host; }

/// A server is the same one as before when it has its addresses, or serves the traffic where that is.
std::vector<std::optional<std::size_t>> places_before(const ServiceState& service, const ServiceConfig& config, bool with_former) {
  std::vector<std::optional<std::size_t>> before(config.servers.size());
  std::vector<bool> taken(service.servers.size(), false);
  const auto take = [&](std::size_t server, std::size_t place) {
    before[server] = place;
    taken[place] = true;
  };
  if (with_former) take(config.servers.size() - 1, last_target(service).value_or(0));
  for (std::size_t server = 0; server < config.servers.size(); ++server)
    for (std::size_t place = 0; place < service.servers.size() && !before[server]; ++place)
      if (!taken[place] && service.servers[place].addresses == config.servers[server].addresses &&
          (!service.servers[place].addresses.empty() || is_named_as(service.servers[place], config.servers[server])))
        take(server, place);
  const auto serving = serving_now(config, service.loaded);
  if (serving && service.current && !before[*serving] && !taken.at(*service.current)) take(*serving, *service.current);
  return before;
}

std::vector<probes::Probe> values_of(const std::vector<ProbeState>& states) {
  std::vector<probes::Probe> values;
  values.reserve(states.size());
  for (const ProbeState& state : states) values.push_back(*state.probe);
  return values;
}

/// A server that works keeps its verdict: its probes of before go on deciding until each new one has passed.
ServerProbes probes_behind(const ServerState* before, std::vector<probes::Probe> wanted) {
  ServerProbes probes;
  const bool works = before != nullptr && (before->health == Health::up || before->health == Health::full);
  if (before != nullptr && !before->probes.empty() && (works || before->new_probes)) {
    probes.deciding = values_of(before->probes);
    for (const probes::Probe& probe : wanted)
      if (std::ranges::find(probes.deciding, probe) == probes.deciding.end()) probes.waiting.push_back(probe);
  }
  if (probes.waiting.empty()) probes.deciding = std::move(wanted);
  return probes;
}

} // namespace

std::optional<std::size_t> former_of(const ServiceState& service) {
  if (service.servers.empty() || service.servers.back().role != former_role) return std::nullopt;
  return service.servers.size() - 1;
}

std::span<const ServerState> configured_servers(const ServiceState& service) {
  return std::span{service.servers}.first(former_of(service).value_or(service.servers.size()));
}

Shared<ServiceConfig> configured(const ServiceState& service) {
  Shared<ServiceConfig> config = service.config;
  if (former_of(service)) config.edit().servers.pop_back();
  return config;
}

bool is_configured_as(const ServiceState& service, const Shared<ServiceConfig>& config) {
  return former_of(service) ? configured(service) == config : service.config == config;
}

std::optional<std::size_t> serving_now(const ServiceConfig& config, const nat::TableState& loaded) {
  std::vector<const std::pair<const Vip, nat::DnatTarget>*> stay;
  for (const Vip& vip : config.listen)
    if (const auto target = loaded.dnat.find(vip); target != loaded.dnat.end()) stay.push_back(&*target);
  if (stay.empty()) return std::nullopt;
  const auto serves_all = [&](const ServerConfig& server) {
    return std::ranges::all_of(stay, [&](const auto* target) { return endpoint_for(server, target->first) == target->second.server; });
  };
  const auto found = std::ranges::find_if(config.servers, serves_all);
  return found == config.servers.end() ? std::nullopt : std::optional{static_cast<std::size_t>(found - config.servers.begin())};
}

Reconfiguration reconfigure(const ServiceState& service, const Shared<ServiceConfig>& next) {
  Reconfiguration result{.config = next, .before = {}, .probes = {}};
  const auto former = former_target(service, next);
  if (former) result.config.edit().servers.push_back(*former);
  result.begins_former = former && service.current != former_of(service);
  result.before = places_before(service, result.config, former.has_value());
  for (std::size_t server = 0; server < result.config->servers.size(); ++server) {
    const auto& place = result.before[server];
    const ServerState* before = place ? &service.servers[*place] : nullptr;
    if (former && server == next->servers.size())
      result.probes.push_back({.deciding = values_of(before->probes), .waiting = {}}); // as long as it serves
    else
      result.probes.push_back(probes_behind(before, probes_for(next, next->servers[server])));
  }
  return result;
}

} // namespace hanat
