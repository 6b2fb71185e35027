// What a turn of the loop leaves behind: events to publish, and what has to follow. Filled by every class of this folder, emptied by
// Controller when all of the turn is done, so that no log can hold up a flip; and, over several turns, whether a server is in doubt
// and what events have to say of this gateway.
// Not here: where events go (report).
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/report/event.hpp"
#include "nat/clock.hpp"

namespace hanat {

/// A server that has traffic is judged: until then what can wait leaves the loop to its probes.
struct Doubt {
  Time since{}, until{};
};

struct Outbox {
  std::vector<Event> events;
  Doubt doubt;
  bool standby = false;                                   // this gateway serves nobody now
  bool sync_due = false;                                  // sync() follows before the loop waits again
  bool overrides_changed = false, drains_changed = false; // the state file is out of date
  bool table_loaded = false;                              // anew: it has no heartbeat yet
  std::vector<ServiceState*> held;                        // they wait together for a job of the evictions, and are decided together
  std::set<std::string> health_changed;                   // services: what is saved of their servers is out of date

  void log(Event event) { events.push_back(std::move(event)); }
};

} // namespace hanat
