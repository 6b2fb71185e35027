// Gains, losses, and what is said of them.
#include "daemon/failover/flapping.hpp"

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

/// Whether the server that lost the traffic is to blame, and another one had to take it over.
bool is_its_fault(Reason flip_reason) {
  switch (flip_reason) {
  case Reason::failover:
  case Reason::full: return true;
  case Reason::starting:
  case Reason::adopted:
  case Reason::primary_up:
  case Reason::full_kept:
  case Reason::outage_doubted:
  case Reason::recovered:
  case Reason::failback:
  case Reason::forced:
  case Reason::drill:
  case Reason::configuration:
  case Reason::disabled:
  case Reason::followed:
  case Reason::observe:
  case Reason::no_server_up: // perhaps it was no server's
  case Reason::no_server_up_kept: return false;
  }
  return false;
}

/// An operator, a drill or a reload moves the traffic, or gives it back. The other gateway of a pair that is followed may have had a reason
/// to move it.
bool is_ordered(const Decision& decision) { return decision.planned && decision.flip_reason != Reason::followed; }

/// A program wants its new connections elsewhere: it has not failed.
bool is_reported_full(const ServerState& server) { return server.report && server.report->health == Health::full; }

void lose(ServiceState& service, ServerState& old, const Decision& decision, Outbox& outbox, Time now) {
  if (is_ordered(decision))
    old.damping.taken_by_order();
  else if (!is_its_fault(decision.flip_reason) || (decision.flip_reason == Reason::full && is_reported_full(old)))
    old.damping.handed_over();
  else if (old.damping.lost(flap_rule(service.config), now)) {
    old.flapping_logged = true;
    outbox.log(events::flapping(service, old, now));
  }
}

} // namespace

void note_move(ServiceState& service, const Placement& before, const Decision& decision, Outbox& outbox, Time now) {
  const Placement after = placement(service);
  if (after == before || service.removed) return;
  if (before.current && *before.current < service.servers.size()) lose(service, service.servers[*before.current], decision, outbox, now);
  if (!after.current) return;
  ServerState& server = service.servers[*after.current];
  if (is_ordered(decision)) return server.damping.given_by_order();
  if (before.current || before.refused) server.damping.gained(now);
  for (ServerState& other : service.servers)
    if (&other != &server) other.damping.passed_over();
}

void end_flapping(ServiceState& service, Outbox& outbox, Time now) {
  const FlapRule rule = flap_rule(service.config);
  for (ServerState& server : service.servers) {
    if (!server.flapping_logged || server.damping.level(rule, now) > 0) continue;
    server.flapping_logged = false;
    outbox.log(events::flapping_ended(service, server));
  }
}

} // namespace hanat
