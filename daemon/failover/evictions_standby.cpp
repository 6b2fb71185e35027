// What becomes of evictions when this gateway is the standby of a pair: its conntrack has copies of connections that the other gateway
// serves, and whatever is deleted here may be deleted there. Not here: evictions (evictions), when it is standby (gateway_role).
#include <utility>

#include "daemon/failover/evictions.hpp"

namespace hanat {

/// A job that deletes or notifies ends at its next step; one that counts goes on. Drains stay, so that what drains is known after a
/// takeover.
void Evictions::set_silent(bool on) {
  if (std::exchange(silent_, on) == on || !on) return;
  if (worker_.busy() && job_.need != Need::count) worker_.cancel();
  clients_.falsely_held.clear();
  clients_.reconnecting = {};
  for (const auto& service : registry_.services()) {
    for (Eviction& eviction : service->evictions)
      if (eviction.drain)
        eviction.drain->notified = true;
      else
        eviction.mappings.clear();
    service->recent_until.clear();
    service->displaced_until.clear();
    drop_empty(*service);
  }
}

} // namespace hanat
