// What an operator pinned: begun, shared by a group, ended, and kept over a restart. Not here: what an override decides (decision), its
// file (state).
#pragma once

#include <span>
#include <vector>

#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/state/state_file.hpp"

namespace hanat {

/// How long something of before the restart still lasts.
struct SavedTime {
  WallTime::duration left{};
  bool clock_went_back = false; // the clock shows a time before it began
};
SavedTime time_left(WallTime since, WallTime until);

void begin_override(ServiceState& service, Override override, ServiceRegistry& registry, Outbox& outbox);
/// An operator ended it.
void end_override(ServiceState& service, std::string by, ServiceRegistry& registry, Outbox& outbox);
/// Its time is over.
void expire_override(ServiceState& service, Outbox& outbox);
/// Its server is disabled; or it ends with its server, and that is down without a doubt. For the whole group, which is up to date.
void end_override_if_void(ServiceState& service, Outbox& outbox);
/// Another configuration, `before` are its servers until now: the override stays with the server, wherever it stands in the list, and ends
/// when that is no longer among them.
void keep_override(ServiceState& service, const std::vector<ServerState>& before, Outbox& outbox);
/// The way back to the best server that an ended override asks for is over when no better one can still turn out to be up.
void forget_ended_override(ServiceState& service);
/// Services that were not always a group may have different overrides: the newest one rules.
void share_override(std::span<ServiceState* const> group, ServiceRegistry& registry, Outbox& outbox);

std::vector<SavedOverride> saved_overrides(const Services& services);
/// An override of before the restart; one whose time is over ends now.
void restore_override(const SavedOverride& saved, ServiceRegistry& registry, Outbox& outbox, Time now);

} // namespace hanat
