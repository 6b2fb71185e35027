// Evictions that wait: flows of an old target that stay a while, or as long as they like. They are counted, the drain ends early when none
// is left, and it is remembered over a restart. Not here: which flows stay and when that ends (desired_state), the cut that follows
// (evictions).
#include "daemon/failover/drains.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "daemon/decision/given_up.hpp"
#include "daemon/failover/evictions.hpp"
#include "daemon/report/make_event.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// A flow whose first packets were on their way during the flip is in conntrack by then (they may wait in an NFQUEUE).
constexpr auto settled_after = 1s;
// Between two counts: every second at first, then less often, and never more than a hundredth of a processor.
constexpr auto count_after = 1s;
constexpr auto count_after_at_most = 60s;
constexpr int count_share = 100;
constexpr int share_of_age = 60;
constexpr auto count_retry_after = 5s;

Clock::duration pause_between_counts(Clock::duration age, Clock::duration spent) {
  return std::max<Clock::duration>(std::clamp<Clock::duration>(age / share_of_age, count_after, count_after_at_most), spent * count_share);
}

bool is_tcp(const Eviction& eviction) { return !eviction.mappings.empty() && eviction.mappings.front().vip.protocol == Protocol::tcp; }

/// Nullopt: the kernel gave no complete answer.
std::optional<std::uint64_t> flows_of(const Eviction& eviction, const CutResult& result) {
  if (!result.counted) return std::nullopt;
  std::uint64_t flows = 0;
  for (const Mapping& mapping : eviction.mappings)
    if (const auto found = result.counted->find(mapping); found != result.counted->end()) flows += found->second;
  return flows;
}

void count_drained(ServiceState& service, const Eviction& eviction) {
  const std::uint64_t drained = eviction.drain ? eviction.drain->drained() : 0;
  service.totals.drained += drained;
  if (Flip* flip = find_flip(service, eviction.flip)) flip->drained += drained;
}

/// The drain as it goes on after a restart. The file is text: a date of another millennium must not overflow a time of the loop.
Eviction restored(const SavedDrain& saved, Time now) {
  constexpr std::chrono::hours longest{24 * 31};
  Drain drain{.until_wall = saved.until, .since = now, .until_down = saved.until_down};
  if (saved.until) drain.until = now + std::clamp<WallTime::duration>(*saved.until - wall_now(), WallTime::duration::zero(), longest);
  return {.mappings = {}, .comment = saved.comment, .drain = drain, .due = now};
}

void end_after(Drain& drain, Clock::duration lasts, Time now) {
  drain.until = now + lasts;
  drain.until_wall = wall_now() + std::chrono::duration_cast<WallTime::duration>(lasts);
}

} // namespace

bool is_drain_of(const ServiceState& service, const Eviction& eviction, std::optional<std::size_t> server) {
  if (!eviction.drain || eviction.mappings.empty()) return false;
  return !server || std::ranges::any_of(eviction.mappings, [&](const Mapping& mapping) {
    return endpoint_for(service.config->servers[*server], mapping.vip) == mapping.server;
  });
}

void change_drains(ServiceState& service, std::optional<std::size_t> server, const FlowPolicy& policy, const std::string& by,
                   Outbox& outbox, Time now) {
  for (Eviction& eviction : service.evictions) {
    if (!eviction.drain || !is_drain_of(service, eviction, server)) continue;
    end_after(*eviction.drain, policy.action == FlowAction::drain ? policy.time : Clock::duration::zero(), now);
    outbox.drains_changed = true;
    outbox.log(events::drain_changed(service, eviction, by, now));
  }
}

void begin_drain(ServiceState& service, Eviction& eviction, Outbox& outbox, Time now) {
  if (eviction.drain && eviction.drain->until) end_after(*eviction.drain, *eviction.drain->until - now, now);
  outbox.drains_changed = true;
  outbox.log(events::drain_begun(service, eviction));
}

/// Its clients have been notified, or it has been counted.
void Evictions::advance_drain(ServiceState& service, Eviction& eviction, const CutResult& result, bool same, Time now) {
  if (!eviction.drain) return;
  Drain& drain = *eviction.drain;
  if (eviction.mappings.empty()) return finish(service, eviction.id); // over or void meanwhile
  if (!result.failure.empty() || result.cancelled) {
    eviction.due = now + (result.cancelled ? count_after : count_retry_after);
    return;
  }
  eviction.due = now;
  if (!std::exchange(drain.notified, true) || !same) return; // of other mappings the count says nothing
  const Clock::duration age = now - drain.since;
  eviction.due = now + pause_between_counts(age, result.spent);
  const auto left = flows_of(eviction, result);
  if (!left) return;
  drain.left = left;
  drain.most = std::max(drain.most, *left);
  if (*left > 0 || age < settled_after) return;
  outbox_.log(events::drained(service, eviction, now)); // before its flows are counted for the flip: they are still the drain's here
  count_drained(service, eviction);
  outbox_.drains_changed = true;
  finish(service, eviction.id);
}

void log_drain_end(ServiceState& service, const Eviction& eviction, bool whole, const Plan& plan, Outbox& outbox, Time now) {
  if (eviction.mappings.empty()) return; // over already; its count is under way
  const auto continues = [&](const Eviction& next) {
    return next.drain_end && next.flip == eviction.flip && next.comment == eviction.comment && is_tcp(next) == is_tcp(eviction);
  };
  const auto next = std::ranges::find_if(plan.evictions, continues);
  const auto end = next == plan.evictions.end() ? std::nullopt : next->drain_end;
  const FlowSet returning{plan.returning};
  const bool returns =
      std::ranges::any_of(eviction.mappings, [&](const Mapping& mapping) { return returning.meeting(mapping) != nullptr; });
  if (!end && !returns) return;
  outbox.drains_changed = true;
  outbox.log(end ? events::drain_ended(service, eviction, *end, whole, now) : events::drain_void(service, eviction));
}

void count_anew(ServiceState& service, Eviction& eviction, Time now) {
  if (!eviction.drain) return;
  count_drained(service, eviction);
  eviction.drain->left.reset();
  eviction.drain->most = 0;
  eviction.due = now;
}

std::vector<SavedDrain> Evictions::saved_drains() const {
  std::vector<SavedDrain> result;
  for (const ServiceState* service : registry_.evicting())
    for (const Eviction& eviction : service->evictions)
      if (eviction.drain && !eviction.mappings.empty())
        result.push_back({.service = service->config->name,
                          .comment = eviction.comment,
                          .until = eviction.drain->until_wall,
                          .until_down = eviction.drain->until_down,
                          .flows = eviction.mappings});
  return result;
}

/// What the kernel holds is the truth: a server that is target has no old flows, and what is stale was already on its way out.
void Evictions::restore(const std::vector<SavedDrain>& drains, Time now) {
  if (drains.empty()) return;
  std::map<Vip, ServiceState*> holders;
  std::set<Mapping> stale;
  for (const auto& service : registry_.services()) {
    for (const Vip& vip : service->config->listen) holders[vip] = service.get();
    for (const auto& [mapping, comment] : service->loaded.stale) stale.insert(mapping);
  }
  for (const SavedDrain& saved : drains) {
    std::map<std::pair<ServiceState*, bool>, std::vector<Mapping>> parts; // by service; TCP apart
    const auto add_part = [&](ServiceState& service, const Mapping& part) {
      const auto target = find_covering(service.loaded.dnat, part.vip);
      if (stale.contains(part) || (target != service.loaded.dnat.end() && target->second.server == part.server)) return;
      parts[{&service, part.vip.protocol == Protocol::tcp}].push_back(part);
    };
    for (const Mapping& mapping : saved.flows) { // of a range that has other borders now, each part on its own
      std::vector<Vip> held;
      for_overlapping(holders, mapping.vip, [&](const auto& entry) {
        const auto& [vip, service] = entry;
        held.push_back(with_ports(mapping.vip, std::max(vip.port, mapping.vip.port), std::min(last_port(vip), last_port(mapping.vip))));
        add_part(*service, part_of(mapping, held.back()));
      });
      for (const Vip& rest : without(mapping.vip, held)) add_part(registry_.tombstone(saved.service), part_of(mapping, rest));
    }
    for (auto& [part, mappings] : parts) {
      ServiceState& service = *part.first;
      Eviction eviction = restored(saved, now);
      eviction.mappings = std::move(mappings);
      if (!service.removed) outbox_.log(events::drain_begun(service, eviction));
      add(service, std::move(eviction));
      registry_.mark_dirty(service);
    }
  }
  outbox_.drains_changed = true;
}

} // namespace hanat
