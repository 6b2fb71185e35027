// Does this machine still reach its clients, when it reaches no server any more? Told from its links and default routes. Pure: `now` is an
// argument. Not here: reading them from the kernel (route_socket), when no server is reached (route_monitor).
#pragma once

#include <map>
#include <optional>
#include <set>

#include "nat/clock.hpp"
#include "probes/passive/route_socket.hpp"

namespace hanat::probes {

class ClientSide {
public:
  using Time = Clock::time_point;

  /// A link as it is now: at the start, and whenever it changes.
  void take(const Link& link, Time now);
  /// By which link the default route of a family leads; nullopt: there is none. One that went with its link is remembered: the link is the
  /// cause, and clients came by it.
  void set_default(Family family, std::optional<unsigned> interface);

  /// Whether clients can still come, while no server has been reached since `lost`: by a link that carries no path to a server, is usable,
  /// and to which the default route leads if there is one. Links that were lost together with those to the servers mean that it is this
  /// machine, or the switch that it hangs on, that fails.
  bool works(const std::set<unsigned>& server_links, Time lost, Time now) const;

  /// Links that are lost, or come back, within this time do so together: a switch takes its ports down one by one.
  static constexpr std::chrono::seconds together{3};

private:
  struct LinkState {
    Link link;
    std::optional<Time> lost, back; // the last times
  };
  /// Whether it may lead to clients.
  bool may_lead(const Link& link, const std::set<unsigned>& server_links) const;
  bool is_usable(unsigned interface) const;

  std::map<unsigned, LinkState> links_;
  std::map<Family, unsigned> defaults_; // links
};

} // namespace hanat::probes
