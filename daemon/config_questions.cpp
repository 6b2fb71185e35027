// What follows from a service's configuration alone: where a server serves a VIP, and which questions are asked of it.
// Not here: asking them (probes/engine).
#include "daemon/config.hpp"

#include <algorithm>

#include "nat/port_range.hpp"

namespace hanat {
namespace {

using probes::Kind;

constexpr std::uint16_t dns_port = 53;

/// The port that a probe asks of an address without one: that of the first listener of the family and protocol, else of the first listener.
/// A range is too wide to say anything.
std::optional<std::uint16_t> listener_port(const Service& service, Family family, Protocol protocol) {
  std::optional<std::uint16_t> port;
  for (const Vip& vip : service.listen) {
    if (vip.address.family() != family || is_range(vip)) continue;
    if (vip.protocol == protocol) return vip.port;
    if (!port) port = vip.port;
  }
  return port;
}

/// nullopt: no client comes over this family.
std::optional<std::uint16_t> port_asked(const Service& service, const probes::Spec& spec, const Endpoint& address) {
  const Family family = address.address.family();
  if (std::ranges::find(service.listen, family, [](const Vip& vip) { return vip.address.family(); }) == service.listen.end())
    return std::nullopt;
  if (spec.kind == Kind::icmp) return std::uint16_t{0};
  if (spec.port) return spec.port;
  // The ports of a service that is no DNS server say nothing about the one beside it.
  const bool serves_udp = std::ranges::find(service.listen, Protocol::udp, &Vip::protocol) != service.listen.end();
  if (spec.kind == Kind::dns && !serves_udp) return dns_port;
  if (address.port != 0) return address.port;
  const Protocol protocol = asks_over(spec.kind).value_or(Protocol::tcp);
  return listener_port(service, family, protocol).value_or(spec.kind == Kind::dns ? dns_port : std::uint16_t{0});
}

} // namespace

std::optional<Protocol> asks_over(Kind kind) {
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
  case Kind::smtp: return Protocol::tcp;
  }
  return std::nullopt;
}

std::optional<Endpoint> endpoint_for(const Server& server, const Vip& vip) {
  const auto found =
      std::ranges::find(server.addresses, vip.address.family(), [](const Endpoint& endpoint) { return endpoint.address.family(); });
  if (found == server.addresses.end()) return std::nullopt;
  if (is_range(vip)) return Endpoint{.address = found->address, .port = 0};
  if (const auto range = find_covering(server.mapped, vip); range != server.mapped.end())
    return Endpoint{.address = found->address, .port = static_cast<std::uint16_t>(range->second + (vip.port - range->first.port))};
  return Endpoint{.address = found->address, .port = found->port != 0 ? found->port : vip.port};
}

bool serves_at(const Server& server, const Endpoint& at) {
  return std::ranges::any_of(server.addresses, [&](const Endpoint& own) {
    if (own.address != at.address) return false;
    if (own.port == 0 || at.port == 0 || own.port == at.port) return true;
    return std::ranges::any_of(server.mapped, [&](const auto& range) {
      const auto& [vip, first] = range;
      return vip.address.family() == at.address.family() && at.port >= first && at.port - first <= vip.last - vip.port;
    });
  });
}

std::vector<probes::Question> questions_for(const Service& service, const Server& server) {
  std::vector<probes::Question> questions;
  for (const probes::Spec& spec : server.probes)
    for (const Endpoint& address : server.addresses) {
      // An address of a family that no client uses must not make the server unfit.
      const auto port = port_asked(service, spec, address);
      if (!port) continue;
      const probes::Question question{.spec = spec, .server = {.address = spec.address.value_or(address.address), .port = *port}};
      // With probe.address both families may ask the same thing: once is enough.
      if (std::ranges::find(questions, question) == questions.end()) questions.push_back(question);
    }
  return questions;
}

} // namespace hanat
