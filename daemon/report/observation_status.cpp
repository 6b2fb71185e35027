// Values to text.
#include "daemon/report/observation_status.hpp"

#include <algorithm>
#include <chrono>

#include "daemon/report/probe_text.hpp"

namespace hanat {
namespace {

std::string kind_text(Observation::Kind kind) {
  switch (kind) {
  case Observation::Kind::event: return "event";
  case Observation::Kind::fail: return "fail";
  case Observation::Kind::full: return "full";
  case Observation::Kind::pass: return "pass";
  }
  return {};
}

ObservationStatus observation_status(const std::string& role, const Observation& one, const std::vector<probes::Probe>& probes) {
  ObservationStatus status{.at = {},
                           .kind = kind_text(one.kind),
                           .server = role,
                           .probe = {},
                           .reason = one.event,
                           .detail = one.detail,
                           .wanted = {},
                           .count = one.count,
                           .of = one.of};
  if (one.kind == Observation::Kind::event) return status;
  status.reason = to_text(one.reason);
  status.latency_ms = std::chrono::duration<double, std::milli>(one.latency).count();
  if (one.probe >= probes.size()) return status; // a reload has ended it
  status.probe = name_of(probes[one.probe]);
  status.wanted = wanted_by(probes[one.probe].spec, one.reason);
  return status;
}

} // namespace

std::vector<ObservationStatus> observation_statuses(const std::string& role, const events::HealthCause& cause, WallTime at) {
  std::vector<ObservationStatus> all;
  for (const Observation& one : cause.observations) {
    all.push_back(observation_status(role, one, cause.probes));
    all.back().at = to_text(at - std::chrono::ceil<WallTime::duration>(cause.now - one.at));
  }
  return all;
}

HealthChangeStatus health_change_status(const events::HealthChanged& changed, WallTime at) {
  return {.server = changed.server.role,
          .address = to_text(changed.server.address),
          .health = std::string{to_text(changed.health)},
          .of = changed.cause.of,
          .within_s = std::chrono::duration<double>(changed.cause.within).count(),
          .observations = observation_statuses(changed.server.role, changed.cause, at)};
}

events::HealthCause cause_of(const ServiceState& service, const ServerState& server, Time now) {
  const bool up = server.health == Health::up;
  const auto all = server.observations.all();
  events::HealthCause cause{.observations = {all.begin(), all.end()},
                            .probes = {},
                            .now = now,
                            .of = up ? 0 : service.config->down.fails,
                            .within = up ? Clock::duration{} : service.config->down.within};
  for (const ProbeState& probe : server.probes) {
    if (!up) break;
    cause.of = std::max(cause.of, probe.window.up_by().passes); // the last of them was the one that was waited for
    cause.within = std::max<Clock::duration>(cause.within, probe.window.up_by().stable_for);
  }
  if (all.empty()) return cause;
  cause.probes.reserve(server.probes.size());
  for (const ProbeState& probe : server.probes) cause.probes.push_back(probe.probe == nullptr ? probes::Probe{} : *probe.probe);
  return cause;
}

} // namespace hanat
