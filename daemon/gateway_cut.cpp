// The gateway's cuts: flows of an old target on their way out of conntrack, stage by stage, one job at a time on the worker.
// Not here: which flows depart (wanted), telling clients (gateway_nudge), how entries are found and deleted (nat/cut).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// TCP entries stay this long after the flip, so that the guard can answer their clients' next packets with an exact reset.
constexpr auto streams_after = 1s;
constexpr auto sweep_after = 1s;
constexpr unsigned sweeps_at_most = 30;
constexpr auto retry_after = 5s; // of a cut that the kernel refused

} // namespace

/// What a departure needs next, most urgent first.
enum class Gateway::Need : std::uint8_t { datagrams, clients, streams };
Gateway::Need Gateway::need_of(const Departure& departure) {
  switch (departure.stage) {
  case CutStage::datagrams: return departure.untranslated ? Need::streams : Need::datagrams; // nobody's flows go all at once
  case CutStage::clients: return Need::clients;
  case CutStage::streams:
  case CutStage::sweep: return Need::streams;
  }
  return Need::streams;
}

/// Starts the most urgent job, with everything else of its kind that is due.
void Gateway::start_cut(Time now) {
  if (cutter_.busy() || (cut_retry_ && *cut_retry_ > now)) return;
  cut_retry_.reset();
  for (const Need need : {Need::datagrams, Need::clients, Need::streams}) {
    CutJob job{.cut = {}, .streams = need == Need::datagrams ? nat::Streams::datagrams : nat::Streams::all, .release = {}, .nudge = {}};
    for (RunningService* service : departing_)
      for (Departure& departure : service->departures) {
        if (departure.due > now || need_of(departure) != need) continue;
        departure.in_job = true;
        job_.push_back({service, departure.id});
        if (need == Need::clients)
          add_clients(job, *service, departure);
        else
          job.cut.insert(job.cut.end(), departure.mappings.begin(), departure.mappings.end());
      }
    if (need == Need::clients) add_held(job);
    if (job_.empty() && job.nudge.empty()) continue;
    cutter_.start(std::move(job));
    return;
  }
}

void Gateway::cut_done(const CutResult& result) {
  const Time now = Clock::now();
  if (!result.failure.empty()) {
    cut_retry_ = now + retry_after;
    tell(Level::warning, fmt::format("cutting conntrack entries failed: {}; trying again in {} s", result.failure, retry_after.count()));
  }
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
    over |= departure.keep_streams;
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
  if (counts) {
    service.last_flip->cutting = false;
    events_.push_back(words::cut(service, departure, *service.last_flip));
  }
  std::erase_if(service.departures, [id = departure.id](const Departure& other) { return other.id == id; });
}

} // namespace hanat
