// Servers are found by their addresses: their names and places may differ.
#include "daemon/failover/peer_follow.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/peer/peer_match.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

constexpr auto same_end = 2s; // what is left was measured there, and travelled

/// Both without an end, or with the same one.
bool ends_alike(const std::optional<Time>& one, const std::optional<Time>& other) {
  if (!one || !other) return one.has_value() == other.has_value();
  return std::chrono::abs(*one - *other) <= same_end;
}

std::optional<WallTime> wall_of(const std::optional<Time>& until, Time now) {
  return until ? std::optional{wall_now() + std::chrono::ceil<WallTime::duration>(*until - now)} : std::nullopt;
}
bool is_over(const std::optional<Time>& until, Time now) { return until && *until <= now; }

template <typename Kept>
void tell(const ServiceState& service, const ServerState& server, events::PeerListed::What what, const Kept& kept, bool dropped,
          Outbox& outbox) {
  const WallTime at = events::event_time();
  outbox.log({.at = at,
              .service = service.config->name,
              .what = events::PeerListed{.what = what,
                                         .server = events::server_name(server),
                                         .by = kept.by,
                                         .reason = kept.reason,
                                         .lasts = events::left_at(at, kept.until_wall),
                                         .dropped = dropped}});
  outbox.overrides_changed = true;
}

/// The active gateway's override, as one of this gateway; nullopt: it has none, or for no server of this one.
std::optional<Override> copy_of(const ServiceState& service, const std::optional<PeerOverride>& force, Time now) {
  if (!force || is_over(force->until, now)) return std::nullopt;
  const auto server = find_peer_server(service, force->server);
  if (!server) return std::nullopt;
  return Override{.server = *server,
                  .until = force->until,
                  .until_wall = wall_of(force->until, now),
                  .since = force->since,
                  .reason = force->reason,
                  .by = force->by,
                  .until_down = force->until_down,
                  .copied = true};
}

bool is_same(const Override& one, const Override& other) {
  return one.server == other.server && one.by == other.by && one.reason == other.reason && one.until_down == other.until_down &&
         ends_alike(one.until, other.until);
}

void follow_override(ServiceState& service, const PeerService& active, ServiceRegistry& registry, Outbox& outbox, Time now) {
  using What = events::PeerListed::What;
  auto copy = copy_of(service, active.force, now);
  if (copy && service.force && is_same(*copy, *service.force)) {
    service.force->copied = true;
    return;
  }
  if (!copy && !service.force) return;
  if (const auto old = std::exchange(service.force, std::nullopt); old && (!copy || !old->copied))
    tell(service, service.servers[old->server], What::unforced, *old, !old->copied, outbox);
  service.override_ended = false;
  if (copy) tell(service, service.servers[copy->server], What::forced, *copy, false, outbox);
  service.force = std::move(copy);
  registry.mark_dirty(service);
}

/// What the active gateway's list says of each server here.
std::vector<std::optional<Maintenance>> copies_of(const ServiceState& service, const PeerService& active, Time now) {
  std::vector<std::optional<Maintenance>> copies(service.servers.size());
  for (const PeerDisabled& disabled : active.disabled) {
    const auto server = find_peer_server(service, disabled.server);
    if (server && !is_over(disabled.until, now))
      copies[*server] = Maintenance{.until = disabled.until,
                                    .until_wall = wall_of(disabled.until, now),
                                    .since = disabled.since,
                                    .reason = disabled.reason,
                                    .by = disabled.by,
                                    .copied = true};
  }
  return copies;
}

void follow_maintenance(ServiceState& service, const PeerService& active, ServiceRegistry& registry, Outbox& outbox, Time now) {
  using What = events::PeerListed::What;
  auto copies = copies_of(service, active, now);
  for (std::size_t index = 0; index < copies.size(); ++index) {
    auto& copy = copies[index];
    ServerState& server = service.servers[index];
    auto& own = server.maintenance;
    if (!copy && !own) continue;
    if (copy && own && copy->by == own->by && copy->reason == own->reason && ends_alike(copy->until, own->until)) {
      own->copied = true;
      continue;
    }
    if (const auto old = std::exchange(own, std::nullopt); old && !copy) tell(service, server, What::enabled, *old, !old->copied, outbox);
    if (copy) tell(service, server, What::disabled, *copy, false, outbox);
    own = std::move(copy);
    registry.mark_dirty(service);
  }
}

} // namespace

void follow_peer(ServiceState& service, const PeerService& active, ServiceRegistry& registry, Outbox& outbox, Time now) {
  if (service.removed) return;
  // Where no server has the traffic over there, this gateway stays where it is: a standby refuses nobody.
  auto target = active.target ? find_peer_server(service, *active.target) : std::nullopt;
  if (target != followed_server(service)) registry.mark_dirty(service);
  for (std::size_t server = 0; server < service.servers.size(); ++server) service.servers[server].followed = target == server;
  follow_override(service, active, registry, outbox, now);
  follow_maintenance(service, active, registry, outbox, now);
  if (service.dirty) outbox.sync_due = true;
}

bool follows_peer(const ServiceState& service) {
  const auto copied = [](const ServerState& server) { return server.maintenance && server.maintenance->copied; };
  return followed_server(service) || (service.force && service.force->copied) || std::ranges::any_of(service.servers, copied);
}

void stop_following(ServiceState& service, ServiceRegistry& registry) {
  for (ServerState& server : service.servers) server.followed = false;
  service.override_ended = false; // it ended over there, and the traffic went where it had to
  if (service.force) service.force->copied = false;
  for (ServerState& server : service.servers)
    if (server.maintenance) server.maintenance->copied = false;
  registry.mark_dirty(service);
}

} // namespace hanat
