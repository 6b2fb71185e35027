// What the kernel says by itself about links, routes, addresses and neighbours, and which ways that concerns.
#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "probes/ways_impl.hpp"

namespace hanat::probes {
namespace {

/// Read in one turn; the rest waits for the next.
constexpr std::size_t changes_in_turn = 256;
/// Ways that one turn's changes may touch one by one; more is cheaper to look at all together.
constexpr std::size_t touched_in_turn = 4'000;
/// Between two looks at every way, start to start: links and rules may flap.
constexpr std::chrono::milliseconds between_rounds{250};
/// Addresses of ours that went; only to tell why a route went with them.
constexpr std::size_t remembered_addresses = 1'024;

Address last_in(const RouteChange& change) {
  std::array<std::uint8_t, 16> bytes{};
  const auto network = change.network.bytes();
  for (std::size_t i = 0; i < network.size(); ++i) {
    const unsigned own =
        std::clamp<unsigned>(change.prefix, static_cast<unsigned>(i) * 8, static_cast<unsigned>(i) * 8 + 8) - static_cast<unsigned>(i) * 8;
    bytes[i] = static_cast<std::uint8_t>(network[i] | 0xffU >> own);
  }
  return Address::from_bytes({bytes.data(), network.size()});
}

} // namespace

// ---- what a read brings

void Ways::Impl::on_readable() {
  auto changes = socket.changes(changes_in_turn);
  looked_at = 0;
  for (auto& change : changes.read) std::visit([this](auto& what) { take(std::move(what)); }, change);
  finish_read();
  if (changes.lost) lost_changes();
  work();
}

void Ways::Impl::take(Link link) {
  const auto known = links.find(link.index);
  unsure.erase(link.index);
  if (known == links.end()) {
    if (link.usable()) look_at_all(); // it may revive a route that nobody announces: one of several hops, say
    if (!link.gone) links.emplace(link.index, std::move(link));
    return;
  }
  if (link.gone && !is_used(link.index)) {
    links.erase(known);
    return;
  }
  set_link(std::move(link));
}

/// Loss is told at once, to all that leave by the link: what the kernel makes of their routes comes later.
void Ways::Impl::set_link(Link link) {
  Link& known = links[link.index];
  if (link.name.empty()) link.name = known.name;
  const bool was_usable = known.usable();
  known = std::move(link);
  if (was_usable == known.usable()) return;
  if (known.usable()) look_at_all();
  Walk walk{.at = {known.index, Address{}, nullptr}, .detail = known.name, .look = true, .removal = was_usable};
  if (was_usable) walk.kind = SignalKind::carrier_lost;
  walks.push_back(std::move(walk));
  wake();
}

void Ways::Impl::take(const RouteChange& change) {
  if (looked_at > touched_in_turn || !seen.insert(change).second) return; // a round is due, or the same one twice
  const Address last = last_in(change);
  for (auto at = entries.lower_bound(Way{.server = change.network}); at != entries.end() && at->first.server <= last; ++at) {
    make_stale(at->second, change.removed);
    if (++looked_at > touched_in_turn) return look_at_all(change.removed);
  }
}

void Ways::Impl::take(const AddressChange& change) {
  touched.insert(change.address);
  if (!change.removed) {
    gone.erase(change.address);
  } else {
    if (gone.size() >= remembered_addresses) gone.clear();
    gone.insert(change.address);
  }
  interfaces[change.interface] |= change.removed;
}

void Ways::Impl::finish_read() {
  for (const Hop& hop : failed) {
    const auto link = links.find(hop.interface);
    Walk walk{.at = {hop.interface, hop.next, nullptr}, .next = hop.next, .kind = SignalKind::neighbour_failed};
    if (const auto at = by_hop.lower_bound(walk.at); at == by_hop.end() || !walk.covers(*at)) continue; // nobody goes there
    walk.detail = fmt::format("{} on {}", hop.next.text(), link == links.end() ? "?" : link->second.name);
    walks.push_back(std::move(walk));
  }
  for (const auto& [interface, removal] : interfaces)
    if (is_used(interface)) walks.push_back({.at = {interface, Address{}, nullptr}, .look = true, .removal = removal});
  interfaces.clear();
  if (!touched.empty()) look_at_addresses();
  failed.clear();
  touched.clear();
  seen.clear();
}

/// Routes that prefer an address go with it and nobody says so; a source that the operator asked for may be gone.
void Ways::Impl::look_at_addresses() {
  for (auto& [way, entry] : entries) {
    const auto source = way.source ? way.source : (entry.route ? entry.route->source : std::nullopt);
    if (!source || !touched.contains(*source)) continue;
    const bool removed = gone.contains(*source);
    if (way.source && removed) signal(entry, SignalKind::address_gone, source->text());
    make_stale(entry, removed);
  }
}

void Ways::Impl::lost_changes() {
  ++counts.lost;
  for (const auto& [index, link] : links) unsure.insert(index);
  gone.clear();
  look_at_all();
}

// ---- who is concerned

bool Ways::Impl::is_used(unsigned interface) const {
  const auto at = by_hop.lower_bound({interface, Address{}, nullptr});
  return at != by_hop.end() && std::get<0>(*at) == interface;
}

void Ways::Impl::make_stale(Entry& entry, bool removal) {
  entry.removal = entry.removal || removal;
  if (entry.stale) return;
  entry.stale = true;
  stale.push_back(entry.way);
  wake();
}

void Ways::Impl::look_at_all(bool removal) {
  removal_in_next = removal_in_next || removal;
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(next_round.get())) != 0) return;
  start_at(*next_round, last_round + between_rounds, [](uv_timer_t* timer) { static_cast<Impl*>(timer->data)->start_round(); });
}

void Ways::Impl::start_round() {
  last_round = Clock::now();
  ++round;
  in_round = Way{}; // the first of all
  removal_in_round = std::exchange(removal_in_next, false);
  wake();
}

} // namespace hanat::probes
