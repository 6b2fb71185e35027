// The shadow of a service: where it would be.
#include "daemon/failover/observe_mode.hpp"

#include <algorithm>

#include "daemon/failover/overrides.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {

void begin_to_observe(ServiceState& service) {
  if (service.removed || service.config->mode != Mode::observe) {
    service.shadow.reset();
    return;
  }
  if (!service.shadow || !service.shadow->begun)
    service.shadow = ShadowState{.placement = {.current = service.current, .refused = service.refused}};
  service.reason = Reason::observe;
}

void keep_observing(ServiceState& service, const std::vector<ServerState>& before, Outbox& outbox) {
  if (service.config->mode != Mode::observe) return;
  if (!service.shadow) {
    if (service.force) outbox.log(events::override_waits(service));
    return;
  }
  auto& current = service.shadow->placement.current;
  if (!current) return;
  const ServerState& old = before[*current];
  const auto same = std::ranges::find_if(service.servers, [&](const ServerState& server) {
    return old.host.empty() ? server.addresses == old.addresses : server.host == old.host;
  });
  if (same == service.servers.end())
    current.reset();
  else
    current = static_cast<std::size_t>(same - service.servers.begin());
}

void apply_to_shadow(ServiceState& service, const Decision& decision, Outbox& outbox) {
  if (!service.shadow) return;
  ShadowState& shadow = *service.shadow;
  if (service.since == WallTime{}) service.since = wall_now();
  service.failback_at = decision.failback_at;
  service.asked_flows.reset();
  shadow.reason = decision.reason;
  if (decision.kind == TargetKind::undecided) return;
  const Placement next{.current = decision.kind == TargetKind::server ? std::optional{decision.server} : std::nullopt,
                       .refused = decision.kind == TargetKind::none};
  if (next != shadow.placement) outbox.log(events::shadow_moved(service, decision));
  shadow.placement = next;
  shadow.begun = true;
  forget_ended_override(service);
}

} // namespace hanat
