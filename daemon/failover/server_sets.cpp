// Computes a set again when something that it depends on has happened.
#include "daemon/failover/server_sets.hpp"

#include <utility>

#include "daemon/decision/server_endpoints.hpp"

namespace hanat {

void ServerSets::on_start(Time now) {
  restore_displaced(registry_.services(), table_.displaced_at_start(), now + recent_for);
  on_config_changed();
}

void ServerSets::update(Time now) {
  const Services& services = registry_.services();
  if (std::exchange(servers_changed_, false)) table_.intend_endpoints(nat::SetKind::servers, all_servers(services));
  if (!std::exchange(displaced_changed_, false)) return;
  nat::EndpointMap displaced = displaced_servers(services, now);
  any_displaced_ = !displaced.empty();
  table_.intend_endpoints(nat::SetKind::displaced, std::move(displaced));
}

} // namespace hanat
