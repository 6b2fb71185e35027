// The first listener of each family and protocol stands for the others.
#include "daemon/doctor/service_check.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "probes/kinds/dns_message.hpp"
#include "probes/spec.hpp"

namespace hanat {
namespace {

/// Nobody waits for the reply of another id.
constexpr std::uint16_t dns_id = 0x6861;

std::string payload_of(const ServerConfig& server) {
  for (const probes::ProbeSpec& probe : server.probes) {
    if (probe.kind == probes::Kind::udp) return probe.of<probes::SendExpectSpec>().send;
    if (probe.kind == probes::Kind::dns) return probes::dns_query(probe.of<probes::DnsSpec>(), dns_id);
  }
  return {};
}

/// nullopt: the server has no address of this family.
std::optional<Endpoint> destination_of(const ServerConfig& server, const Vip& vip) {
  std::optional<Endpoint> endpoint = endpoint_for(server, vip);
  if (endpoint && endpoint->port == 0) endpoint->port = vip.port;
  return endpoint;
}

} // namespace

std::vector<OtherServer> others_of(const ServiceConfig& service, const ServerConfig* target) {
  std::vector<OtherServer> others;
  for (const ServerConfig& server : service.servers) {
    std::set<std::pair<Family, Protocol>> known;
    for (const Vip& vip : service.listen) {
      const auto endpoint = &server == target ? std::nullopt : destination_of(server, vip);
      if (endpoint && known.emplace(vip.address.family(), vip.protocol).second) others.push_back({server.role, vip, *endpoint});
    }
  }
  return others;
}

ServiceCheck check_of(const ServiceConfig& service, const ServerConfig* target, bool probes_pass) {
  ServiceCheck check{.name = service.name, .endpoints = {}, .probes_pass = probes_pass && target != nullptr};
  check.masquerades =
      std::ranges::any_of(service.servers, [](const ServerConfig& server) { return server.snat.kind == nat::SnatKind::masquerade; });
  for (const Vip& vip : service.listen) {
    const auto stands_for = [&](const EndpointCheck& other) {
      return other.vip.address.family() == vip.address.family() && other.vip.protocol == vip.protocol;
    };
    if (std::ranges::any_of(check.endpoints, stands_for)) continue;
    EndpointCheck endpoint{.vip = vip, .server = std::nullopt, .snat = {}, .payload = {}};
    if (target != nullptr) {
      endpoint.server = destination_of(*target, vip);
      if (!endpoint.server) continue; // the server has no address of this family: nobody is served there
      endpoint.snat = target->snat;
      if (vip.protocol == Protocol::udp) endpoint.payload = payload_of(*target);
    }
    check.endpoints.push_back(std::move(endpoint));
  }
  return check;
}

ClientFlow flow_of(const EndpointCheck& endpoint) { return {.vip = endpoint.vip, .payload = endpoint.payload}; }

} // namespace hanat
