// Servers that an operator took out of service: begun, ended, shared by a group, and kept over a reload and a restart, by address. Not
// here: what that decides (decision), its file (state).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "daemon/state/state_file.hpp"

namespace hanat {

/// Whether another server could take the traffic over: it is up or full, and not disabled, for the whole group.
bool has_other_usable(const ServiceState& service, std::size_t server);

void disable_server(ServiceState& service, std::size_t server, Maintenance maintenance, ServiceRegistry& registry, Outbox& outbox);
/// `by`: an operator who ended it; empty: its time is over.
void enable_server(ServiceState& service, std::size_t server, std::string by, ServiceRegistry& registry, Outbox& outbox);
/// Ends those whose time is over.
void expire_maintenance(ServiceState& service, Outbox& outbox, Time now);
/// Services that were not always a group may have different servers disabled: each is so for all, by the maintenance that ends last.
void share_maintenance(std::span<ServiceState* const> group, ServiceRegistry& registry, Outbox& outbox);
/// Another configuration, `before` are its servers until now: a server stays disabled wherever it stands in the list. One that is moved or
/// added may get the traffic, and that is planned work.
void keep_maintenance(ServiceState& service, const std::vector<ServerState>& before, Outbox& outbox);
/// The service is no longer configured.
void forget_maintenance(ServiceState& service, Outbox& outbox);

std::vector<SavedMaintenance> saved_maintenance(const Services& services);
/// One of before the restart; one whose time is over ends now. While hanatd does not run nobody sees which server became which: it must
/// have an address of the one that was disabled.
void restore_maintenance(const SavedMaintenance& saved, ServiceRegistry& registry, Outbox& outbox, Time now);

} // namespace hanat
