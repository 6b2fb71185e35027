// What follows from a service's configuration alone: where a server serves a VIP, and which questions are asked of it.
// Not here: asking them (probes/engine).
#include "daemon/config.hpp"

#include <algorithm>

namespace hanat {
namespace {

/// The port that a probe asks of an address without one: that of the first TCP listener of the family, else of the first listener.
std::optional<std::uint16_t> listener_port(const Service& service, Family family) {
  std::optional<std::uint16_t> port;
  for (const Vip& vip : service.listen) {
    if (vip.address.family() != family) continue;
    if (vip.protocol == Protocol::tcp) return vip.port;
    if (!port) port = vip.port;
  }
  return port;
}

} // namespace

std::optional<Endpoint> endpoint_for(const Server& server, const Vip& vip) {
  const auto found =
      std::ranges::find(server.addresses, vip.address.family(), [](const Endpoint& endpoint) { return endpoint.address.family(); });
  if (found == server.addresses.end()) return std::nullopt;
  return Endpoint{.address = found->address, .port = found->port != 0 ? found->port : vip.port};
}

std::vector<probes::Question> questions_for(const Service& service, const Server& server) {
  std::vector<probes::Question> questions;
  for (const probes::Spec& spec : server.probes)
    for (const Endpoint& address : server.addresses) {
      // An address of a family that no client uses must not make the server unfit.
      const auto from_listener = listener_port(service, address.address.family());
      if (!from_listener) continue;
      const std::uint16_t own = address.port != 0 ? address.port : *from_listener;
      const probes::Question question{.spec = spec,
                                      .server = {.address = spec.address.value_or(address.address), .port = spec.port.value_or(own)}};
      // With probe.address both families may ask the same thing: once is enough.
      if (std::ranges::find(questions, question) == questions.end()) questions.push_back(question);
    }
  return questions;
}

} // namespace hanat
