// Lookups and delivery of events. Work is done in slices: a link that carries ten thousand paths must not delay the loop's timers.
// Not here: changes reported by the kernel (route_monitor_events).
#include "probes/passive/route_monitor.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "probes/io/watch_netlink.hpp"
#include "probes/passive/route_monitor_impl.hpp"

namespace hanat::probes {
namespace {

/// Time in one turn of the loop for lookups and events.
constexpr std::chrono::milliseconds slice{1};

/// When ten thousand paths are broken, each of their results asks for this.
constexpr std::chrono::milliseconds cut_off_cache_time{5};

std::uint8_t bit(KernelEventKind kind) { return static_cast<std::uint8_t>(1U << static_cast<unsigned>(kind)); }

} // namespace

std::optional<PathFailure> path_failure(const Route& route, const Link* link) {
  const bool broken = link != nullptr && !link->usable();
  if (route.error == 0) {
    if (!broken) return std::nullopt;
    return PathFailure{.reason = Reason::no_carrier, .detail = link->name};
  }
  // The kernel removes the routes of a link that is set down: the link is the cause. A deleted link has no routes to blame it for.
  if (broken && !link->gone && (route.error == ENETUNREACH || route.error == EHOSTUNREACH))
    return PathFailure{.reason = Reason::no_carrier, .detail = link->name};
  switch (route.error) {
  case ENETUNREACH: return PathFailure{.reason = Reason::net_unreachable, .detail = "no route"};
  case EHOSTUNREACH: return PathFailure{.reason = Reason::net_unreachable, .detail = "unreachable route"};
  case EINVAL: return PathFailure{.reason = Reason::net_unreachable, .detail = "blackhole route"};
  default: return std::nullopt; // EACCES: a prohibit route is our own firewall; anything else is unknown
  }
}

RouteMonitor::Impl::Impl(uv_loop_t* loop, OnKernelEvent function, Options options)
    : on_event(std::move(function)), socket(options.buffer_bytes, options.mark), next_round(make_timer(loop, this)) {
  idle = make_handle(uv_idle_init, loop, this, "watch the loop");
  poll = make_poll(loop, socket.fd(), this);
  check_uv(watch_netlink(poll.get(), [](uv_poll_t* ready) { static_cast<Impl*>(ready->data)->on_readable(); }), "watch the routes");
  learn_surroundings();
}

// ---- lookups

void RouteMonitor::Impl::look_up(std::span<Entry* const> batch) {
  std::vector<Path> paths;
  for (const Entry* entry : batch) paths.push_back(entry->path);
  auto routes = socket.routes(paths);
  counts.route_lookups += routes.size();
  for (std::size_t i = 0; i < routes.size(); ++i) {
    batch[i]->stale = false;
    batch[i]->round = round;
    if (const auto& route = routes[i])
      apply(*batch[i], *route);
    else
      refresh_all(); // no reply: try again later
  }
}

/// A source address that this machine lacks has no route, whatever the server's route is. That is a local failure, which the probe itself
/// reports.
Route RouteMonitor::Impl::without_lost_source(const Path& path, const Route& route) {
  if (route.error == 0 || !path.source) return route;
  const auto replies = socket.routes(std::array{Path{.server = *path.source}, Path{.server = path.server}});
  const auto& to_source = replies[0];
  const auto& to_server = replies[1];
  return to_source && to_server && !to_source->local ? *to_server : route;
}

void RouteMonitor::Impl::move(Entry& entry, const Hop& hop) {
  by_hop.erase({entry.hop.interface, entry.hop.next, &entry});
  const auto left = links.find(entry.hop.interface);
  if (left != links.end() && left->second.gone && !is_used(left->first)) links.erase(left);
  entry.hop = hop;
  by_hop.insert({hop.interface, hop.next, &entry});
}

void RouteMonitor::Impl::apply(Entry& entry, const Route& reply) {
  const Route route = without_lost_source(entry.path, reply);
  const bool removal = std::exchange(entry.removal, false);
  const bool moved = route.error == 0 && route.hop != entry.hop;
  const std::optional<Route> old = std::exchange(entry.route, route);
  const bool was_reachable = old && old->error == 0 && !path_failure(*old, link_of(entry));
  if (moved) move(entry, route.hop);
  if (route.error == 0) learn_link(route.hop.interface);
  if (!was_reachable) return; // the first lookup, or the failure was reported already
  const auto now = path_failure(route, link_of(entry));
  if (now && now->reason == Reason::no_carrier) return queue_event(entry, KernelEventKind::carrier_lost, now->detail);
  if (!now && route.error == 0 && !(moved && removal)) return;
  if (old->source && gone.contains(*old->source)) return queue_event(entry, KernelEventKind::address_gone, old->source->text());
  queue_event(entry, KernelEventKind::route_gone, now ? now->detail : "another route");
}

void RouteMonitor::Impl::learn_link(unsigned interface) {
  if (links.contains(interface) && !unsure.contains(interface)) return;
  ++counts.link_lookups;
  auto link = socket.link(interface);
  if (!link) return refresh_all();
  unsure.erase(interface);
  client_side.take(*link, Clock::now());
  if (links.contains(interface))
    set_link(*std::move(link));
  else
    links.emplace(interface, *std::move(link));
}

/// All links, those to clients among them.
void RouteMonitor::Impl::learn_surroundings() {
  const auto began = Clock::now();
  for (const Link& link : socket.links()) client_side.take(link, began);
  learn_default();
  const auto ended = Clock::now();
  surroundings_known_until = ended + std::max<Clock::duration>(cut_off_cache_time, (ended - began) * 10); // a machine may have many links
}

/// Looks up addresses that only a default route covers; that of IPv6 may be 2000::/3.
void RouteMonitor::Impl::learn_default() {
  const std::array outside{
      Path{.server = Address::from_bytes(std::array<std::uint8_t, 4>{0, 0, 0, 1})},
      Path{.server = Address::from_bytes(std::array<std::uint8_t, 16>{0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})}};
  const auto routes = socket.routes(outside);
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const auto& route = routes[i];
    if (!route) continue; // no reply
    const bool found = route->error == 0 && !route->local && route->hop.interface != 0;
    client_side.set_default(outside.at(i).server.family(), found ? std::optional{route->hop.interface} : std::nullopt);
  }
}

const Link* RouteMonitor::Impl::link_of(const Entry& entry) const {
  const auto link = links.find(entry.hop.interface);
  return link == links.end() ? nullptr : &link->second;
}

// ---- slices

void RouteMonitor::Impl::queue_event(Entry& entry, KernelEventKind kind, const std::string& detail) {
  if ((entry.waiting & bit(kind)) != 0) return;
  entry.waiting |= bit(kind);
  waiting.push_back({.path = entry.path, .kind = kind, .detail = detail});
  wake();
}

void RouteMonitor::Impl::wake() {
  uv_idle_start(idle.get(), [](uv_idle_t* handle) { static_cast<Impl*>(handle->data)->work(); });
}

/// Events first: they are urgent, and lookups only prepare the next ones.
void RouteMonitor::Impl::work() {
  const auto end = Clock::now() + slice;
  while (!scans.empty() && Clock::now() < end) step(scans.front());
  while (!waiting.empty() && Clock::now() < end) deliver();
  while (scans.empty() && Clock::now() < end)
    if (!look_up_some()) break;
  while (!waiting.empty() && Clock::now() < end) deliver();
  if (scans.empty() && waiting.empty() && stale.empty() && !next_in_round) uv_idle_stop(idle.get());
}

/// Handles the next paths of the scan, and removes it at its end.
void RouteMonitor::Impl::step(Scan& scan) {
  std::size_t left = RouteSocket::routes_at_once;
  auto at = by_hop.lower_bound(scan.position);
  for (; left > 0 && at != by_hop.end() && scan.covers(*at); ++at, --left) {
    Entry& entry = *std::get<2>(*at);
    if (scan.kind && entry.route && entry.route->error == 0) queue_event(entry, *scan.kind, scan.detail);
    if (scan.refresh) make_stale(entry, scan.removal);
  }
  if (at == by_hop.end() || !scan.covers(*at))
    scans.pop_front();
  else
    scan.position = *at;
}

void RouteMonitor::Impl::deliver() {
  const Waiting next = std::move(waiting.front());
  waiting.pop_front();
  const auto entry = entries.find(next.path);
  if (entry == entries.end()) return; // removed meanwhile
  entry->second.waiting = static_cast<std::uint8_t>(entry->second.waiting & ~bit(next.kind));
  ++counts.events;
  on_event({.kind = next.kind, .server = Endpoint{.address = next.path.server, .port = 0}, .vip = std::nullopt, .detail = next.detail});
}

bool RouteMonitor::Impl::look_up_some() {
  std::array<Entry*, RouteSocket::routes_at_once> batch{};
  std::size_t number = 0;
  for (; !stale.empty() && number < batch.size(); stale.pop_front()) {
    const auto entry = entries.find(stale.front());
    if (entry == entries.end() || !entry->second.stale) continue; // removed, or looked up for a probe meanwhile
    entry->second.stale = false;
    entry->second.round = round;
    batch[number++] = &entry->second;
  }
  while (next_in_round && number < batch.size()) {
    const auto entry = entries.lower_bound(*next_in_round);
    next_in_round.reset();
    if (entry == entries.end()) break;
    if (const auto after = std::next(entry); after != entries.end()) next_in_round = after->first;
    if (std::exchange(entry->second.round, round) == round) continue;
    entry->second.removal = entry->second.removal || removal_in_round;
    batch[number++] = &entry->second;
  }
  if (number > 0) look_up(std::span{batch}.first(number));
  return number > 0;
}

/// By which the paths lead, or led last.
std::set<unsigned> RouteMonitor::Impl::server_links() const {
  std::set<unsigned> result;
  for (auto at = by_hop.begin(); at != by_hop.end(); at = by_hop.lower_bound({std::get<0>(*at) + 1, Address{}, nullptr}))
    result.insert(std::get<0>(*at));
  return result;
}

// ---- public interface

RouteMonitor::RouteMonitor(uv_loop_t* loop, OnKernelEvent on_event) : RouteMonitor(loop, std::move(on_event), Options{}) {}
RouteMonitor::RouteMonitor(uv_loop_t* loop, OnKernelEvent on_event, Options options)
    : impl_(std::make_unique<Impl>(loop, std::move(on_event), options)) {}
RouteMonitor::~RouteMonitor() = default;

void RouteMonitor::add(const Path& path) {
  auto& entry = impl_->entries.try_emplace(path, Impl::Entry{.path = path}).first->second;
  if (++entry.users == 1) impl_->make_stale(entry, false);
}

void RouteMonitor::remove(const Path& path) {
  const auto found = impl_->entries.find(path);
  if (found == impl_->entries.end() || --found->second.users > 0) return;
  const Hop& hop = found->second.hop;
  impl_->by_hop.erase({hop.interface, hop.next, &found->second});
  impl_->entries.erase(found);
}

std::optional<ProbeResult> RouteMonitor::unreachable(const Path& path) {
  const auto found = impl_->entries.find(path);
  if (found == impl_->entries.end()) return std::nullopt;
  if (impl_->is_stale(found->second)) impl_->look_up(std::array{&found->second});
  const auto& route = found->second.route;
  auto failure = route ? path_failure(*route, impl_->link_of(found->second)) : std::nullopt;
  if (!failure) return std::nullopt;
  return fail_result(failure->reason, {}, std::move(failure->detail));
}

bool RouteMonitor::is_cut_off() {
  const auto now = Clock::now();
  if (const auto checked = impl_->cut_off_checked_at; checked && now - *checked < cut_off_cache_time) return impl_->cut_off;
  impl_->cut_off_checked_at = now;
  const auto& entries = impl_->entries; // by address
  const bool several = !entries.empty() && entries.begin()->first.server != entries.rbegin()->first.server;
  const bool all = several && std::ranges::all_of(entries, [this](const auto& entry) { return unreachable(entry.first).has_value(); });
  if (!all)
    impl_->all_lost_at.reset();
  else if (!impl_->all_lost_at)
    impl_->all_lost_at = now;
  // The kernel reports a lost carrier up to a second late (linkwatch sends one batch a second), but tells it at once when it is asked.
  if (all && now >= impl_->surroundings_known_until) impl_->learn_surroundings();
  const auto links = impl_->server_links(); // none: no path has ever been known, and nothing can be told
  return impl_->cut_off = all && (links.empty() || !impl_->client_side.works(links, impl_->all_lost_at.value_or(now), now));
}

const RouteMonitor::Counts& RouteMonitor::counts() const { return impl_->counts; }

} // namespace hanat::probes
