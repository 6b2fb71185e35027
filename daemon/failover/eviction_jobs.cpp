// One need a job.
#include "daemon/failover/eviction_jobs.hpp"

#include <algorithm>
#include <utility>

namespace hanat {
namespace {

/// While an endpoint that is given up is in the table, its clients would come back to it.
bool waits_for_table(const ServiceState& service, const Eviction& eviction) {
  const auto is_loaded = [&](const Mapping& mapping) { return service.loaded.vips.contains(mapping.vip); };
  return eviction.given_up && eviction.stage == CutStage::cut_recorded && std::ranges::any_of(eviction.mappings, is_loaded);
}

/// TCP clients. Where flows may stay only clients without a connection are notified.
void add_clients(CutJob& job, const ServiceState& service, const Eviction& eviction) {
  for (const Mapping& mapping : eviction.mappings) {
    if (mapping.vip.protocol != Protocol::tcp) continue;
    if (!eviction.drain) (service.offloading == Offloading::on ? job.cut_offloaded : job.cut_unconnected).push_back(mapping);
    if (service.config->nudge) job.nudge.insert(mapping);
  }
}

void add_recorded(CutJob& job, const ServiceState& service, const Eviction& eviction) {
  if (eviction.recorded) job.recorded.insert(eviction.recorded);
  for (const Mapping& mapping : eviction.mappings) {
    job.cut_recorded.push_back(mapping);
    if (service.config->nudge && mapping.vip.protocol == Protocol::tcp && eviction.sweeps == 0) job.nudge.insert(mapping);
  }
}

} // namespace

Need need_of(const Eviction& eviction) {
  if (eviction.drain) return eviction.drain->notified ? Need::count : Need::notify;
  switch (eviction.stage) {
  case CutStage::cut_non_tcp: return eviction.untranslated ? Need::cut_untranslated : Need::cut_non_tcp;
  case CutStage::notify_clients: return Need::notify;
  case CutStage::cut_tcp:
  case CutStage::sweep: return Need::cut;
  case CutStage::record: return Need::record;
  case CutStage::cut_recorded: return Need::cut_recorded;
  }
  return Need::cut;
}

bool is_due(const ServiceState& service, const Eviction& eviction, Time now) {
  return eviction.due <= now && !service.due.answer && !waits_for_table(service, eviction);
}

bool is_cut_due(const std::set<ServiceState*>& services, Need before, Time now) {
  return std::ranges::any_of(services, [&](const ServiceState* service) {
    return std::ranges::any_of(service->evictions, [&](const Eviction& eviction) {
      return !eviction.drain && !eviction.in_job && need_of(eviction) < before && is_due(*service, eviction, now);
    });
  });
}

std::optional<Need> most_urgent(const std::set<ServiceState*>& services, Time now) {
  std::optional<Need> first;
  for (const ServiceState* service : services)
    for (const Eviction& eviction : service->evictions)
      if (const Need need = need_of(eviction); (!first || need < *first) && is_due(*service, eviction, now)) first = need;
  return first;
}

bool is_urgent(const CutJob& job) { return !job.reconnecting.empty() || !job.waiting.empty(); }

bool has_reconnecting(const CutJob& job, const Eviction& eviction) {
  return !eviction.drain && !eviction.untranslated &&
         std::ranges::any_of(eviction.mappings, [&](const Mapping& mapping) { return job.reconnecting.contains(mapping); });
}

CutJob take_reconnecting(CutJob& from, const std::set<ServiceState*>& services) {
  CutJob job = std::exchange(from, {});
  nat::Clients leaving;
  for (const ServiceState* service : services)
    for (const Eviction& eviction : service->evictions) {
      if (!has_reconnecting(job, eviction)) continue;
      for (const Mapping& mapping : eviction.mappings)
        if (const auto clients = job.reconnecting.extract(mapping)) {
          if (service->due.answer && job.not_nudged.contains(mapping)) from.not_nudged.insert(mapping);
          (service->due.answer ? from.reconnecting : leaving)[mapping] = clients.mapped();
        }
    }
  job.reconnecting = std::move(leaving);
  return job;
}

void add_flows(CutJob& job, Need need, const ServiceState& service, const Eviction& eviction) {
  switch (need) {
  case Need::record: {
    auto& into = eviction.by_server ? job.record_by_server : job.record;
    into.insert(into.end(), eviction.mappings.begin(), eviction.mappings.end());
    break;
  }
  case Need::cut_recorded: add_recorded(job, service, eviction); break;
  case Need::cut_non_tcp:
  case Need::cut_untranslated: // entries of before the rules go all at once
  case Need::cut: job.cut.insert(job.cut.end(), eviction.mappings.begin(), eviction.mappings.end()); break;
  case Need::count: job.count.insert(job.count.end(), eviction.mappings.begin(), eviction.mappings.end()); break;
  case Need::notify:
    add_clients(job, service, eviction);
    if (!eviction.drain) job.cut.insert(job.cut.end(), eviction.mappings.begin(), eviction.mappings.end()); // of UDP and SCTP what is left
    break;
  }
}

void set_scope(CutJob& job, Need need) {
  switch (need) {
  case Need::cut_non_tcp:
    job.protocols = nat::Protocols::non_tcp;
    job.scope = nat::FlowScope::clients;
    break;
  case Need::notify:
    job.protocols = nat::Protocols::non_tcp;
    job.scope = nat::FlowScope::others;
    break;
  case Need::record:
  case Need::cut_recorded:
  case Need::cut_untranslated:
  case Need::cut:
  case Need::count: break;
  }
}

bool is_apart(const ServiceState& service, const Eviction& eviction) {
  return eviction.untranslated && !eviction.exact && !service.removed && !eviction.mappings.empty();
}

void count_notified(ServiceState& service, const Eviction& eviction, const CutResult& result) {
  std::uint64_t clients = 0;
  for (const Mapping& mapping : eviction.mappings)
    if (const auto nudged = result.nudged.find(mapping); nudged != result.nudged.end()) clients += nudged->second;
  service.totals.nudged += clients;
  if (Flip* flip = find_flip(service, eviction.flip)) flip->nudged += clients;
}

} // namespace hanat
