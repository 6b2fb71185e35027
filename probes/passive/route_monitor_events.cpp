// Changes of links, routes, addresses and neighbours that the kernel reports, and the paths that they affect.
// Not here: reading the messages (route_socket), lookups and delivery (route_monitor).
#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "probes/passive/route_monitor_impl.hpp"

namespace hanat::probes {
namespace {

/// Read in one turn of the loop; the rest waits for the next.
constexpr std::size_t changes_per_turn = 256;
/// Paths that the changes of one turn may affect one by one; beyond that, refreshing all is cheaper.
constexpr std::size_t max_touched_paths = 4'000;
/// Between two refreshes of all paths, start to start: links and rules may flap.
constexpr std::chrono::milliseconds between_rounds{250};
/// Deleted local addresses; needed only to say why a route disappeared with one.
constexpr std::size_t max_gone_addresses = 1'024;

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

// ---- reading changes

void RouteMonitor::Impl::on_readable() {
  auto changes = socket.changes(changes_per_turn);
  touched_paths = 0;
  for (auto& change : changes.read) std::visit([this](auto& value) { take(std::move(value)); }, change);
  finish_read();
  if (changes.lost) lost_changes();
  work();
}

void RouteMonitor::Impl::take(Link link) {
  client_side.take(link, Clock::now());
  const auto known = links.find(link.index);
  unsure.erase(link.index);
  if (known == links.end()) {
    if (link.usable()) refresh_all(); // it may revive a route without a message: for example, one of several next hops
    if (!link.gone) links.emplace(link.index, std::move(link));
    return;
  }
  if (link.gone && !is_used(link.index)) {
    links.erase(known);
    return;
  }
  set_link(std::move(link));
}

/// A lost link is reported at once for all paths through it: the kernel changes their routes later.
void RouteMonitor::Impl::set_link(Link link) {
  Link& known = links[link.index];
  if (link.name.empty()) link.name = known.name;
  const bool was_usable = known.usable();
  known = std::move(link);
  if (was_usable == known.usable()) return;
  if (known.usable()) refresh_all();
  Scan scan{.position = {known.index, Address{}, nullptr}, .detail = known.name, .refresh = true, .removal = was_usable};
  if (was_usable) scan.kind = KernelEventKind::carrier_lost;
  scans.push_back(std::move(scan));
  wake();
}

void RouteMonitor::Impl::take(const RouteChange& change) {
  constexpr unsigned longest_default = 3; // 2000::/3
  default_changed = default_changed || change.prefix <= longest_default;
  if (touched_paths > max_touched_paths || !seen.insert(change).second) return; // a refresh of all is due, or a duplicate
  const Address last = last_in(change);
  for (auto at = entries.lower_bound(Path{.server = change.network}); at != entries.end() && at->first.server <= last; ++at) {
    make_stale(at->second, change.removed);
    if (++touched_paths > max_touched_paths) return refresh_all(change.removed);
  }
}

void RouteMonitor::Impl::take(const AddressChange& change) {
  touched.insert(change.address);
  if (!change.removed) {
    gone.erase(change.address);
  } else {
    if (gone.size() >= max_gone_addresses) gone.clear();
    gone.insert(change.address);
  }
  interfaces[change.interface] |= change.removed;
}

void RouteMonitor::Impl::finish_read() {
  for (const Hop& hop : failed) {
    const auto link = links.find(hop.interface);
    Scan scan{.position = {hop.interface, hop.next, nullptr}, .next = hop.next, .kind = KernelEventKind::neighbour_failed};
    if (const auto at = by_hop.lower_bound(scan.position); at == by_hop.end() || !scan.covers(*at)) continue; // no path uses it
    scan.detail = fmt::format("{} on {}", hop.next.text(), link == links.end() ? "?" : link->second.name);
    scans.push_back(std::move(scan));
  }
  for (const auto& [interface, removal] : interfaces)
    if (is_used(interface)) scans.push_back({.position = {interface, Address{}, nullptr}, .refresh = true, .removal = removal});
  interfaces.clear();
  if (std::exchange(default_changed, false)) learn_default();
  if (!touched.empty()) refresh_addresses();
  failed.clear();
  touched.clear();
  seen.clear();
}

/// The kernel removes routes with a preferred source without a message when that address is deleted; a configured source may be gone.
void RouteMonitor::Impl::refresh_addresses() {
  for (auto& [path, entry] : entries) {
    const auto source = path.source ? path.source : (entry.route ? entry.route->source : std::nullopt);
    if (!source || !touched.contains(*source)) continue;
    const bool removed = gone.contains(*source);
    if (path.source && removed) queue_event(entry, KernelEventKind::address_gone, source->text());
    make_stale(entry, removed);
  }
}

void RouteMonitor::Impl::lost_changes() {
  ++counts.lost;
  for (const auto& [index, link] : links) unsure.insert(index);
  gone.clear();
  learn_surroundings();
  refresh_all();
}

// ---- affected paths

bool RouteMonitor::Impl::is_used(unsigned interface) const {
  const auto at = by_hop.lower_bound({interface, Address{}, nullptr});
  return at != by_hop.end() && std::get<0>(*at) == interface;
}

void RouteMonitor::Impl::make_stale(Entry& entry, bool removal) {
  entry.removal = entry.removal || removal;
  if (entry.stale) return;
  entry.stale = true;
  stale.push_back(entry.path);
  wake();
}

void RouteMonitor::Impl::refresh_all(bool removal) {
  removal_in_next = removal_in_next || removal;
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(next_round.get())) != 0) return;
  start_at(*next_round, last_round + between_rounds, [](uv_timer_t* timer) { static_cast<Impl*>(timer->data)->start_round(); });
}

void RouteMonitor::Impl::start_round() {
  last_round = Clock::now();
  learn_default();
  ++round;
  next_in_round = Path{}; // sorts before all others
  removal_in_round = std::exchange(removal_in_next, false);
  wake();
}

} // namespace hanat::probes
