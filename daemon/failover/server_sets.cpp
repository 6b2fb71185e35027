// Computes a set again when something that it depends on has happened, and loads it beside what services wait for.
#include "daemon/failover/server_sets.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "daemon/decision/server_endpoints.hpp"

namespace hanat {
namespace {

using Endpoints = std::shared_ptr<const nat::EndpointMap>;

// So many changes of a set take some 2 ms: a failover waits for no longer transaction.
constexpr std::size_t most_changes = 256;

/// From what is loaded towards what is intended; the latter itself where it is near enough, or at the start.
Endpoints next_step(const Endpoints& loaded, const Endpoints& intended) {
  if (!loaded) return intended;
  std::vector<Vip> removed;
  std::vector<const nat::EndpointMap::value_type*> changed;
  auto before = loaded->begin();
  for (auto after = intended->begin(); before != loaded->end() || after != intended->end();) {
    if (removed.size() + changed.size() == most_changes) break;
    if (after == intended->end() || (before != loaded->end() && before->first < after->first)) {
      removed.push_back((before++)->first);
    } else {
      const bool known = before != loaded->end() && before->first == after->first;
      if (!known || before->second != after->second) changed.push_back(&*after);
      if (known) ++before;
      ++after;
    }
  }
  if (removed.size() + changed.size() < most_changes) return intended;
  nat::EndpointMap step = *loaded;
  for (const Vip& vip : removed) step.erase(vip);
  for (const auto* entry : changed) step.insert_or_assign(entry->first, entry->second);
  return std::make_shared<const nat::EndpointMap>(std::move(step));
}

} // namespace

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
  if (std::exchange(servers_changed_, false)) intend(nat::SetKind::servers, all_servers(registry_.services(), all_protocols_));
  if (std::exchange(displaced_changed_, false)) {
    any_displaced_ = std::ranges::any_of(registry_.services(), [](const auto& service) { return !service->displaced_until.empty(); });
    intend(nat::SetKind::displaced, displaced_servers(registry_.services(), now));
  }
  if (std::exchange(offloaded_changed_, false)) intend(nat::SetKind::offloaded, offloaded_endpoints(registry_.services()));
  unfinished_ = false;
  for (auto& [set_kind, endpoints] : sets_) {
    if (sync_.busy() || sync_.state() == TableSync::State::failed) return;
    if (endpoints.intended == endpoints.loaded) continue;
    const auto step = next_step(endpoints.loaded, endpoints.intended);
    unfinished_ |= step != endpoints.intended;
    sync_.change_aside([this, kind = set_kind, &loaded = endpoints.loaded, step] {
      table_.set_endpoints(kind, *step);
      loaded = step; // nothing else looks at it while the thread is busy
    });
  }
}

std::optional<Time> ServerSets::next_wakeup(Time now) const { return unfinished_ ? std::optional{now} : std::nullopt; }

} // namespace hanat
