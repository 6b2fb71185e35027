// Events of a gateway of a pair that follow from its configuration. Not here: the others (make_event).
#include <algorithm>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "daemon/peer/own_address.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat::events {

std::vector<Event> pair_warnings(const Config& config) {
  constexpr std::size_t told_at_most = 20; // services: often it is a value in [defaults]
  std::vector<Event> warnings;
  if (!config.pair) return warnings;
  std::size_t more = 0;
  for (const ServiceConfig& service : config.services) {
    const auto masquerades = [](const ServerConfig& server) { return server.snat.kind == nat::SnatKind::masquerade; };
    const auto server = std::ranges::find_if(service.servers, masquerades);
    if (server == service.servers.end()) continue;
    if (warnings.size() == told_at_most)
      ++more;
    else
      warnings.push_back(make(service.name, MasqueradeInPair{.server = server->role, .address = config.pair->address}));
  }
  if (config.pair->peer)
    if (auto wrong = wrong_addresses(*config.pair->peer)) warnings.push_back(message(Level::warning, *std::move(wrong)));
  if (more > 0) warnings.push_back(message(Level::warning, fmt::format("and {} more services likewise (masquerade in a pair)", more)));
  return warnings;
}

} // namespace hanat::events
