// Finds settings that contradict each other: listeners that overlap, servers that are the same or lead back to this gateway, probes that
// could never mark a server down. Each error names both locations.
// Not here: errors in a single setting (parse_values, parse_address, read_service, read_server, probe/read_probe).
#include "daemon/config/raw_config.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "daemon/config/probe_targets.hpp"
#include "nat/port_range.hpp"

namespace hanat::config {
namespace {

std::string_view to_text(Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; }

/// The listener that has a VIP.
struct Owner {
  const Resolved* service;
  const RawListen* listen;
};
using Owners = std::map<Vip, Owner>; // no two keys overlap

/// Registers the ports of a listener. Ports that another listener has are an error, reported once per other listener.
void claim(const Resolved& service, const RawListen& entry, const Address& address, Owners& owners, Diagnostics& diagnostics) {
  struct Overlap {
    Owner with;
    std::uint16_t first, last;
  };
  std::map<const RawListen*, Overlap> overlaps;
  std::vector<Vip> taken;
  const Listener& listener = entry.listener;
  const Vip vip = with_ports({.address = address, .protocol = listener.protocol}, listener.first, listener.last);
  for_overlapping(owners, vip, [&](const auto& other) {
    const auto& [theirs, owner] = other;
    taken.push_back(theirs);
    const Overlap shared{.with = owner, .first = std::max(vip.port, theirs.port), .last = std::min(last_port(vip), last_port(theirs))};
    if (const auto [overlap, first] = overlaps.try_emplace(owner.listen, shared); !first) overlap->second.last = shared.last;
  });
  for (const Vip& part : without(vip, taken)) owners.emplace(part, Owner{.service = &service, .listen = &entry});
  for (const auto& [other, overlap] : overlaps) {
    const bool same = other->listener.first == listener.first && other->listener.last == listener.last;
    const std::string where = diagnostics.where(other->location, entry.location);
    const std::string& name = overlap.with.service->service.name;
    if (same)
      diagnostics.add(entry.location,
                      fmt::format("{} is already a listener of service {} ({}): remove one of them", shown(listener.text), name, where));
    else
      diagnostics.add(entry.location,
                      fmt::format("{} overlaps {} of service {} ({}) at port{} {}{}: give each port to one listener", shown(listener.text),
                                  shown(other->listener.text), name, where, overlap.first == overlap.last ? "" : "s", overlap.first,
                                  overlap.first == overlap.last ? "" : fmt::format(" to {}", overlap.last)));
  }
}

/// The checks of one service.
class ServiceCheck {
public:
  ServiceCheck(const Resolved& resolved, const Owners& owners, Diagnostics& diagnostics)
      : resolved_{resolved}, service_{resolved.service}, owners_{owners}, diagnostics_{diagnostics} {}

  void run() {
    check_witness();
    for (std::size_t i = 0; i < service_.servers.size(); ++i) {
      const bool named = service_.servers[i].host.has_value();
      if (service_.servers[i].addresses.empty() && !named) continue; // an error is already reported
      check_down_rule(i);
      if (resolved_.listen == nullptr || resolved_.listen->empty()) continue;
      if (named) { // its addresses are not known here
        check_probe_ports(i);
        check_probe_sources(i);
        continue;
      }
      check_families(i);
      check_ports(i);
      check_snat(i);
      check_duplicates(i);
      check_loops(i);
      check_probe_ports(i);
      check_probe_sources(i);
    }
  }

private:
  std::string describe(std::size_t server) const {
    return fmt::format("the {} of service {}", service_.servers[server].role, service_.name);
  }
  const SourceLocation& location(std::size_t server) const { return resolved_.servers[server]->location; }
  const RawAddress* address_of(std::size_t server, Family family) const {
    const auto& addresses = resolved_.servers[server]->addresses;
    const auto found = std::ranges::find(addresses, family, [](const RawAddress& entry) { return entry.endpoint.address.family(); });
    return found == addresses.end() ? nullptr : &*found;
  }
  /// The first listener for which `predicate` is true.
  template <class Predicate> const RawListen* first_listener(Predicate predicate) const {
    const auto found = std::ranges::find_if(*resolved_.listen, predicate);
    return found == resolved_.listen->end() ? nullptr : &*found;
  }

  bool ports_overlap(const RawAddress& one, const RawAddress& other) const;
  void check_down_rule(std::size_t server);
  void check_families(std::size_t server);
  void check_ports(std::size_t server);
  void check_single_port(std::size_t server, const RawAddress& address);
  void check_port_range(std::size_t server, const RawAddress& address);
  void check_snat(std::size_t server);
  void check_duplicates(std::size_t server);
  void check_loops(std::size_t server);
  bool report_loop(const SourceLocation& at, std::string_view what, const Vip& target);
  void check_probe_ports(std::size_t server);
  void check_probe_sources(std::size_t server);
  std::vector<probes::Probe> probes_of(std::size_t server) const;
  void check_witness();

  const Resolved& resolved_;
  const ServiceConfig& service_;
  const Owners& owners_;
  Diagnostics& diagnostics_;
};

/// The M-th fail of an unresponsive server comes at timeout + (M - 1) x fast_interval. If that is not within `within`, the first one no
/// longer counts by then.
void ServiceCheck::check_down_rule(std::size_t server) {
  if (!resolved_.down_valid) return;
  const auto& probes = service_.servers[server].probes;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const probes::ProbeSpec& spec = probes[i];
    const DownRule& down = service_.down;
    const Clock::duration last_fail = spec.timeout + (down.fails - 1) * spec.fast_interval;
    if (last_fail < down.within) continue;
    const SourceLocation& probe_location = resolved_.probe_locations[server][i];
    const bool probe_built_in = probe_location == resolved_.raw->location;
    const bool rule_built_in = resolved_.down_location.line == 0;
    const SourceLocation& at = probe_built_in && !rule_built_in ? resolved_.down_location : probe_location;
    diagnostics_.add(
        at,
        fmt::format(
            "an unresponsive server could never be marked down: timeout {} + (fails {} - 1) x fast_interval {} = {} is not shorter than "
            "within {} ({}): raise within, or lower timeout, fails or fast_interval",
            duration_text(spec.timeout), down.fails, duration_text(spec.fast_interval), duration_text(last_fail),
            duration_text(down.within), rule_built_in ? "built in" : diagnostics_.where(resolved_.down_location, at)));
  }
}

void ServiceCheck::check_families(std::size_t server) {
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const RawListen* listen = first_listener([&](const RawListen& entry) { return resolved_.listens_in(entry.listener, family); });
    if (listen == nullptr || address_of(server, family) != nullptr) continue;
    const Listener& listener = listen->listener;
    const bool both = listener.interface && !listener.interface->family; // another server has the family
    diagnostics_.add(
        location(server),
        fmt::format("{} has no {} address for the listener {} in {}: write one address per family, as in "
                    "[\"10.0.0.11:8443\", \"[fd00::11]:8443\"], or {}",
                    describe(server), to_text(family), shown(listener.text), diagnostics_.where(listen->location, location(server)),
                    both ? fmt::format("listen on one family, as in \"{}@{}\"", family == Family::ipv6 ? "ipv4" : "ipv6", listener.text)
                         : "remove the listener"));
  }
}

void ServiceCheck::check_ports(std::size_t server) {
  for (const RawAddress& address : resolved_.servers[server]->addresses) {
    if (address.last != 0)
      check_port_range(server, address);
    else if (address.endpoint.port != 0)
      check_single_port(server, address);
  }
}

/// A server with a single port needs listeners with a single port.
void ServiceCheck::check_single_port(std::size_t server, const RawAddress& address) {
  const SourceLocation& at = address.location;
  const Endpoint& endpoint = address.endpoint;
  const RawListen* range = first_listener(
      [&](const RawListen& entry) { return entry.listener.ports() > 1 && entry.listener.may_have(endpoint.address.family()); });
  if (range == nullptr) return;
  const std::uint32_t end = endpoint.port + range->listener.ports() - 1;
  const bool mappable = range->listener.ports() <= most_exact_ports && end <= UINT16_MAX;
  diagnostics_.add(
      at, fmt::format("{} has port {}, but the listener {} in {} is a range, and flows of a range keep their port: remove \":{}\",{} or "
                      "give the range its own service",
                      describe(server), endpoint.port, shown(range->listener.text), diagnostics_.where(range->location, at), endpoint.port,
                      mappable ? fmt::format(" write a range of the same length, as in \"{}-{}\",", hanat::to_text(endpoint), end) : ""));
}

/// A server with a range of ports needs listeners with ranges of the same length.
void ServiceCheck::check_port_range(std::size_t server, const RawAddress& address) {
  const SourceLocation& at = address.location;
  const Endpoint& endpoint = address.endpoint;
  const std::uint32_t count = address.last - endpoint.port + 1U;
  const RawListen* other = first_listener(
      [&](const RawListen& entry) { return entry.listener.ports() != count && entry.listener.may_have(endpoint.address.family()); });
  if (other == nullptr) return;
  const std::uint32_t ports = other->listener.ports();
  diagnostics_.add(at, fmt::format("{} has {} ports, but the listener {} in {} has {}: write a range of the same length, or remove "
                                   "\":{}-{}\" so that flows keep their port",
                                   describe(server), grouped(count), shown(other->listener.text), diagnostics_.where(other->location, at),
                                   ports == 1 ? "one" : grouped(ports), endpoint.port, address.last));
}

void ServiceCheck::check_snat(std::size_t server) {
  const nat::Snat& snat = service_.servers[server].snat;
  if (snat.kind != nat::SnatKind::address) return;
  const Field<nat::Snat>& own = resolved_.servers[server]->snat;
  const SourceLocation& at = own.present ? own.location : resolved_.snat_location;
  const Family missing = snat.address.family() == Family::ipv4 ? Family::ipv6 : Family::ipv4;
  const RawListen* other = first_listener([&](const RawListen& entry) { return resolved_.listens_in(entry.listener, missing); });
  if (other != nullptr)
    diagnostics_.add(
        at, fmt::format("snat = \"{}\" is {}, but the listener {} in {} is {}: use \"masquerade\", or give each family its own service",
                        snat.address.text(), to_text(snat.address.family()), shown(other->listener.text),
                        diagnostics_.where(other->location, at), to_text(missing)));
  for (const RawAddress& entry : resolved_.servers[server]->addresses)
    if (entry.endpoint.address == snat.address)
      diagnostics_.add(
          at, fmt::format("snat = \"{}\" is the address of {} in {}, whose replies would not come back: write an address of this gateway",
                          snat.address.text(), describe(server), diagnostics_.where(entry.location, at)));
}

/// Whether two ports of the same address serve a common VIP. Port 0: the port of the listener.
bool ServiceCheck::ports_overlap(const RawAddress& one, const RawAddress& other) const {
  if (one.endpoint.port == other.endpoint.port) return true;
  if (one.endpoint.port != 0 && other.endpoint.port != 0) return false;
  const RawAddress& fixed = one.endpoint.port != 0 ? one : other;
  return first_listener([&](const RawListen& entry) {
           const Listener& listener = entry.listener;
           if (!listener.may_have(fixed.endpoint.address.family())) return false;
           if (fixed.last != 0) return listener.first == fixed.endpoint.port; // mapped onto itself
           return listener.first <= fixed.endpoint.port && fixed.endpoint.port <= listener.last;
         }) != nullptr;
}

/// Finds two servers of a service that are the same.
void ServiceCheck::check_duplicates(std::size_t server) {
  for (std::size_t other = 0; other < server; ++other)
    for (const RawAddress& own : resolved_.servers[server]->addresses)
      for (const RawAddress& first : resolved_.servers[other]->addresses)
        if (own.endpoint.address == first.endpoint.address && ports_overlap(own, first))
          diagnostics_.add(own.location,
                           fmt::format("{} is also {} ({}): a backup on the same server gives no protection; write another server or "
                                       "remove this one",
                                       hanat::to_text(own.endpoint), describe(other), diagnostics_.where(first.location, own.location)));
}

/// Finds a server, or a target of a probe, that is a VIP: its packets would be translated again.
void ServiceCheck::check_loops(std::size_t server) {
  const ServerConfig& value = service_.servers[server];
  for (const Vip& vip : service_.listen) {
    const auto endpoint = endpoint_for(value, vip);
    if (!endpoint) continue;
    const std::uint16_t first = endpoint->port != 0 ? endpoint->port : vip.port;
    const Vip target = with_ports({.address = endpoint->address, .protocol = vip.protocol}, first, is_range(vip) ? vip.last : first);
    if (report_loop(address_of(server, vip.address.family())->location, describe(server), target))
      return; // one error is enough; the probe has the same cause
  }
  for (const probes::Probe& probe : probes_for(service_, value)) {
    const auto protocol = probe_protocol(probe.spec.kind);
    if (!protocol) continue;
    const auto spec = std::ranges::find(value.probes, probe.spec);
    if (report_loop(resolved_.probe_locations[server][static_cast<std::size_t>(spec - value.probes.begin())],
                    fmt::format("the probe target of {}", describe(server)),
                    {.address = probe.server.address, .protocol = *protocol, .port = probe.server.port}))
      return;
  }
}

/// Returns whether the endpoint is a listener.
bool ServiceCheck::report_loop(const SourceLocation& at, std::string_view what, const Vip& target) {
  const Owner* owner = nullptr;
  Vip hit;
  for_overlapping(owners_, target, [&](const auto& entry) {
    if (owner != nullptr) return;
    owner = &entry.second;
    hit = with_ports(target, std::max(target.port, entry.first.port), std::min(last_port(target), last_port(entry.first)));
  });
  if (owner == nullptr) return false;
  diagnostics_.add(at,
                   fmt::format("{}, {}, is a listener of service {} ({}): its traffic would come back to this gateway; write the server's "
                               "own address",
                               hanat::to_text(hit), what, owner->service->service.name, diagnostics_.where(owner->listen->location, at)));
  return true;
}

/// Of a name: as if it had an address of each family.
std::vector<probes::Probe> ServiceCheck::probes_of(std::size_t server) const {
  const auto& host = service_.servers[server].host;
  if (!host) return probes_for(service_, service_.servers[server]);
  ServerConfig config = service_.servers[server];
  for (const char* any : {"192.0.2.1", "2001:db8::1"})
    config.addresses.push_back({.address = Address::parse(any).value_or(Address{}), .port = host->port});
  return probes_for(service_, config);
}

/// A probe needs a port if no listener gives one: none has the protocol of the probe, or all are ranges.
void ServiceCheck::check_probe_ports(std::size_t server) {
  const auto& probes = service_.servers[server].probes;
  bool reported = false;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const auto protocol = probe_protocol(probes[i].kind);
    if (!protocol || probes[i].port || probes[i].kind == probes::Kind::dns) continue; // DNS has a default port
    if (first_listener([protocol](const RawListen& entry) { return entry.listener.protocol == *protocol; }) != nullptr) continue;
    diagnostics_.add(resolved_.probe_locations[server][i],
                     fmt::format("service {0} has no {1} listener, so the probe has no {1} port: write the port that the server listens "
                                 "on, as in probe = {{ type = {2} }}",
                                 service_.name, *protocol == Protocol::udp ? "UDP" : "TCP",
                                 *protocol == Protocol::udp ? "\"udp\", port = 514, send = \"...\"" : "\"tcp\", port = 22"));
    reported = true;
  }
  if (reported) return;
  for (const probes::Probe& probe : probes_of(server)) {
    const auto protocol = probe_protocol(probe.spec.kind);
    if (!protocol || probe.server.port != 0) continue;
    const auto spec = static_cast<std::size_t>(std::ranges::find(probes, probe.spec) - probes.begin());
    const RawListen* range = first_listener([](const RawListen& entry) { return entry.listener.ports() > most_exact_ports; });
    diagnostics_.add(
        resolved_.probe_locations[server][spec],
        fmt::format("the listener {} of service {} has too many ports to choose one for the probe: write a port that the server "
                    "listens on, as in probe = {{ type = {} }}",
                    shown(range->listener.text), service_.name,
                    *protocol == Protocol::udp ? "\"udp\", port = 514, send = \"...\"" : "\"tcp\", port = 22"));
  }
}

void ServiceCheck::check_probe_sources(std::size_t server) {
  const auto has_source = [](const probes::ProbeSpec& probe) { return probe.source.has_value(); };
  if (std::ranges::none_of(service_.servers[server].probes, has_source)) return;
  for (const probes::Probe& probe : probes_of(server)) {
    const auto& source = probe.spec.source;
    if (!source || source->family() == probe.server.address.family()) continue;
    const auto& probes = service_.servers[server].probes;
    const auto spec = static_cast<std::size_t>(std::ranges::find(probes, probe.spec) - probes.begin());
    diagnostics_.add(
        resolved_.probe_locations[server][spec],
        fmt::format("probe.source = \"{}\" is {}, but the probe of {} goes to {}: remove source, or give each family its own service",
                    source->text(), to_text(source->family()), describe(server),
                    service_.servers[server].host ? fmt::format("an {} address", to_text(probe.server.address.family()))
                    : probe.server.port == 0      ? probe.server.address.text()
                                                  : hanat::to_text(probe.server)));
  }
}

/// A witness that is a server, or leads to one, says what its probes say.
void ServiceCheck::check_witness() {
  if (!service_.witness) return;
  const SourceLocation& at = resolved_.witness_location;
  for (std::size_t server = 0; server < service_.servers.size(); ++server)
    for (const Endpoint& address : service_.servers[server].addresses)
      if (address.address == service_.witness->address) {
        diagnostics_.add(at,
                         fmt::format("witness = \"{}\" is the address of {}: write one that answers although the servers do not, such as "
                                     "the router behind this gateway",
                                     hanat::to_text(*service_.witness), describe(server)));
        return;
      }
  if (service_.witness->port == 0) return;
  report_loop(at, fmt::format("the witness of service {}", service_.name),
              {.address = service_.witness->address, .protocol = Protocol::tcp, .port = service_.witness->port});
}

} // namespace

void validate(const std::vector<Resolved>& services, Diagnostics& diagnostics) {
  Owners owners;
  std::map<std::string_view, Owners> of_interfaces; // their addresses are not known here, but two listeners of one interface share them
  for (const Resolved& service : services) {
    if (service.listen == nullptr) continue;
    for (const RawListen& listen : *service.listen) {
      const auto& interface = listen.listener.interface;
      if (!interface) {
        claim(service, listen, listen.listener.address, owners, diagnostics);
        continue;
      }
      const std::size_t errors_before = diagnostics.count();
      for (const Family family : both_families)
        if (service.listens_in(listen.listener, family) && diagnostics.count() == errors_before)
          claim(service, listen, Address::unspecified(family), of_interfaces[interface->name], diagnostics);
    }
  }
  for (const Resolved& service : services) {
    ServiceCheck{service, owners, diagnostics}.run();
    validate_hosts(service, diagnostics);
  }
}

} // namespace hanat::config
