// The gateway's cuts: flows of an old target depart, and leave conntrack stage by stage, one job at a time on the worker.
// Not here: which flows depart (wanted), telling clients (gateway_nudge), how entries are found and deleted (nat/cut).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// TCP entries stay this long after the flip, so that the guard can answer their clients' next packets with an exact reset.
constexpr auto streams_after = 1s;
constexpr auto sweep_after = 1s;
constexpr unsigned sweeps_at_most = 30;
constexpr auto retry_after = 5s; // of a cut that the kernel refused

} // namespace

/// The flows of `others` are no longer among the mappings.
void Gateway::take_out(std::vector<Mapping>& mappings, std::span<const Mapping> others) {
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

/// No two of `moved` overlap, not even after a range of ports was given other borders.
void Gateway::note_moved(RunningService& service, const nat::Rules& rules, const Vip& vip, Time until) {
  if (rules.known.contains(vip)) {
    service.moved_until[vip] = until;
    return;
  }
  std::vector<Vip> ours;
  for_overlapping(rules.known, vip, [&](const auto& entry) { ours.push_back(entry.first); });
  const std::vector<Vip> rest = without(vip, ours);
  ours.insert(ours.end(), rest.begin(), rest.end());
  for (const Vip& moved : ours) {
    std::vector<Vip> other;
    for_overlapping(service.moved_until, moved, [&](const auto& entry) {
      if (entry.first != moved) other.push_back(entry.first);
    });
    for (const Vip& gone : other) service.moved_until.erase(gone);
    service.moved_until[moved] = until;
  }
}

/// Mappings that are targets again leave their departures; new departures begin.
void Gateway::note_departures(Change& change, bool flipped, Time now) {
  RunningService& service = *change.service;
  leave_departures(service, change.wanted, now);
  for (const auto& [vip, comment] : change.wanted.rules.moved) service.moved_until.try_emplace(vip, now + moved_for);
  for (Departure& departure : change.wanted.departures) {
    for (const Mapping& mapping : departure.mappings)
      if (!departure.untranslated && !departure.drain) note_moved(service, change.wanted.rules, mapping.vip, now + moved_for);
    departure.id = ++next_departure_;
    if (!departure.drain_end) departure.flip = flipped && !departure.untranslated ? service.flips : 0;
    if (departure.drain) begin_drain(service, departure, now);
    if (departure.drain_end && service.last_flip && departure.flip == service.last_flip->number) service.last_flip->cutting = true;
    service.flip_has_a_rest = true;
    service.departures.push_back(std::move(departure));
  }
  if (!service.departures.empty()) departing_.insert(&service);
}

/// Mappings that are targets again, and those whose drain is over.
void Gateway::leave_departures(RunningService& service, const Wanted& wanted, Time now) {
  if (service.departures.empty()) return;
  std::vector<Mapping> leaving = wanted.returning;
  leaving.insert(leaving.end(), wanted.ending.begin(), wanted.ending.end());
  if (leaving.empty()) return;
  for (Departure& old : service.departures) {
    if (old.drain) tell_of_drain(service, old, wanted, now);
    const std::vector<Mapping> before = old.mappings;
    take_out(old.mappings, leaving);
    if (old.mappings != before && old.drain) old.drain->left.reset(), old.drain->most = 0, old.due = now; // the rest is counted anew
  }
  std::erase_if(service.departures, [](const Departure& departure) { return departure.mappings.empty() && !departure.in_job; });
}

/// What a departure needs next, most urgent first.
enum class Gateway::Need : std::uint8_t { datagrams, clients, streams, count };
Gateway::Need Gateway::need_of(const Departure& departure) {
  if (departure.drain) return departure.drain->told ? Need::count : Need::clients;
  switch (departure.stage) {
  case CutStage::datagrams: return departure.untranslated ? Need::streams : Need::datagrams; // nobody's flows go all at once
  case CutStage::clients: return Need::clients;
  case CutStage::streams:
  case CutStage::sweep: return Need::streams;
  }
  return Need::streams;
}

bool Gateway::cut_is_due(Time now) const {
  return std::ranges::any_of(departing_, [now](const RunningService* service) {
    return std::ranges::any_of(service->departures,
                               [now](const Departure& departure) { return !departure.drain && !departure.in_job && departure.due <= now; });
  });
}

/// Starts the most urgent job, with everything else of its kind that is due.
void Gateway::start_cut(Time now) {
  if (cutter_.busy() && job_yields_ && cut_is_due(now)) cutter_.cancel(); // cut_done() settles again
  if (cutter_.busy() || (cut_retry_ && *cut_retry_ > now)) return;
  cut_retry_.reset();
  for (const Need need : {Need::datagrams, Need::clients, Need::streams, Need::count}) {
    CutJob job{.cut = {},
               .streams = need == Need::datagrams ? nat::Streams::datagrams : nat::Streams::all,
               .release = {},
               .nudge = {},
               .count = {},
               .ledger = {}};
    for (RunningService* service : departing_)
      for (Departure& departure : service->departures) {
        if (departure.due > now || need_of(departure) != need) continue;
        departure.in_job = true;
        job_.push_back({service, departure.id});
        if (need == Need::clients) {
          add_clients(job, *service, departure);
          continue;
        }
        auto& list = need == Need::count ? job.count : job.cut;
        list.insert(list.end(), departure.mappings.begin(), departure.mappings.end());
      }
    if (need == Need::clients) add_held(job);
    if (job_.empty() && job.nudge.empty()) continue;
    job_yields_ = need == Need::count;
    cutter_.start(std::move(job));
    return;
  }
  start_reconcile(now);
}

void Gateway::cut_done(const CutResult& result) {
  const Time now = Clock::now();
  if (!result.failure.empty()) {
    if (!job_yields_) cut_retry_ = now + retry_after;
    tell(Level::warning, fmt::format("{} conntrack entries failed: {}; trying again in {} s", job_yields_ ? "counting" : "cutting",
                                     result.failure, retry_after.count()));
  }
  if (std::exchange(reconciling_, false)) reconciled(result, now);
  for (const JobPart& part : std::exchange(job_, {})) {
    const auto found = std::ranges::find(part.service->departures, part.departure, &Departure::id);
    touch(*part.service);
    if (found == part.service->departures.end()) continue;
    found->in_job = false;
    count_told(*part.service, *found, result);
    nat::CutCount count;
    for (const Mapping& mapping : found->mappings)
      if (const auto deleted = result.deleted.find(mapping); deleted != result.deleted.end())
        count.add(mapping.vip.protocol, deleted->second);
    advance(*part.service, *found, count, result, now);
  }
  settle_soon();
}

/// What a finished job means for a departure: the next stage, or its end.
void Gateway::advance(RunningService& service, Departure& departure, const nat::CutCount& count, const CutResult& result, Time now) {
  if (departure.drain) {
    drain_on(service, departure, result, now);
    return;
  }
  departure.cut += count;
  const bool counts = service.last_flip && departure.flip == service.last_flip->number;
  if (!departure.untranslated) service.totals.cut += count;
  if (counts) {
    service.last_flip->cut += count;
    service.last_flip->cut_time += result.took;
  }
  if (!result.failure.empty() || result.cancelled) {
    departure.due = result.cancelled ? now : now + retry_after;
    return;
  }
  bool over = departure.mappings.empty();
  switch (departure.stage) {
  case CutStage::datagrams:
    departure.stage = departure.untranslated ? CutStage::sweep : CutStage::clients;
    departure.due = now + (departure.untranslated ? sweep_after : departure.tell_after);
    break;
  case CutStage::clients:
    departure.stage = CutStage::streams;
    departure.due = now + streams_after;
    break;
  case CutStage::streams:
    departure.stage = CutStage::sweep;
    departure.due = now + sweep_after;
    break;
  case CutStage::sweep:
    departure.due = now + sweep_after;
    over |= count.total() == 0 || ++departure.sweeps >= sweeps_at_most;
    break;
  }
  if (!over) return;
  const Departure gone = departure;
  end_departure(service, gone.id);
  if (counts || gone.drain_end) events_.push_back(words::cut(service, gone)); // with the flip as it is now
}

/// The departure is destroyed by this.
void Gateway::end_departure(RunningService& service, std::uint64_t id) {
  std::erase_if(service.departures, [id](const Departure& other) { return other.id == id; });
  if (!service.last_flip) return;
  service.last_flip->cutting = std::ranges::any_of(
      service.departures, [&](const Departure& other) { return !other.drain && other.flip == service.last_flip->number; });
}

} // namespace hanat
