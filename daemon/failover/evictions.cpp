// The order of every eviction: cut non-TCP, notify clients, cut TCP, sweep until clean; or record, and cut what was recorded.
#include "daemon/failover/evictions.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daemon/failover/drains.hpp"
#include "daemon/failover/eviction_jobs.hpp"
#include "daemon/report/make_event.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// TCP entries stay this long after the flip, so that the guard can answer their clients' next packets with an exact reset.
constexpr auto cut_tcp_after = 1s;
constexpr auto sweep_after = 1s;
constexpr unsigned most_sweeps = 30; // as long as a flowtable has an entry
// Behind the cut of TCP only a straggler can be hanat's: a packet that waited in this machine during the flip. What a third sweep still
// finds is made again each time, by a rule that hanat does not know or by the server itself; the audit says by whom.
constexpr unsigned most_sweeps_that_find = 3;
constexpr auto retry_after = 5s; // of a job that the kernel refused
// Where thousands begin, what was made before their rules is cut so often: each time the kernel looks at all entries.
constexpr Clock::duration untranslated_together = 100ms;
constexpr Clock::duration look_apart = 2us; // and, for each service that has evictions, so seldom it is looked for what is due

/// No two entries of `recent` overlap, not even after a range of ports was given other borders.
void note_recent(ServiceState& service, const nat::TableState& rules, const Vip& vip, Time until) {
  if (rules.vips.contains(vip)) {
    service.recent_until[vip] = until;
    return;
  }
  std::vector<Vip> ours;
  for_overlapping(rules.vips, vip, [&](const auto& entry) { ours.push_back(entry.first); });
  const std::vector<Vip> rest = without(vip, ours);
  ours.insert(ours.end(), rest.begin(), rest.end());
  for (const Vip& moved : ours) {
    std::vector<Vip> other;
    for_overlapping(service.recent_until, moved, [&](const auto& entry) {
      if (entry.first != moved) other.push_back(entry.first);
    });
    for (const Vip& gone : other) service.recent_until.erase(gone);
    service.recent_until[moved] = until;
  }
}

nat::CutCount count_cut(ServiceState& service, Eviction& eviction, const CutResult& result) {
  nat::CutCount count;
  eviction.busy = 0;
  for (const Mapping& mapping : eviction.mappings)
    if (const auto found = result.deleted.find(mapping); found != result.deleted.end()) {
      count.add(mapping.vip.protocol, found->second.entries);
      count.offloaded += found->second.offloaded;
      eviction.busy += found->second.busy;
    }
  eviction.cut += count;
  if (!eviction.untranslated) service.totals.cut += count;
  if (Flip* flip = find_flip(service, eviction.flip)) {
    flip->cut += count;
    flip->cut_time += result.took;
  }
  return count;
}

/// Entries of clients that were reconnecting count like those that a later stage deletes; where several evictions have a mapping, for the
/// first of them.
void count_reconnected(const ServiceRegistry& registry, const CutResult& result) {
  if (result.reconnected.empty()) return;
  CutResult deleted;
  for (const auto& [mapping, number] : result.reconnected) deleted.deleted[mapping].entries = number;
  for (ServiceState* service : registry.evicting())
    for (Eviction& eviction : service->evictions) {
      if (eviction.drain || eviction.untranslated) continue;
      count_cut(*service, eviction, deleted);
      for (const Mapping& mapping : eviction.mappings) deleted.deleted.erase(mapping);
    }
}

/// The next stage. True: that was the last one.
bool enter_next_stage(Eviction& eviction, const nat::CutCount& count, const CutResult& result, Time now) {
  switch (eviction.stage) {
  case CutStage::record: // without a complete answer the flows stay: nobody knows which of them are older
    eviction.stage = CutStage::cut_recorded;
    eviction.recorded = result.recorded;
    eviction.due = now;
    break;
  case CutStage::cut_recorded: // of an endpoint that is given up once more: until then its server brings no flow back
    eviction.due = now + sweep_after;
    ++eviction.sweeps;
    if (!eviction.given_up) return true;
    return eviction.sweeps > 1 && (eviction.busy == 0 || eviction.sweeps >= most_sweeps);
  case CutStage::cut_non_tcp:
    eviction.stage = eviction.untranslated ? CutStage::sweep : CutStage::notify_clients;
    eviction.due = now + (eviction.untranslated ? sweep_after : eviction.notify_after);
    break;
  case CutStage::notify_clients:
    eviction.stage = CutStage::cut_tcp;
    eviction.due = now + cut_tcp_after;
    break;
  case CutStage::cut_tcp:
    eviction.stage = CutStage::sweep;
    eviction.due = now + sweep_after;
    break;
  case CutStage::sweep:
    eviction.due = now + sweep_after;
    ++eviction.sweeps;
    if (count.total() > 0) ++eviction.sweeps_that_found;
    eviction.left = count.total();
    if (eviction.busy > 0) return eviction.sweeps >= most_sweeps;
    return count.total() == 0 || eviction.sweeps_that_found >= most_sweeps_that_find;
  }
  return false;
}

/// Flows that a cut does not get rid of. The audit need not cut them once more.
void note_left(ServiceState& service, const Eviction& eviction, const CutResult& result) {
  if (eviction.left == 0) return;
  for (const Mapping& mapping : eviction.mappings)
    if (const auto found = result.deleted.find(mapping); found != result.deleted.end() && found->second.entries > 0) {
      UnexpectedFlow& known = service.unexpected[mapping];
      known.was_cut = true;
      known.was_target = false;
    }
}

void erase_empty(ServiceState& service) {
  std::erase_if(service.evictions, [](const Eviction& eviction) { return eviction.mappings.empty() && !eviction.in_job; });
  if (service.evictions.empty()) service.evictions = {}; // most services have none, and each has had one
}

/// Whether evictions of the flip are unfinished; drains are not, as long as they last.
bool has_cuts_of(const ServiceState& service, std::uint64_t flip) {
  return std::ranges::any_of(service.evictions, [flip](const Eviction& eviction) { return eviction.flip == flip && !eviction.drain; });
}

/// Of flips whose evictions have all ended only the last is remembered. A cut that was undone before it began is reported, too.
void close_flips(ServiceState& service, Outbox& outbox) {
  const auto close = [&](Flip& flip) {
    if (!flip.cutting || has_cuts_of(service, flip.number)) return;
    flip.cutting = false;
    outbox.log(events::cut_cancelled(service, flip));
  };
  if (service.last_flip) close(*service.last_flip);
  for (auto& [number, flip] : service.earlier_flips) close(flip);
  erase_if(service.earlier_flips, [&](const auto& earlier) { return !has_evictions_of(service, earlier.first); });
}

} // namespace

void subtract(std::vector<Mapping>& mappings, std::span<const Mapping> others) {
  const FlowSet taken{others};
  if (std::ranges::none_of(mappings, [&](const Mapping& mapping) { return taken.meeting(mapping) != nullptr; })) return;
  std::vector<Mapping> left;
  for (const Mapping& mapping : mappings)
    if (taken.meeting(mapping) == nullptr)
      left.push_back(mapping);
    else if (is_range(mapping.vip)) // the rest of it stays
      for (const Mapping& part : without(mapping, others)) left.push_back(part);
  mappings = std::move(left);
}

void Evictions::start(Change& change, bool flipped, Time now) {
  ServiceState& service = *change.service;
  cancel_returning(service, change.plan, now);
  for (const auto& [vip, comment] : change.plan.rules.recent) service.recent_until.try_emplace(vip, now + recent_for);
  for (Eviction& eviction : change.plan.evictions) {
    for (const Mapping& mapping : eviction.mappings)
      if (!eviction.untranslated && !eviction.drain) {
        note_recent(service, change.plan.rules, mapping.vip, now + recent_for);
        service.displaced_until[mapping] = now + recent_for; // of a service that is removed: as long as it is being cut
      }
    if (!eviction.drain_end && eviction.flip == 0)
      eviction.flip = flipped && !eviction.untranslated && !eviction.given_up ? service.flips : 0;
    if (eviction.drain) begin_drain(service, eviction, outbox_, now);
    if (Flip* flip = find_flip(service, eviction.flip); flip != nullptr && !eviction.drain) flip->cutting = true;
    if (eviction.untranslated && !registry_.waiting.empty())
      eviction.due = now + untranslated_together - now.time_since_epoch() % untranslated_together;
    service.due.followup |=
        !eviction.untranslated || !service.loaded.dnat.empty() || !service.loaded.reject.empty(); // not of a first target
    add(service, std::move(eviction));
  }
  close_flips(service, outbox_); // of the flips before
}

void Evictions::add(ServiceState& service, Eviction eviction) {
  if (silent_ && !eviction.drain) return;
  if (silent_) eviction.drain->notified = true;
  const auto whole = std::ranges::find(job_.parts, eviction.id, &JobPart::eviction);
  eviction.id = ++next_id_;
  if (eviction.in_job) job_.parts.push_back({.service = &service, .eviction = eviction.id, .mappings = {}, .stage = whole->stage});
  service.evictions.push_back(std::move(eviction));
  registry_.mark_evicting(service);
}

/// Mappings that are targets again, and those whose drain is over.
void Evictions::cancel_returning(ServiceState& service, const Plan& plan, Time now) {
  if (service.evictions.empty()) return;
  std::vector<Mapping> leaving = plan.returning;
  leaving.insert(leaving.end(), plan.ending.begin(), plan.ending.end());
  if (leaving.empty()) return;
  for (Eviction& old : service.evictions) {
    std::vector<Mapping> left = old.mappings;
    subtract(left, leaving);
    if (old.drain && silent_) outbox_.drains_changed = true; // it ends, and nothing is cut
    if (old.drain && !silent_) log_drain_end(service, old, left.empty(), plan, outbox_, now);
    const std::vector<Mapping> before = std::exchange(old.mappings, std::move(left));
    if (old.mappings != before) count_anew(service, old, now);
  }
  erase_empty(service);
}

void Evictions::transfer(ServiceState& from, ServiceState& to, const Vip& vip, Time now) {
  std::vector<Eviction> parts;
  for (Eviction& eviction : from.evictions) {
    Eviction part = eviction;
    std::erase_if(part.mappings, [&](const Mapping& mapping) { return mapping.vip != vip; });
    if (part.mappings.empty()) continue;
    std::erase_if(eviction.mappings, [&](const Mapping& mapping) { return mapping.vip == vip; });
    if (eviction.given_up) continue; // no longer
    part.flip = 0;
    if (part.drain) {
      count_anew(from, eviction, now);
      part.drain = eviction.drain;
      part.due = now;
      outbox_.drains_changed = true;
    }
    parts.push_back(std::move(part));
  }
  for (Eviction& part : parts) add(to, std::move(part));
  drop_empty(from);
}

void Evictions::drop_empty(ServiceState& service) {
  erase_empty(service);
  close_flips(service, outbox_);
}

bool Evictions::delays(const ServiceState& service, const Plan& plan) {
  if (service.evictions.empty()) return false;
  const FlowSet returning{plan.returning};
  const auto matters = [&](const Mapping& mapping) {
    const auto takes = [&](const Vip& ports) { return overlap(ports, mapping.vip); }; // another service, by the same transaction
    const bool given_up = service.loaded.vips.contains(mapping.vip) && !plan.rules.vips.contains(mapping.vip) &&
                          std::ranges::none_of(service.ports_taken_over, takes);
    return given_up || returning.meeting(mapping) != nullptr;
  };
  const bool waits = std::ranges::any_of(service.evictions, [&](const Eviction& eviction) {
    return eviction.in_job && !eviction.drain && !eviction.exact && std::ranges::any_of(eviction.mappings, matters);
  });
  if (waits) worker_.cancel(); // on_job_done() marks the service
  return waits;
}

void Evictions::notify_held(ServiceState& service) {
  if (silent_ || !service.config->nudge || service.loaded.hold.empty()) return;
  clients_.falsely_held.insert(service.config->name);
  outbox_.sync_due = true;
}

void Evictions::on_reconnect(const Vip& vip, const Endpoint& client) {
  if (silent_) return;
  for (const ServiceState* service : registry_.evicting()) {
    bool moved = false, leaves = false;
    for (const Eviction& eviction : service->evictions) {
      if (eviction.untranslated) continue;
      moved = moved || !eviction.drain;
      for (const Mapping& mapping : eviction.mappings)
        if (covers(mapping.vip, vip)) {
          leaves = true;
          if (eviction.drain) continue;
          clients_.reconnecting.reconnecting[mapping].insert(client);
          if (!service->config->nudge) clients_.reconnecting.not_nudged.insert(mapping);
        }
    }
    // The server of its old entry is the target again: what the client sends next reaches it.
    if (moved && !leaves && service->config->nudge && find_covering(service->loaded.vips, vip) != service->loaded.vips.end())
      clients_.reconnecting.waiting.push_back(
          {.mapping = {.vip = vip, .server = {}}, .vip = {.address = vip.address, .port = vip.port}, .client = client});
  }
  outbox_.sync_due |= is_urgent(clients_.reconnecting);
}

void Evictions::run(Time now) {
  const bool yields = job_.need == Need::count || job_.need == Need::record; // it only reads
  if (worker_.busy() && yields && (is_urgent(clients_.reconnecting) || is_cut_due(registry_.evicting(), job_.need, now))) worker_.cancel();
  if (!is_idle(now)) return;
  const bool rests = !registry_.waiting.empty() && now < job_.looked_for + look_apart * registry_.evicting().size();
  if (rests && !is_urgent(clients_.reconnecting)) return;
  job_.looked_for = now;
  retry_at_.reset();
  std::optional<Need> first = most_urgent(registry_.evicting(), now);
  if (is_urgent(clients_.reconnecting) || !clients_.falsely_held.empty()) first = std::min(first.value_or(Need::notify), Need::notify);
  if (!first) return;
  for (const Need need :
       {Need::cut_non_tcp, Need::cut_untranslated, Need::notify, Need::cut, Need::record, Need::cut_recorded, Need::count}) {
    if (need < *first) continue;
    CutJob job = need == Need::notify ? take_reconnecting(clients_.reconnecting, registry_.evicting()) : CutJob{};
    set_scope(job, need);
    for (ServiceState* service : registry_.evicting())
      for (Eviction& eviction : service->evictions) {
        const bool due = is_due(*service, eviction, now) && need_of(eviction) == need;
        if (!due && !has_reconnecting(job, eviction)) continue;
        eviction.in_job = true;
        job_.parts.push_back({.service = service, .eviction = eviction.id, .mappings = eviction.mappings, .stage = due});
        if (due) add_flows(job, need, *service, eviction);
      }
    if (need == Need::notify)
      for (const std::string& name : std::exchange(clients_.falsely_held, {}))
        if (const ServiceState* service = registry_.find(name))
          for (const auto& [mapping, comment] : service->loaded.hold)
            if (mapping.vip.protocol == Protocol::tcp) job.nudge.insert(mapping);
    if (job_.parts.empty() && job.nudge.empty() && !is_urgent(job)) continue;
    job_.need = need;
    worker_.start(std::move(job));
    return;
  }
}

void Evictions::run_idle(CutJob job, std::function<void(const CutResult&, Time)> done) {
  job_.need = Need::count;
  job_.idle_done = std::move(done);
  worker_.start(std::move(job));
}

void Evictions::on_job_done(const CutResult& result, Time now) {
  if (!result.failure.empty() && job_.need != Need::record) { // of a record each eviction tells
    if (job_.need != Need::count) retry_at_ = now + retry_after;
    outbox_.log(events::conntrack_failed(job_.need == Need::count, result.failure, retry_after));
  }
  if (const auto done = std::exchange(job_.idle_done, {})) done(result, now);
  count_reconnected(registry_, result);
  for (ServiceState* service : std::exchange(outbox_.held, {})) registry_.mark_dirty(*service);
  for (const JobPart& part : std::exchange(job_.parts, {})) {
    const auto found = std::ranges::find(part.service->evictions, part.eviction, &Eviction::id);
    if (!silent_ && found != part.service->evictions.end() && is_apart(*part.service, *found)) {
      found->in_job = false;
      advance(*part.service, *found, result, found->mappings == part.mappings, now);
      registry_.reap(*part.service);
      registry_.set_timer(*part.service, now);
      continue;
    }
    registry_.mark_dirty(*part.service);
    if (found == part.service->evictions.end()) continue;
    found->in_job = false;
    if (silent_ && !found->drain) {
      drop_empty(*part.service);
      continue;
    }
    if (!part.stage) {
      if (found->mappings.empty()) finish(*part.service, found->id);
      continue;
    }
    count_notified(*part.service, *found, result);
    const bool same = found->mappings == part.mappings;
    if (found->drain)
      advance_drain(*part.service, *found, result, same, now);
    else
      advance(*part.service, *found, result, same, now);
  }
  outbox_.sync_due = true;
}

/// What a finished job means for an eviction: the next stage, or its end. `same`: its mappings are those that the job was given; else
/// that the job found nothing says nothing of them.
void Evictions::advance(ServiceState& service, Eviction& eviction, const CutResult& result, bool same, Time now) {
  const nat::CutCount count = count_cut(service, eviction, result);
  if (result.cancelled || (!result.failure.empty() && eviction.stage != CutStage::record)) {
    eviction.due = result.cancelled ? now : now + retry_after;
    return;
  }
  if (eviction.stage == CutStage::record && !result.recorded && !eviction.mappings.empty())
    outbox_.log(events::flows_not_recorded(service, eviction, result.failure));
  if (!same && !eviction.mappings.empty() && eviction.stage == CutStage::sweep) {
    eviction.due = now;
    return;
  }
  const bool over = enter_next_stage(eviction, count, result, now) || eviction.mappings.empty();
  if (!over) return;
  note_left(service, eviction, result);
  finish(service, eviction.id);
}

/// It is over; its flip is told with what stands now.
void Evictions::finish(ServiceState& service, std::uint64_t id) {
  const auto found = std::ranges::find(service.evictions, id, &Eviction::id);
  const Eviction gone = std::move(*found);
  service.evictions.erase(found);
  if (service.evictions.empty()) service.evictions = {};
  Flip* flip = find_flip(service, gone.flip);
  if (flip != nullptr) flip->cutting = has_cuts_of(service, gone.flip);
  if (!gone.drain && (flip != nullptr || gone.drain_end)) outbox_.log(events::flows_cut(service, gone));
  close_flips(service, outbox_);
}

} // namespace hanat
