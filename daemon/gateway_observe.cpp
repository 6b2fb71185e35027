// The gateway and services in mode observe: what would have been done is told and remembered, and nothing is. Not here: what such a
// service keeps in the kernel (wanted: frozen), the decision, which is the same as ever (decision, group).
#include <algorithm>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"

namespace hanat {

/// The story begins with what the kernel does. What was imagined stays as long as the service is observed.
void Gateway::begin_to_observe(RunningService& service) {
  if (service.removed || service.config.mode != Mode::observe) {
    service.would.reset();
    return;
  }
  if (!service.would || !service.would->begun)
    service.would = Imagined{.standing = {.current = service.current, .refused = service.refused}};
  service.why = Why::observe;
}

/// Another configuration, `before` are its servers until now: the imagined target is still the same server, or nowhere.
void Gateway::keep_observing(RunningService& service, const std::vector<RunningServer>& before) {
  if (service.config.mode != Mode::observe) return;
  if (!service.would) {
    if (service.force) events_.push_back(words::override_waits(service));
    return;
  }
  auto& current = service.would->standing.current;
  if (!current) return;
  const auto same = std::ranges::find(service.servers, before[*current].addresses, &RunningServer::addresses);
  if (same == service.servers.end())
    current.reset();
  else
    current = static_cast<std::size_t>(same - service.servers.begin());
}

/// applied() for such a service: the kernel has what little changes, and the decision is told.
void Gateway::observed(Change& change, Time now) {
  RunningService& service = *change.service;
  if (!service.would) return;
  Imagined& would = *service.would;
  const Decision& decision = change.decision;
  note_departures(change, false, now);
  service.loaded = std::move(change.wanted.rules);
  if (service.since == WallTime{}) service.since = wall_now();
  service.failback_at = decision.failback_at;
  would.why = decision.why;
  if (decision.place == Place::undecided) return;
  const Standing next{.current = decision.place == Place::server ? std::optional{decision.server} : std::nullopt,
                      .refused = decision.place == Place::none};
  if (next != would.standing) events_.push_back(words::would(service, decision));
  would.standing = next;
  would.begun = true;
  forget_override(service);
}

} // namespace hanat
