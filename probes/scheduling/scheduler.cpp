// Equal probes share one entry, at the fastest rate of its subscribers. Every entry has a fixed grid of due times, one interval apart from
// a random first one: starts do not depend on when the last result came, so neither latency nor a busy loop makes them drift.
// Not here: how one probe runs (kinds/).
#include "probes/scheduling/scheduler.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <random>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "probes/io/probe_deadline.hpp"
#include "probes/scheduling/prober.hpp"

namespace hanat::probes {
namespace {

constexpr std::chrono::milliseconds shortest_interval{1}; // the resolution of a libuv timer
constexpr std::size_t told_at_once = 1'024;               // subscribers of one probe: some milliseconds of the loop
constexpr std::uint64_t told_apart_ms = 1;

Rate sane(Rate rate) {
  rate.interval = std::max<Clock::duration>(rate.interval, shortest_interval);
  rate.in_flight = std::max(rate.in_flight, 1U);
  return rate;
}

/// The fastest first.
struct Faster {
  bool operator()(const Rate& one, const Rate& other) const {
    return std::pair{one.interval, other.in_flight} < std::pair{other.interval, one.in_flight};
  }
};

/// Of the fields that differ most between probes.
std::size_t hash(const Probe& probe) {
  std::size_t value = std::hash<std::uint16_t>{}(probe.server.port) ^ static_cast<std::size_t>(probe.spec.kind) << 16;
  for (const std::uint8_t byte : probe.server.address.bytes()) value = value * 31 + byte;
  value = value * 31 + static_cast<std::size_t>(probe.spec.timeout.count());
  return value;
}

} // namespace

Clock::duration LatenessHistogram::quantile(double fraction) const {
  const auto wanted = static_cast<std::uint64_t>(fraction * static_cast<double>(started));
  std::uint64_t seen = 0;
  for (std::size_t index = 0; index < counts.size(); ++index)
    if (seen += counts[index]; seen > 0 && seen >= wanted) return step * static_cast<std::int64_t>(index + 1);
  return {};
}

struct Scheduler::Impl {
  using InFlight = std::list<std::unique_ptr<PendingProbe>>;

  /// One probe and its subscribers.
  struct Entry final : TimerWheel::Timer {
    Entry(Impl& of, const Probe& what) : scheduler(of), probe(what) {}
    void on_due() override { scheduler.on_due(*this); }

    Impl& scheduler;
    Probe probe;
    std::vector<ProbeId> subscribers{};          // in the order in which they came; those that have gone leave it later, many at once
    std::map<Rate, std::size_t, Faster> rates{}; // theirs, and how many have each
    std::size_t gone = 0;                        // of the subscribers
    Rate rate{};                                 // the fastest of them
    Clock::time_point due{};                     // the next start on the grid
    std::optional<Clock::time_point> started{};  // the last start
    std::optional<std::uint64_t> turn{};         // of the loop: uv_now() of the last start
    bool waiting = false;                        // due, but already `in_flight` times in flight
    bool triggered = false;                      // `due` comes from trigger()
    bool skipped_last = false;                   // the last due time passed without a start
    InFlight in_flight{};                        // they refer to `probe`

    bool full() const { return in_flight.size() >= rate.in_flight; }
    void drop_rate(const Rate& old) {
      if (const auto found = rates.find(old); --found->second == 0) rates.erase(found);
    }
  };
  /// Ten thousand services may share one probe: each costs little.
  struct Subscriber {
    Entry* entry;
    Rate rate;
  };
  /// A pass is told to many subscribers a part at a time, so that the loop does other things in between. Any other result is told at once:
  /// a server that dies, dies for all of them at the same moment.
  struct Notice {
    const Entry* entry;
    std::vector<ProbeId> subscribers;
    ProbeResult result;
    std::size_t told = 0;
  };
  struct Same {
    using is_transparent = void;
    using Ptr = std::unique_ptr<Entry>;
    std::size_t operator()(const Probe& probe) const { return hash(probe); }
    std::size_t operator()(const Ptr& entry) const { return hash(entry->probe); }
    bool operator()(const Ptr& one, const Ptr& other) const { return one->probe == other->probe; }
    bool operator()(const Probe& probe, const Ptr& entry) const { return probe == entry->probe; }
    bool operator()(const Ptr& entry, const Probe& probe) const { return probe == entry->probe; }
  };

  Impl(uv_loop_t* uv_loop, OnProbeResult callback, Precheck check)
      : loop(uv_loop), on_result(std::move(callback)), precheck(std::move(check)), random(std::random_device{}()),
        rest(make_timer(uv_loop, this)), prober(uv_loop) {}

  Clock::duration random_part(Clock::duration whole);
  void schedule(Entry& entry, Clock::time_point due);
  void on_due(Entry& entry);
  void start(Entry& entry);
  void notify(Entry& entry, const ProbeResult& result);
  void tell(Notice& notice, std::size_t at_most);
  void tell_some();
  StartResult run(const Probe& probe, OnResult on_finished);
  void finished(Entry& entry, InFlight::iterator slot, const ProbeResult& result);
  void forget_gone(Entry& entry);
  void adopt_rate(Entry& entry);
  void record_start(Clock::duration late);

  uv_loop_t* loop;
  OnProbeResult on_result;
  Precheck precheck;
  std::minstd_rand random;
  std::uint64_t last_id = 0;
  std::size_t in_flight = 0;
  LatenessHistogram lateness;
  std::deque<Notice> notices; // of which not all have been told
  Timer rest;
  Prober prober; // outlives the entries
  std::unordered_set<std::unique_ptr<Entry>, Same, Same> entries;
  std::unordered_map<ProbeId, Subscriber> subscribers;
};

Clock::duration Scheduler::Impl::random_part(Clock::duration whole) {
  if (whole <= Clock::duration::zero()) return {};
  return Clock::duration{std::uniform_int_distribution<Clock::rep>{0, whole.count()}(random)};
}

void Scheduler::Impl::schedule(Entry& entry, Clock::time_point due) {
  entry.due = due;
  entry.waiting = false;
  // A probe that started in this very turn waits for the next millisecond: with a result that is known at once, it would otherwise starve
  // the loop.
  if (due <= Clock::now() && entry.turn != uv_now(loop))
    prober.timers().start_now(entry);
  else
    prober.timers().start(entry, due);
}

void Scheduler::Impl::on_due(Entry& entry) {
  if (entry.full()) {
    entry.waiting = true; // finished() schedules it
    return;
  }
  const auto now = Clock::now();
  const auto late = now - entry.due;
  auto next = entry.due + entry.rate.interval;
  if (next <= now) { // whole intervals have passed; they are not made up for
    const auto missed = late / entry.rate.interval;
    next = entry.due + (missed + 1) * entry.rate.interval;
    lateness.skipped += static_cast<std::uint64_t>(missed);
    // After a suspension this entry waits for its next due time: otherwise all probes of all servers would start in this millisecond. Not
    // twice in a row, though: a loop that is always late must still probe.
    if (late > ProbeDeadline::tolerated && !entry.triggered && !entry.skipped_last) {
      ++lateness.skipped;
      entry.skipped_last = true;
      schedule(entry, next);
      return;
    }
  }
  entry.skipped_last = entry.triggered = false;
  entry.started = now;
  entry.turn = uv_now(loop);
  record_start(late);
  schedule(entry, next);
  start(entry);
}

void Scheduler::Impl::record_start(Clock::duration late) {
  const auto step = static_cast<std::size_t>(std::max<Clock::rep>(late / LatenessHistogram::step, 0));
  ++lateness.counts[std::min(step, lateness.counts.size() - 1)];
  ++lateness.started;
}

/// The caller touches nothing afterwards: a result that is known at once may remove the entry.
void Scheduler::Impl::start(Entry& entry) {
  const auto slot = entry.in_flight.emplace(entry.in_flight.end());
  ++in_flight;
  auto started = run(entry.probe, [&entry, slot](const ProbeResult& result) { entry.scheduler.finished(entry, slot, result); });
  if (auto* pending = std::get_if<std::unique_ptr<PendingProbe>>(&started))
    *slot = std::move(*pending);
  else
    finished(entry, slot, std::get<ProbeResult>(started));
}

StartResult Scheduler::Impl::run(const Probe& probe, OnResult on_finished) {
  if (precheck)
    if (auto result = precheck(probe)) return *std::move(result);
  return prober.start(probe, std::move(on_finished));
}

void Scheduler::Impl::finished(Entry& entry, InFlight::iterator slot, const ProbeResult& result) {
  entry.in_flight.erase(slot);
  --in_flight;
  if (entry.waiting) schedule(entry, Clock::now());
  notify(entry, result);
}

/// The caller touches nothing afterwards: the callback may remove any probe.
void Scheduler::Impl::notify(Entry& entry, const ProbeResult& result) {
  if (entry.subscribers.size() == 1) return on_result(entry.subscribers.front(), result); // then it has not gone
  Notice notice{.entry = &entry, .subscribers = entry.subscribers, .result = result};
  if (result.outcome == Outcome::pass && notice.subscribers.size() > told_at_once) {
    notices.push_back(std::move(notice));
    if (notices.size() == 1) tell_some();
    return;
  }
  for (Notice& before : notices)
    if (before.entry == &entry) tell(before, before.subscribers.size());
  tell(notice, notice.subscribers.size());
}

void Scheduler::Impl::tell(Notice& notice, std::size_t at_most) {
  for (const std::size_t end = std::min(notice.subscribers.size(), notice.told + at_most); notice.told < end;)
    if (const ProbeId id = notice.subscribers[notice.told++]; subscribers.contains(id)) on_result(id, notice.result);
}

void Scheduler::Impl::tell_some() {
  tell(notices.front(), told_at_once);
  while (!notices.empty() && notices.front().told == notices.front().subscribers.size()) notices.pop_front();
  if (notices.empty()) return;
  uv_timer_start(
      rest.get(), [](uv_timer_t* timer) { static_cast<Impl*>(timer->data)->tell_some(); }, told_apart_ms, 0);
}

void Scheduler::Impl::forget_gone(Entry& entry) {
  std::erase_if(entry.subscribers, [this](ProbeId id) { return !subscribers.contains(id); });
  entry.gone = 0;
}

void Scheduler::Impl::adopt_rate(Entry& entry) {
  if (entry.rate == entry.rates.begin()->first) return;
  entry.rate = entry.rates.begin()->first;
  const auto now = Clock::now();
  if (entry.triggered)
    schedule(entry, entry.due);
  else if (entry.started)
    schedule(entry, std::max(*entry.started + entry.rate.interval, now));
  else
    schedule(entry, std::min(entry.due, now + entry.rate.interval));
}

Scheduler::Scheduler(uv_loop_t* loop, OnProbeResult on_result, Precheck precheck)
    : impl_(std::make_unique<Impl>(loop, std::move(on_result), std::move(precheck))) {}
Scheduler::~Scheduler() = default;

ProbeId Scheduler::add(const Probe& probe, Rate rate, Clock::duration first_within) {
  const ProbeId id{++impl_->last_id};
  rate = sane(rate);
  auto found = impl_->entries.find(probe);
  const bool fresh = found == impl_->entries.end();
  if (fresh) {
    impl_->prober.add(probe);
    auto entry = std::make_unique<Impl::Entry>(*impl_, probe);
    entry->rate = rate;
    impl_->schedule(*entry, Clock::now() + impl_->random_part(std::min(rate.interval, first_within)));
    found = impl_->entries.insert(std::move(entry)).first;
  }
  Impl::Entry& entry = **found;
  entry.subscribers.push_back(id);
  ++entry.rates[rate];
  impl_->subscribers.emplace(id, Impl::Subscriber{.entry = &entry, .rate = rate});
  if (!fresh) impl_->adopt_rate(entry);
  return id;
}

const Probe& Scheduler::probe(ProbeId id) const { return impl_->subscribers.at(id).entry->probe; }

void Scheduler::remove(ProbeId id) {
  const auto found = impl_->subscribers.find(id);
  if (found == impl_->subscribers.end()) return;
  const auto [owner, rate] = found->second;
  Impl::Entry& entry = *owner;
  impl_->subscribers.erase(found);
  entry.drop_rate(rate);
  if (!entry.rates.empty()) {
    if (++entry.gone > entry.subscribers.size() / 2) impl_->forget_gone(entry);
    impl_->adopt_rate(entry);
    return;
  }
  const auto gone = impl_->entries.extract(impl_->entries.find(entry.probe)); // out of the table before it is destroyed
  impl_->in_flight -= entry.in_flight.size();
  impl_->prober.remove(entry.probe);
}

void Scheduler::rate(ProbeId id, Rate rate) {
  const auto found = impl_->subscribers.find(id);
  if (found == impl_->subscribers.end()) return;
  auto& [entry, own] = found->second;
  ++entry->rates[sane(rate)];
  entry->drop_rate(own);
  own = sane(rate);
  impl_->adopt_rate(*entry);
}

void Scheduler::trigger(ProbeId id) {
  const auto found = impl_->subscribers.find(id);
  if (found == impl_->subscribers.end()) return;
  Impl::Entry& entry = *found->second.entry;
  entry.triggered = true;
  if (!entry.waiting) impl_->schedule(entry, Clock::now());
}

std::size_t Scheduler::in_flight() const { return impl_->in_flight; }
const LatenessHistogram& Scheduler::lateness() const { return impl_->lateness; }

} // namespace hanat::probes
