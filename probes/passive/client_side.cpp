// What links and default routes say about clients.
#include "probes/passive/client_side.hpp"

#include <algorithm>

namespace hanat::probes {

void ClientSide::take(const Link& link, Time now) {
  if (link.gone) {
    links_.erase(link.index);
    return;
  }
  const auto [at, first] = links_.try_emplace(link.index, LinkState{.link = link, .lost = std::nullopt, .back = std::nullopt});
  LinkState& known = at->second;
  if (!first && known.link.usable() != link.usable()) (link.usable() ? known.back : known.lost) = now;
  known.link = link;
}

void ClientSide::set_default(Family family, std::optional<unsigned> interface) {
  if (interface)
    defaults_[family] = *interface;
  else if (const auto old = defaults_.find(family); old != defaults_.end() && is_usable(old->second))
    defaults_.erase(old);
}

bool ClientSide::works(const std::set<unsigned>& server_links, Time lost, Time now) const {
  bool any = false;
  for (const auto& [index, known] : links_) {
    if (!may_lead(known.link, server_links)) continue;
    const bool lost_together = known.lost && *known.lost + together >= lost;
    const bool settled = known.link.usable() && (!known.back || *known.back + together <= now);
    if (lost_together && !settled) return false;
    any = any || known.link.usable();
  }
  if (!any || defaults_.empty()) return any;
  return std::ranges::any_of(defaults_, [&](const auto& route) { return !server_links.contains(route.second) && is_usable(route.second); });
}

bool ClientSide::may_lead(const Link& link, const std::set<unsigned>& server_links) const {
  if (link.inner || server_links.contains(link.index)) return false;
  return std::ranges::none_of(server_links, [&](unsigned server) { // a VLAN's own link fails with it
    const auto known = links_.find(server);
    return known != links_.end() && known->second.link.lower == link.index;
  });
}

bool ClientSide::is_usable(unsigned interface) const {
  const auto known = links_.find(interface);
  return known != links_.end() && known->second.link.usable();
}

} // namespace hanat::probes
