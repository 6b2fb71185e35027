// Computes a set again when something that it depends on has happened, and loads it beside what services wait for.
#include "daemon/failover/server_sets.hpp"

#include <algorithm>
#include <utility>

#include "daemon/decision/server_endpoints.hpp"

namespace hanat {

void ServerSets::on_start(const std::map<nat::SetKind, nat::EndpointMap>& found, Time now) {
  if (const auto displaced = found.find(nat::SetKind::displaced); displaced != found.end())
    restore_displaced(registry_.services(), displaced->second, now + recent_for);
  on_config_changed();
}

void ServerSets::intend(nat::SetKind kind, nat::EndpointMap endpoints) {
  auto& intended = sets_[kind].intended;
  if (!intended || *intended != endpoints) intended = std::make_shared<const nat::EndpointMap>(std::move(endpoints));
}

void ServerSets::update(Time now) {
  if (std::exchange(servers_changed_, false)) intend(nat::SetKind::servers, all_servers(registry_.services()));
  if (std::exchange(displaced_changed_, false)) {
    any_displaced_ = std::ranges::any_of(registry_.services(), [](const auto& service) { return !service->displaced_until.empty(); });
    intend(nat::SetKind::displaced, displaced_servers(registry_.services(), now));
  }
  for (auto& [set_kind, endpoints] : sets_) {
    if (sync_.busy() || sync_.state() == TableSync::State::failed) return;
    if (endpoints.intended == endpoints.loaded) continue;
    sync_.change_aside([this, kind = set_kind, &loaded = endpoints.loaded, intended = endpoints.intended] {
      table_.set_endpoints(kind, *intended);
      loaded = intended; // nothing else looks at it while the thread is busy
    });
  }
}

} // namespace hanat
