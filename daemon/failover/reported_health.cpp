// Each function changes servers of the service and says so.
#include "daemon/failover/reported_health.hpp"

#include <utility>

#include "daemon/decision/find_server.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

/// A server that was drained by it and lives may have the traffic back as after maintenance: that is planned, too.
void end(ServiceState& service, ServerState& server, std::string by, Outbox& outbox) {
  server.planned |= server.report->health == Health::full && server.health == Health::full;
  server.report.reset();
  outbox.log(events::report_ended(service, server, std::move(by)));
}

} // namespace

void begin_report(ServiceState& service, std::size_t server, HealthReport report, ServiceRegistry& registry, Outbox& outbox) {
  ServerState& state = service.servers[server];
  const bool renewed = state.report && state.report->health == report.health;
  if (renewed) report.since = state.report->since;
  state.report = std::move(report);
  if (!renewed) outbox.log(events::health_reported(service, state));
  registry.mark_dirty(service);
}

void end_report(ServiceState& service, std::size_t server, std::string by, ServiceRegistry& registry, Outbox& outbox) {
  if (!service.servers[server].report) return;
  end(service, service.servers[server], std::move(by), outbox);
  registry.mark_dirty(service);
}

void expire_reports(ServiceState& service, Outbox& outbox, Time now) {
  for (ServerState& server : service.servers)
    if (server.report && server.report->until <= now) end(service, server, {}, outbox);
}

void keep_reports(ServiceState& service, const std::vector<ServerState>& before) {
  for (const ServerState& old : before)
    if (old.report)
      if (const auto place = find_server(service.config->servers, old, before)) service.servers[*place].report = old.report;
}

} // namespace hanat
