// The gateway's drains: flows of an old target that stay a while, or as long as they like. They are counted, end early when none is left,
// and are remembered over a restart. Not here: which flows stay and when that ends (wanted), the cut that follows (gateway_cut).
#include <algorithm>
#include <map>
#include <utility>

#include "daemon/gateway.hpp"
#include "daemon/words.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// A flow whose first packets were on their way during the flip is in conntrack by then (FACTS 6: NFQUEUE, real-time kernels).
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

bool of_streams(const Departure& departure) {
  return !departure.mappings.empty() && departure.mappings.front().vip.protocol == Protocol::tcp;
}

} // namespace

void Gateway::begin_drain(RunningService& service, Departure& departure, Time now) {
  if (departure.drain && departure.drain->until)
    departure.drain->until_wall = wall_now() + std::chrono::duration_cast<WallTime::duration>(*departure.drain->until - now);
  drains_changed_ = true;
  events_.push_back(words::drain_begun(service, departure));
}

/// A drain has been told of, or counted.
void Gateway::drain_on(RunningService& service, Departure& departure, const CutResult& result, Time now) {
  if (!departure.drain) return;
  Drain& drain = *departure.drain;
  if (departure.mappings.empty()) { // over or void meanwhile
    end_departure(service, departure.id);
    return;
  }
  if (!result.failure.empty() || result.cancelled) {
    departure.due = now + (result.cancelled ? count_after : count_retry_after);
    return;
  }
  departure.due = now;
  if (!std::exchange(drain.told, true)) return;
  const Clock::duration age = now - drain.since;
  departure.due = now + pause_between_counts(age, result.spent);
  if (!result.counted) return;
  std::uint64_t left = 0;
  for (const Mapping& mapping : departure.mappings)
    if (const auto found = result.counted->find(mapping); found != result.counted->end()) left += found->second;
  drain.left = left;
  drain.most = std::max(drain.most, left);
  if (left > 0 || age < settled_after) return;
  events_.push_back(words::drained(service, departure, now));
  service.totals.drained += drain.drained();
  if (service.last_flip && departure.flip == service.last_flip->number) service.last_flip->drained += drain.drained();
  drains_changed_ = true;
  end_departure(service, departure.id);
}

/// Some mappings of a drain are targets again, or are on their way out now.
void Gateway::tell_of_drain(RunningService& service, const Departure& departure, const Wanted& wanted, Time now) {
  if (!departure.drain || departure.mappings.empty()) return; // over already; its count is under way
  std::optional<DrainEnd> end;
  const auto leaves = [&](const Departure& next) {
    return next.drain_end && next.flip == departure.flip && next.comment == departure.comment && of_streams(next) == of_streams(departure);
  };
  if (const auto found = std::ranges::find_if(wanted.departures, leaves); found != wanted.departures.end()) end = found->drain_end;
  const FlowSet returning{wanted.returning};
  const bool returns =
      std::ranges::any_of(departure.mappings, [&](const Mapping& mapping) { return returning.meeting(mapping) != nullptr; });
  if (!end && !returns) return;
  events_.push_back(end ? words::drain_ended(service, departure, *end, now) : words::drain_void(service, departure));
  if (end) service.totals.drained += departure.drain->drained();
  if (end && service.last_flip && departure.flip == service.last_flip->number) service.last_flip->drained += departure.drain->drained();
  drains_changed_ = true;
}

std::vector<KeptDrain> Gateway::kept_drains() const {
  std::vector<KeptDrain> result;
  for (const RunningService* service : departing_)
    for (const Departure& departure : service->departures)
      if (departure.drain && !departure.mappings.empty())
        result.push_back({.service = service->config.name,
                          .comment = departure.comment,
                          .until = departure.drain->until_wall,
                          .flows = departure.mappings});
  return result;
}

/// Drains of before the restart. What the kernel holds is the truth: a server that is target has no old flows, and what is stale was
/// already on its way out.
void Gateway::restore(const std::vector<KeptDrain>& drains, Time now) {
  if (drains.empty()) return;
  std::map<Vip, RunningService*> holders;
  for (const auto& service : services_)
    for (const Vip& vip : service->config.listen) holders[vip] = service.get();
  std::set<Mapping> stale;
  for (const auto& service : services_)
    for (const auto& [mapping, comment] : service->loaded.stale) stale.insert(mapping);
  for (const KeptDrain& kept : drains) {
    Departure as_it_was{.mappings = {}, .comment = kept.comment, .drain = Drain{.until_wall = kept.until, .since = now}, .due = now};
    // The file is text: a date of another millennium must not overflow a time of the loop.
    constexpr std::chrono::hours longest{24 * 31};
    if (kept.until)
      as_it_was.drain->until = now + std::clamp<WallTime::duration>(*kept.until - wall_now(), WallTime::duration::zero(), longest);
    std::map<std::pair<RunningService*, bool>, std::vector<Mapping>> parts;
    for (const Mapping& mapping : kept.flows) {
      const auto holder = find_covering(holders, mapping.vip);
      RunningService* service = holder == holders.end() ? &gone_service(kept.service) : holder->second;
      const auto target = find_covering(service->loaded.target, mapping.vip);
      if (stale.contains(mapping) || (target != service->loaded.target.end() && target->second.server == mapping.server)) continue;
      parts[{service, mapping.vip.protocol == Protocol::tcp}].push_back(mapping);
    }
    for (auto& [part, mappings] : parts) {
      RunningService& service = *part.first;
      Departure& departure = service.departures.emplace_back(as_it_was);
      departure.id = ++next_departure_;
      departure.mappings = std::move(mappings);
      departing_.insert(&service);
      touch(service);
      if (!service.removed) events_.push_back(words::drain_begun(service, departure));
    }
  }
  drains_changed_ = true;
}

} // namespace hanat
