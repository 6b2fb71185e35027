// The endpoint of each probe of a server.
#include "daemon/config/probe_targets.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

using probes::Kind;

constexpr std::uint16_t dns_port = 53;

/// The port of the first listener of this family and protocol, else of the first listener of this family. Ranges do not count: they give no
/// single port.
std::optional<std::uint16_t> listener_port(const ServiceConfig& service, Family family, Protocol protocol) {
  std::optional<std::uint16_t> port;
  for (const Vip& vip : listening_ports(service)) {
    if (vip.address.family() != family || is_range(vip)) continue;
    if (vip.protocol == protocol) return vip.port;
    if (!port) port = vip.port;
  }
  return port;
}

/// nullopt: the service has no listener of this family.
std::optional<std::uint16_t> probe_port(const ServiceConfig& service, const probes::ProbeSpec& spec, const Endpoint& address) {
  const Family family = address.address.family();
  const std::vector<Vip>& ports = listening_ports(service);
  if (std::ranges::find(ports, family, [](const Vip& vip) { return vip.address.family(); }) == ports.end()) return std::nullopt;
  if (spec.kind == Kind::icmp) return std::uint16_t{0};
  if (spec.port) return spec.port;
  // A service without a UDP listener is no DNS server; its ports do not apply to a DNS probe.
  const bool serves_udp = std::ranges::find(ports, Protocol::udp, &Vip::protocol) != ports.end();
  if (spec.kind == Kind::dns && !serves_udp) return dns_port;
  if (address.port != 0) return address.port;
  const Protocol protocol = probe_protocol(spec.kind).value_or(Protocol::tcp);
  return listener_port(service, family, protocol).value_or(spec.kind == Kind::dns ? dns_port : std::uint16_t{0});
}

/// As a certificate has it: without the dot that ends a complete name.
std::string name_of(const ServerConfig& server) {
  if (!server.host) return {};
  std::string_view name = server.host->name;
  if (name.ends_with('.')) name.remove_suffix(1);
  return std::string{name};
}

} // namespace

std::optional<Protocol> probe_protocol(Kind kind) {
  switch (kind) {
  case Kind::udp:
  case Kind::dns: return Protocol::udp;
  case Kind::icmp:
  case Kind::exec: return std::nullopt;
  case Kind::tcp:
  case Kind::tls:
  case Kind::http:
  case Kind::https:
  case Kind::grpc:
  case Kind::redis:
  case Kind::postgres:
  case Kind::mysql:
  case Kind::smtp:
  case Kind::agent: return Protocol::tcp;
  }
  return std::nullopt;
}

std::vector<probes::Probe> probes_for(const ServiceConfig& service, const ServerConfig& server) {
  std::vector<probes::Probe> probes;
  for (const probes::ProbeSpec& spec : server.probes)
    for (const Endpoint& address : server.addresses) {
      // An address of a family without a listener must not make the server down.
      const auto port = probe_port(service, spec, address);
      if (!port) continue;
      const probes::Probe probe{.spec = spec,
                                .server = {.address = spec.address.value_or(address.address), .port = *port},
                                .name = spec.address ? std::string{} : name_of(server)};
      // With probe.address the probes of both families can be the same.
      if (std::ranges::find(probes, probe) == probes.end()) probes.push_back(probe);
    }
  return probes;
}

} // namespace hanat
