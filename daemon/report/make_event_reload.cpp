// Events of what stands behind a reload until something new has shown that it works. Not here: all others (make_event).
#include <algorithm>

#include "daemon/decision/reconfiguration.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/report/probe_text.hpp"

namespace hanat::events {

Event new_probe_fails(const ServiceState& service, const ServerState& server, const ProbeState& probe) {
  NewProbeFails failing{.server = server_name(server),
                        .result = probe.last.value_or(probes::ProbeResult{}),
                        .probe = probe.probe == nullptr ? "" : name_of(*probe.probe),
                        .wanted = {}};
  if (probe.probe != nullptr) failing.wanted = wanted_by(probe.probe->spec, failing.result.reason);
  return make(service.config->name, std::move(failing));
}

Event new_probes_passed(const ServiceState& service, const ServerState& server) {
  return make(service.config->name, NewProbesPassed{.server = server_name(server)});
}

/// The first server that is not disabled is waited for, or the one that an operator has chosen.
Event former_serves(const ServiceState& service) {
  const auto servers = configured_servers(service);
  const auto enabled = std::ranges::find_if(servers, [](const ServerState& server) { return !candidate(server).disabled; });
  const ServerState& next = service.force ? servers[service.force->server] : enabled == servers.end() ? servers.front() : *enabled;
  return make(service.config->name, FormerServes{.former = server_name(service.servers.back()), .next = server_name(next)});
}

Event former_kept(const ServiceState& service) {
  return make(service.config->name, FormerKept{.former = server_name(service.servers.back())});
}

} // namespace hanat::events
