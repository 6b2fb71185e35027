// Work is done in slices of a loop's turn: a link that carries ten thousand ways must not keep the loop from its timers.
// Not here: what the kernel says by itself (ways_changes).
#include "probes/ways.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "nat/netlink.hpp"
#include "probes/ways_impl.hpp"

namespace hanat::probes {
namespace {

/// What one turn of the loop is given for questions and signals.
constexpr std::chrono::milliseconds slice{1};

/// When all of ten thousand are blocked each of their answers asks.
constexpr std::chrono::milliseconds all_blocked_age{5};

std::uint8_t bit(SignalKind kind) { return static_cast<std::uint8_t>(1U << static_cast<unsigned>(kind)); }

} // namespace

std::optional<Obstacle> obstacle(const Route& route, const Link* link) {
  const bool broken = link != nullptr && !link->usable();
  if (route.error == 0) {
    if (!broken) return std::nullopt;
    return Obstacle{.reason = Reason::no_carrier, .detail = link->name};
  }
  // When a link is set down its routes go with it: the link is the cause. One that was deleted is nobody's any more.
  if (broken && !link->gone && (route.error == ENETUNREACH || route.error == EHOSTUNREACH))
    return Obstacle{.reason = Reason::no_carrier, .detail = link->name};
  switch (route.error) {
  case ENETUNREACH: return Obstacle{.reason = Reason::net_unreachable, .detail = "no route"};
  case EHOSTUNREACH: return Obstacle{.reason = Reason::net_unreachable, .detail = "unreachable route"};
  case EINVAL: return Obstacle{.reason = Reason::net_unreachable, .detail = "blackhole route"};
  default: return std::nullopt; // EACCES: a prohibit route is our own firewall; anything else is no answer
  }
}

Ways::Impl::Impl(uv_loop_t* loop, OnSignal function, Options options)
    : on_signal(std::move(function)), socket(options.buffer_bytes, options.mark), next_round(make_timer(loop, this)) {
  auto made = std::make_unique<uv_idle_t>();
  uv_idle_init(loop, made.get()); // cannot fail
  idle.reset(made.release());
  idle->data = this;
  int error = 0;
  poll = make_poll(loop, socket.fd(), this, error);
  if (poll)
    error = uv_poll_start(poll.get(), UV_READABLE, [](uv_poll_t* ready, int, int) { static_cast<Impl*>(ready->data)->on_readable(); });
  if (error < 0) nat::throw_netlink(-error, "watch the routes");
}

// ---- what the kernel answers

void Ways::Impl::ask(std::span<Entry* const> asked) {
  std::vector<Way> ways;
  for (const Entry* entry : asked) ways.push_back(entry->way);
  auto routes = socket.routes(ways);
  counts.routes_asked += ways.size();
  for (std::size_t i = 0; i < routes.size(); ++i) {
    asked[i]->stale = false;
    asked[i]->round = round;
    if (const auto& route = routes[i])
      apply(*asked[i], *route);
    else
      look_at_all(); // no answer: later again
  }
}

/// A source that is not ours has no route, whatever the server's is. The probe itself will say so: that is our fault, not the server's.
Route Ways::Impl::without_lost_source(const Way& way, const Route& route) {
  if (route.error == 0 || !way.source) return route;
  const auto answers = socket.routes(std::array{Way{.server = *way.source}, Way{.server = way.server}});
  const auto& to_source = answers[0];
  const auto& to_server = answers[1];
  return to_source && to_server && !to_source->local ? *to_server : route;
}

void Ways::Impl::move(Entry& entry, const Hop& hop) {
  by_hop.erase({entry.hop.interface, entry.hop.next, &entry});
  const auto left = links.find(entry.hop.interface);
  if (left != links.end() && left->second.gone && !is_used(left->first)) links.erase(left);
  entry.hop = hop;
  by_hop.insert({hop.interface, hop.next, &entry});
}

void Ways::Impl::apply(Entry& entry, const Route& answer) {
  const Route route = without_lost_source(entry.way, answer);
  const bool removal = std::exchange(entry.removal, false);
  const bool moved = route.error == 0 && route.hop != entry.hop;
  const std::optional<Route> old = std::exchange(entry.route, route);
  const bool was_way = old && old->error == 0 && !obstacle(*old, link_of(entry));
  if (moved) move(entry, route.hop);
  if (route.error == 0) know_link(route.hop.interface);
  if (!was_way) return; // the first answer, or what broke it was told
  const auto now = obstacle(route, link_of(entry));
  if (now && now->reason == Reason::no_carrier) return signal(entry, SignalKind::carrier_lost, now->detail);
  if (!now && route.error == 0 && !(moved && removal)) return;
  if (old->source && gone.contains(*old->source)) return signal(entry, SignalKind::address_gone, old->source->text());
  signal(entry, SignalKind::route_gone, now ? now->detail : "another route");
}

void Ways::Impl::know_link(unsigned interface) {
  if (links.contains(interface) && !unsure.contains(interface)) return;
  ++counts.links_asked;
  auto link = socket.link(interface);
  if (!link) return look_at_all();
  unsure.erase(interface);
  if (links.contains(interface))
    set_link(*std::move(link));
  else
    links.emplace(interface, *std::move(link));
}

const Link* Ways::Impl::link_of(const Entry& entry) const {
  const auto link = links.find(entry.hop.interface);
  return link == links.end() ? nullptr : &link->second;
}

// ---- slices

void Ways::Impl::signal(Entry& entry, SignalKind kind, const std::string& detail) {
  if ((entry.waiting & bit(kind)) != 0) return;
  entry.waiting |= bit(kind);
  waiting.push_back({.way = entry.way, .kind = kind, .detail = detail});
  wake();
}

void Ways::Impl::wake() {
  uv_idle_start(idle.get(), [](uv_idle_t* handle) { static_cast<Impl*>(handle->data)->work(); });
}

/// Signals first: they are news, and asking is only so that the next ones are right.
void Ways::Impl::work() {
  const auto end = Clock::now() + slice;
  while (!walks.empty() && Clock::now() < end) step(walks.front());
  while (!waiting.empty() && Clock::now() < end) tell();
  while (walks.empty() && Clock::now() < end)
    if (!ask_some()) break;
  while (!waiting.empty() && Clock::now() < end) tell();
  if (walks.empty() && waiting.empty() && stale.empty() && !in_round) uv_idle_stop(idle.get());
}

/// Some ways more; at its end it covers none.
void Ways::Impl::step(Walk& walk) {
  std::size_t left = RouteSocket::routes_at_once;
  auto at = by_hop.lower_bound(walk.at);
  for (; left > 0 && at != by_hop.end() && walk.covers(*at); ++at, --left) {
    Entry& entry = *std::get<2>(*at);
    if (walk.kind && entry.route && entry.route->error == 0) signal(entry, *walk.kind, walk.detail);
    if (walk.look) make_stale(entry, walk.removal);
  }
  if (at == by_hop.end() || !walk.covers(*at))
    walks.pop_front();
  else
    walk.at = *at;
}

void Ways::Impl::tell() {
  const Waiting next = std::move(waiting.front());
  waiting.pop_front();
  const auto entry = entries.find(next.way);
  if (entry == entries.end()) return; // removed meanwhile
  entry->second.waiting = static_cast<std::uint8_t>(entry->second.waiting & ~bit(next.kind));
  ++counts.signals;
  on_signal({.kind = next.kind, .server = Endpoint{.address = next.way.server, .port = 0}, .vip = std::nullopt, .detail = next.detail});
}

bool Ways::Impl::ask_some() {
  std::array<Entry*, RouteSocket::routes_at_once> batch{};
  std::size_t number = 0;
  for (; !stale.empty() && number < batch.size(); stale.pop_front()) {
    const auto entry = entries.find(stale.front());
    if (entry == entries.end() || !entry->second.stale) continue; // removed, or asked for a probe meanwhile
    entry->second.stale = false;
    entry->second.round = round;
    batch[number++] = &entry->second;
  }
  while (in_round && number < batch.size()) {
    const auto entry = entries.lower_bound(*in_round);
    in_round.reset();
    if (entry == entries.end()) break;
    if (const auto after = std::next(entry); after != entries.end()) in_round = after->first;
    if (std::exchange(entry->second.round, round) == round) continue;
    entry->second.removal = entry->second.removal || removal_in_round;
    batch[number++] = &entry->second;
  }
  if (number > 0) ask(std::span{batch}.first(number));
  return number > 0;
}

// ---- the face

Ways::Ways(uv_loop_t* loop, OnSignal on_signal) : Ways(loop, std::move(on_signal), Options{}) {}
Ways::Ways(uv_loop_t* loop, OnSignal on_signal, Options options) : impl_(std::make_unique<Impl>(loop, std::move(on_signal), options)) {}
Ways::~Ways() = default;

void Ways::add(const Way& way) {
  auto& entry = impl_->entries.try_emplace(way, Impl::Entry{.way = way}).first->second;
  if (++entry.users == 1) impl_->make_stale(entry, false);
}

void Ways::remove(const Way& way) {
  const auto found = impl_->entries.find(way);
  if (found == impl_->entries.end() || --found->second.users > 0) return;
  const Hop& hop = found->second.hop;
  impl_->by_hop.erase({hop.interface, hop.next, &found->second});
  impl_->entries.erase(found);
}

std::optional<Answer> Ways::blocked(const Way& way) {
  const auto found = impl_->entries.find(way);
  if (found == impl_->entries.end()) return std::nullopt;
  if (impl_->is_stale(found->second)) impl_->ask(std::array{&found->second});
  const auto& route = found->second.route;
  auto what = route ? obstacle(*route, impl_->link_of(found->second)) : std::nullopt;
  if (!what) return std::nullopt;
  return Answer{.outcome = Outcome::abnormal, .reason = what->reason, .latency = {}, .detail = std::move(what->detail)};
}

bool Ways::all_blocked() {
  const auto now = Clock::now();
  if (const auto looked = impl_->all_looked_at; looked && now - *looked < all_blocked_age) return impl_->all_blocked;
  impl_->all_looked_at = now;
  const auto& entries = impl_->entries; // by address
  const bool several = !entries.empty() && entries.begin()->first.server != entries.rbegin()->first.server;
  return impl_->all_blocked =
             several && std::ranges::all_of(entries, [this](const auto& entry) { return blocked(entry.first).has_value(); });
}

const Ways::Counts& Ways::counts() const { return impl_->counts; }

} // namespace hanat::probes
