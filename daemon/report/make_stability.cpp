// From running services to values.
#include "daemon/report/make_stability.hpp"

#include <algorithm>
#include <chrono>

#include "daemon/decision/reason_policy.hpp"
#include "daemon/report/probe_text.hpp"

namespace hanat {
namespace {

double as_seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

std::optional<FlappingStatus> flapping_of(const ServiceState& service, const ServerState& server, Time now) {
  const FlapRule rule = flap_rule(service.config);
  const auto forgiven = server.damping.forgiven_at(rule, now);
  if (!forgiven) return std::nullopt;
  return FlappingStatus{.times = server.damping.level(rule, now),
                        .wait_s = as_seconds(server.damping.wait(rule, now)),
                        .forgiven_in_s = as_seconds(*forgiven - now)};
}

std::optional<WarningStatus> warning_of(const ServerState& server) {
  for (const ProbeState& probe : server.probes)
    if (const auto& last = probe.last; last && last->outcome == probes::Outcome::pass && policy_of(last->reason).warns)
      return WarningStatus{.reason = std::string{to_text(last->reason)}, .detail = last->detail};
  for (const ProbeState& probe : server.probes)
    if (const auto& last = probe.last;
        last && probe.probe != nullptr && probe.probe->spec.advisory && probe.window.health() == Health::down)
      return WarningStatus{.reason = std::string{to_text(probe.last_failure.value_or(last->reason))},
                           .detail = name_of(*probe.probe) + " fails, which moves nothing: critical = false"};
  return std::nullopt;
}

std::optional<OutageStatus> outage_of(const ServiceState& service, Time now) {
  const OutageDoubt& outage = service.outage;
  if (!outage.keeps_target() || service.shadow) return std::nullopt; // in mode observe nothing is kept or refused: would_why says it
  OutageStatus status{.state = outage.phase == OutagePhase::settling ? "settling" : "doubted",
                      .for_s = as_seconds(now - outage.began),
                      .ends_in_s = {},
                      .new_refused = refuses_new(service)};
  if (outage.until && !outage.witness_silent) status.ends_in_s = std::max(0.0, as_seconds(*outage.until - now));
  return status;
}

} // namespace

void report_stability(const ServiceState& service, ServiceStatus& status, Time now) {
  for (std::size_t index = 0; index < std::min(service.servers.size(), status.servers.size()); ++index) {
    status.servers[index].flapping = flapping_of(service, service.servers[index], now);
    status.servers[index].warning = warning_of(service.servers[index]);
  }
  status.outage = outage_of(service, now);
  if (service.witness) {
    const auto& way = service.witness->way;
    const bool silent = way.is_silent();
    status.witness = WitnessStatus{.address = to_text(service.witness->probe->server),
                                   .answers = silent || way.heard_at ? std::optional{!silent} : std::nullopt};
  }
}

} // namespace hanat
