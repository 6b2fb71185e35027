// Makes services of the raw settings. Each setting comes from the service, else from [defaults], else from the built-in default. Small
// ranges become single VIPs. Not here: settings that contradict each other (validate).
#include "daemon/config/raw_config.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace hanat::config {
namespace {

template <class T> const Field<T>& pick(const Field<T>& own, const Field<T>& fallback) { return own.present ? own : fallback; }

template <class T> void apply(const Field<T>& own, const Field<T>& fallback, T& value) {
  if (const auto& field = pick(own, fallback); field.value) value = *field.value;
}

std::string role(std::size_t index) {
  if (index == 0) return "primary";
  return index == 1 ? "backup" : fmt::format("backup{}", index);
}

/// A range that is small becomes single ports.
void add_endpoints(const Listener& listener, const Address& address, std::vector<Vip>& endpoints) {
  if (listener.ports() > most_exact_ports) {
    endpoints.push_back({.address = address, .protocol = listener.protocol, .port = listener.first, .last = listener.last});
    return;
  }
  for (std::uint32_t port = listener.first; port <= listener.last; ++port)
    endpoints.push_back({.address = address, .protocol = listener.protocol, .port = static_cast<std::uint16_t>(port)});
}

/// Adds the servers of a service.
class ServerResolver {
public:
  ServerResolver(const RawService& raw, const RawService& defaults, Resolved& resolved)
      : raw_{raw}, defaults_{defaults}, resolved_{resolved} {}

  void add(const RawServer& server) {
    ServerConfig result{.role = role(resolved_.servers.size()), .addresses = {}, .snat = {}, .probes = {}};
    for (const RawAddress& address : server.addresses) {
      if (!address.host.empty()) {
        result.host = HostName{.name = address.host, .port = address.endpoint.port};
        continue;
      }
      result.addresses.push_back(address.endpoint);
      if (address.last != 0) map_ranges(address, result);
    }
    apply(server.snat, pick(raw_.snat, defaults_.snat), result.snat);
    const auto& probes = pick(server.probes, pick(raw_.probes, defaults_.probes));
    std::vector<SourceLocation> locations;
    if (!probes.present) { // one built-in tcp probe; errors about it are reported at the service
      result.probes.emplace_back();
      locations.push_back(raw_.location);
    } else if (probes.value) {
      for (const RawProbe& probe : *probes.value) {
        result.probes.push_back(probe.spec);
        locations.push_back(probe.location);
      }
    }
    resolved_.service.servers.push_back(std::move(result));
    resolved_.servers.push_back(&server);
    resolved_.probe_locations.push_back(std::move(locations));
  }

private:
  /// Maps the listeners' ranges of the same family and length to the server's ports. Other ranges are errors (validate).
  void map_ranges(const RawAddress& address, ServerConfig& server) const {
    if (resolved_.listen == nullptr) return;
    const std::uint32_t count = address.last - address.endpoint.port + 1U;
    const Family family = address.endpoint.address.family();
    for (const auto& [location, listener] : *resolved_.listen)
      if (listener.may_have(family) && listener.ports() == count)
        server.mapped.emplace(Vip{.address = listener.interface ? Address::unspecified(family) : listener.address,
                                  .protocol = listener.protocol,
                                  .port = listener.first,
                                  .last = listener.last},
                              address.endpoint.port);
  }

  const RawService& raw_;
  const RawService& defaults_;
  Resolved& resolved_;
};

void resolve_listen(const RawService& raw, Resolved& resolved, Diagnostics& diagnostics) {
  if (!raw.listen.present)
    diagnostics.add(raw.location, fmt::format("service {} has no listen: write listen = \"203.0.113.10:443/tcp\"", raw.name));
  if (!raw.listen.value) return;
  resolved.listen = &*raw.listen.value;
  for (const auto& [location, listener] : *raw.listen.value) {
    resolved.service.listen_text.push_back(listener.text);
    if (!listener.interface) add_endpoints(listener, listener.address, resolved.service.listen);
  }
}

/// Once the families of the servers are known.
void resolve_interfaces(Resolved& resolved) {
  ServiceConfig& service = resolved.service;
  if (resolved.listen == nullptr) return;
  for (const auto& [location, listener] : *resolved.listen) {
    if (!listener.interface) {
      add_endpoints(listener, listener.address, service.pattern);
      continue;
    }
    InterfaceListener& entry = service.interfaces.emplace_back();
    entry.interface = listener.interface->name;
    entry.text = listener.text;
    for (const Family family : both_families)
      if (resolved.listens_in(listener, family)) add_endpoints(listener, Address::unspecified(family), entry.endpoints);
    service.pattern.insert(service.pattern.end(), entry.endpoints.begin(), entry.endpoints.end());
  }
  if (service.interfaces.empty()) service.pattern = {};
}

Resolved resolve_service(const RawService& raw, const RawService& defaults, Diagnostics& diagnostics) {
  Resolved resolved;
  resolved.raw = &raw;
  ServiceConfig& service = resolved.service;
  service.name = raw.name;
  resolve_listen(raw, resolved, diagnostics);

  ServerResolver servers{raw, defaults, resolved};
  const auto& primary = pick(raw.primary, defaults.primary);
  if (!primary.present)
    diagnostics.add(raw.location, fmt::format("service {} has no primary: write primary = \"10.0.0.11:8443\"", raw.name));
  if (primary.value) servers.add(*primary.value);
  const auto& backups = pick(raw.backups, defaults.backups);
  if (primary.value && backups.value)
    for (const RawServer& backup : *backups.value) servers.add(backup);
  resolve_interfaces(resolved);

  apply(raw.down, defaults.down, service.down);
  apply(raw.up, defaults.up, service.up);
  apply(raw.failback, defaults.failback, service.failback);
  apply(raw.on_failover, defaults.on_failover, service.on_failover);
  apply(raw.on_failback, defaults.on_failback, service.on_failback);
  apply(raw.on_forced, defaults.on_forced, service.on_forced);
  apply(raw.on_none, defaults.on_none, service.on_none);
  apply(raw.none_after, defaults.none_after, service.none_after);
  if (const auto& witness = pick(raw.witness, defaults.witness); witness.value) service.witness = *witness.value;
  apply(raw.hold, defaults.hold, service.hold);
  apply(raw.nudge, defaults.nudge, service.nudge);
  apply(raw.offload, defaults.offload, service.offload);
  apply(raw.mode, defaults.mode, service.mode);
  apply(raw.hook.command, defaults.hook.command, service.hook.command);
  apply(raw.hook.timeout, defaults.hook.timeout, service.hook.timeout);
  if (service.hook.command.empty()) service.hook = {};
  resolved.down_location = pick(raw.down, defaults.down).location;
  resolved.down_valid = pick(raw.down, defaults.down).present == pick(raw.down, defaults.down).value.has_value();
  resolved.witness_location = pick(raw.witness, defaults.witness).location;
  resolved.snat_location = pick(raw.snat, defaults.snat).location;
  return resolved;
}

/// Names must be unique across files. Within one file TOML itself rejects duplicates.
void check_names(const std::vector<RawService>& services, Diagnostics& diagnostics) {
  std::map<std::string_view, SourceLocation> first;
  for (const RawService& service : services) {
    const auto [at, inserted] = first.try_emplace(service.name, service.location);
    if (!inserted)
      diagnostics.add(service.location, fmt::format("service {} is defined twice, first in {}: rename or remove one of them", service.name,
                                                    diagnostics.where(at->second, service.location)));
  }
}

/// Checks the number of VIPs before any is built.
bool check_vip_count(const std::vector<RawService>& services, Diagnostics& diagnostics) {
  std::size_t vips = 0;
  for (const RawService& service : services) {
    if (!service.listen.value) continue;
    for (const auto& [location, listener] : *service.listen.value) {
      vips += listener.ports() > most_exact_ports ? 1 : listener.ports(); // of an interface: as if it had one address
      if (vips <= most_vips) continue;
      diagnostics.add(location,
                      fmt::format("this makes more than {} listening endpoints in total, which is the maximum: use fewer or smaller ranges",
                                  grouped(most_vips)));
      return false;
    }
  }
  return true;
}

} // namespace

bool Resolved::listens_in(const Listener& listener, Family family) const {
  if (!listener.may_have(family) || !listener.interface || listener.interface->family) return listener.may_have(family);
  const auto has_family = [family](const Endpoint& address) { return address.address.family() == family; };
  const auto without = [](const ServerConfig& server) { return server.addresses.empty(); };
  return std::ranges::all_of(service.servers, without) || std::ranges::any_of(service.servers, [&](const ServerConfig& server) {
           return std::ranges::any_of(server.addresses, has_family);
         });
}

std::vector<Resolved> apply_defaults(const RawConfig& raw, Diagnostics& diagnostics) {
  check_names(raw.services, diagnostics);
  std::vector<Resolved> result;
  if (!check_vip_count(raw.services, diagnostics)) return result;
  result.reserve(raw.services.size());
  for (const RawService& service : raw.services) result.push_back(resolve_service(service, raw.defaults, diagnostics));
  return result;
}

} // namespace hanat::config
