// Events of a gateway of a pair that follow from its configuration. Not here: the others (make_event).
#include "daemon/report/make_event.hpp"

namespace hanat::events {

std::vector<Event> pair_warnings(const Config& config) {
  std::vector<Event> warnings;
  if (!config.pair) return warnings;
  for (const ServiceConfig& service : config.services)
    for (const ServerConfig& server : service.servers)
      if (server.snat.kind == nat::SnatKind::masquerade)
        warnings.push_back(make(service.name, MasqueradeInPair{.server = server.role, .address = config.pair->address}));
  return warnings;
}

} // namespace hanat::events
