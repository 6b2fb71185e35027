// What is known of a service's servers, as it is kept over a restart, and what a start makes of it: verdicts of a moment ago go on, and
// probes confirm or refute them. Pure but for the services themselves.
// Not here: the file (state/health_file), when it is written (state/health_writer).
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/report/make_why.hpp"
#include "daemon/state/health_file.hpp"
#include "daemon/state/state_file.hpp"

namespace hanat {

/// Older verdicts, and windows, are worth nothing. What is held against a flapping server, and since when a target has the traffic, last.
inline constexpr std::chrono::seconds verdicts_last{60};

/// What a start knows of the time before it.
struct EarlierRun {
  SavedHealth health;
  std::string boot;                           // of this machine, now
  WallTime wall{};                            // now
  std::map<std::string, TargetSince> targets; // of each service, by the history
};

SavedService saved_health(const ServiceState& service);
/// After the table was adopted: where it says something else than the file, a crash ended hanatd before the file was written.
void restore_health(const EarlierRun& earlier, ServiceRegistry& registry, Outbox& outbox, Time now);
/// Of flips that a crash kept out of the file, and so perhaps out of that of the drains: where planned work drains, it does so all the
/// same.
std::vector<SavedDrain> unsaved_drains(const EarlierRun& earlier, const State& saved, const ServiceRegistry& registry, Time now);

} // namespace hanat
