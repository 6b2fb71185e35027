// Events of servers out of service or reported on, and of what a reload or the server itself does to an override. Not here: the others
// (make_event).
#include <algorithm>
#include <utility>

#include "daemon/report/make_event.hpp"

namespace hanat::events {
namespace {

ServerDisabled disabled_now(const ServerState& server, WallTime at) {
  const Maintenance maintenance = server.maintenance.value_or(Maintenance{});
  ServerDisabled made{
      .server = server_name(server), .by = maintenance.by, .until = maintenance.until_wall, .lasts = {}, .reason = maintenance.reason};
  made.lasts = left_at(at, made.until);
  return made;
}

} // namespace

Event override_dropped(std::string service, const ServerState& server, std::string by) {
  return make(std::move(service), OverrideDropped{.server = server_name(server), .by = std::move(by)});
}

Event override_void(const ServiceState& service, const ServerState& server, bool disabled) {
  return make(service.config->name, OverrideVoid{.server = server_name(server), .disabled = disabled});
}

Event override_moved(const ServiceState& service, const ServerState& from, const ServerState& to) {
  return make(service.config->name, OverrideMoved{.from = server_name(from), .to = server_name(to)});
}

Event health_reported(const ServiceState& service, const ServerState& server) {
  const HealthReport report = server.report.value_or(HealthReport{});
  return make(service.config->name,
              HealthReported{.server = server_name(server),
                             .health = report.health,
                             .by = report.by,
                             .reason = report.reason,
                             .lasts = std::chrono::round<std::chrono::milliseconds>(report.until_wall - report.since)});
}

Event report_ended(const ServiceState& service, const ServerState& server, std::string by) {
  return make(service.config->name, ReportEnded{.server = server_name(server), .by = std::move(by)});
}

Event server_disabled(const ServiceState& service, const ServerState& server) {
  const WallTime at = event_time();
  return {.at = at, .service = service.config->name, .what = disabled_now(server, at)};
}

Event server_enabled(const ServiceState& service, const ServerState& server, std::string by) {
  return make(service.config->name, ServerEnabled{.server = server_name(server), .expired = by.empty(), .by = std::move(by)});
}

Event maintenance_restored(const ServiceState& service, const ServerState& server) {
  const WallTime at = event_time();
  return {.at = at, .service = service.config->name, .what = MaintenanceRestored{disabled_now(server, at)}};
}

Event maintenance_moved(const ServiceState& service, const ServerState& from, const ServerState& to) {
  return make(service.config->name, MaintenanceMoved{.from = server_name(from), .to = server_name(to)});
}

Event maintenance_lost(std::string service, const ServerState& server) {
  const Maintenance maintenance = server.maintenance.value_or(Maintenance{});
  return make(std::move(service), MaintenanceLost{.server = server_name(server), .by = maintenance.by, .reason = maintenance.reason});
}

Event maintenance_clock(std::string service, std::chrono::seconds ends_after) {
  return make(std::move(service), MaintenanceClock{ends_after});
}

} // namespace hanat::events
