// What an operator pinned: begun, ended, kept over a restart. Not here: the moment it runs out (gateway), the file (state).
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"

namespace hanat {

void Gateway::force(RunningService& service, Force force) {
  events_.push_back(words::forced(service, force));
  service.force = std::move(force);
  service.override_ended = false;
  overrides_changed_ = true;
  touch(service);
}

void Gateway::act() {
  settle(Clock::now());
  wait_for_kernel();
}

void Gateway::end_override(RunningService& service) {
  if (!service.force) return;
  service.override_ended = service.force->server != 0;
  service.force.reset();
  overrides_changed_ = true;
  events_.push_back(words::override_ended(service, false));
  touch(service);
}

/// An override of before the restart; one that has run out meanwhile ends now.
void Gateway::restore(const Override& kept, Time now) {
  RunningService* service = find(kept.service);
  if (service == nullptr) return;
  const auto server = std::ranges::find(service->config.servers, kept.target, &Server::role);
  if (server == service->config.servers.end()) {
    tell(Level::warning, "the kept override of " + kept.service + " names " + kept.target + ", which it does not have any more: dropped");
    return;
  }
  Force force{.server = static_cast<std::size_t>(server - service->config.servers.begin()),
              .until = std::nullopt,
              .until_wall = kept.until,
              .since = kept.since,
              .reason = kept.reason,
              .by = kept.by};
  // The file is text: a date of another millennium must not overflow a time of the loop. And a machine that comes up with its clock in the
  // past must not make half an hour a year of it.
  constexpr std::chrono::hours longest{24 * 366 * 10};
  if (kept.until) {
    const auto asked = std::clamp<WallTime::duration>(*kept.until - kept.since, WallTime::duration::zero(), longest);
    const WallTime::duration left = *kept.until - wall_now();
    force.until = now + std::clamp<WallTime::duration>(left, WallTime::duration::zero(), asked);
    if (left > asked)
      tell(Level::warning, fmt::format("{}: this machine's clock shows a time before the override began: the override ends {} s from now",
                                       kept.service, std::chrono::duration_cast<std::chrono::seconds>(asked).count()));
  }
  events_.push_back(words::forced(*service, force));
  service->force = std::move(force);
  if (service->would) events_.push_back(words::override_waits(*service));
  touch(*service);
}

State Gateway::state() const {
  State result{.overrides = {}, .drains = kept_drains()};
  for (const auto& service : services_)
    if (const auto& force = service->force)
      result.overrides.push_back({.service = service->config.name,
                                  .target = service->servers[force->server].role,
                                  .until = force->until_wall,
                                  .reason = force->reason,
                                  .by = force->by,
                                  .since = force->since});
  return result;
}

} // namespace hanat
