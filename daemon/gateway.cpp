// settle(): from what is known to what is so.
#include "daemon/gateway.hpp"

#include <algorithm>
#include <ctime>
#include <tuple>

#include "daemon/words.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// Somebody who fights for our table gets an answer at most this often.
constexpr auto resync_pause = 100ms;
// Whether a change came that nobody reported: a lost multicast message heals itself.
constexpr auto resync_period = 60s;

std::chrono::seconds local_day_time() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm local{};
  localtime_r(&now, &local);
  return std::chrono::hours{local.tm_hour} + std::chrono::minutes{local.tm_min} + std::chrono::seconds{local.tm_sec};
}

} // namespace

/// One server that many services stand on dies for all of them in one transaction.
void Gateway::settle_if_due() {
  if (settle_due_) settle(Clock::now());
}

void Gateway::settle(Time now) {
  if (stopped_) return;
  settle_due_ = false;
  ring_alarms(now);
  const bool may_try = !committer_.busy() && (!kernel_retry_ || *kernel_retry_ <= now);
  if (resync_ && may_try && now >= last_resync_ + resync_pause) resync(now);
  std::vector<RunningService*> settled;
  // After a refusal what is loaded must be read first; a mere comparison holds up no flip.
  if (may_try && !(resync_ && kernel_state_ == KernelState::failed)) {
    commit(decide(now), now);
    settled = std::exchange(dirty_, {});
    for (RunningService* service : settled) finish(*service, now);
  }
  for (RunningService* service : dirty_) set_pace(*service); // what waits for the kernel is asked on
  beat(now);
  follow_conntrack();
  start_cut(now);
  bury(settled);
  if (settle_due_) { // the rest of a flip
    settle(now);
    return;
  }
  arm_timer(now);
  publish();
}

void Gateway::ring_alarms(Time now) {
  while (!alarms_.empty() && alarms_.begin()->first <= now) {
    RunningService* service = alarms_.begin()->second;
    alarms_.erase(alarms_.begin());
    service->alarm.reset();
    touch(*service);
  }
  if (committer_.busy()) return; // the rest needs the kernel
  if (kernel_retry_ && *kernel_retry_ <= now)
    for (const auto& service : services_) touch(*service); // whatever was refused is decided again
  if (now >= last_resync_ + resync_period) look_for_missed_commits(now);
}

std::vector<Gateway::Change> Gateway::decide(Time now) {
  std::vector<Change> changes;
  complete_groups();
  for (RunningService* service : dirty_)
    if (const auto fate = fate_of(service); fate.front() == service) decide(fate, now, changes);
  return changes;
}

/// One service, or the services of a group: one decision, and all of its changes or none.
void Gateway::decide(std::span<RunningService* const> fate, Time now, std::vector<Change>& changes) {
  look_at(fate, now);
  const RunningService& first = *fate.front();
  Decision decision{Place::none, 0, Why::none_fit, Why::none_fit, std::nullopt};
  if (!first.removed) {
    const auto servers = candidates(first);
    std::vector<Standing> standings;
    for (const RunningService* service : fate) standings.push_back(standing(*service));
    decision = choose_together({.servers = servers,
                                .current = {},
                                .refused = {},
                                .forced = first.force ? std::optional{first.force->server} : std::nullopt,
                                .override_ended = first.override_ended,
                                .failback = first.config.failback,
                                .on_none = first.config.on_none,
                                .day_time = first.config.failback.window ? local_day_time() : 0s},
                               standings, now);
  }
  const std::size_t number = changes.size();
  bool waits = false;
  for (RunningService* service : fate) {
    Wanted next = service->would ? frozen(*service, now) : wanted(*service, decision, now);
    waits |= held_back(*service, next);
    changes.push_back({.fate = number, .service = service, .decision = decision, .wanted = std::move(next)});
  }
  if (waits) changes.erase(changes.begin() + static_cast<std::ptrdiff_t>(number), changes.end());
}

/// Brings what is known of the services up to now. What one of a group learns may change what another makes of its answers: the second
/// round sees that.
void Gateway::look_at(std::span<RunningService* const> fate, Time now) {
  const bool expired = std::ranges::any_of(
      fate, [now](const RunningService* service) { return service->force && service->force->until && *service->force->until <= now; });
  for (RunningService* service : fate)
    if (expired) expire_force(*service);
  for (int round = 0; round < (fate.size() > 1 ? 2 : 1); ++round) {
    share(fate);
    for (RunningService* service : fate) assess(*service, now);
  }
  share(fate);
  for (RunningService* service : fate) {
    for (RunningServer& server : service->servers)
      if (server.health != std::exchange(server.told, server.health)) events_.push_back(words::health(*service, server, now));
    std::erase_if(service->moved_until, [now](const auto& entry) { return entry.second <= now; });
  }
}

void Gateway::expire_force(RunningService& service) {
  if (!service.force) return;
  service.force.reset();
  service.override_ended = true;
  overrides_changed_ = true;
  events_.push_back(words::override_ended(service, true));
}

/// A server becomes target again while the cut of its own old flows still runs: its new flows would be cut with them. Only this flip waits.
bool Gateway::held_back(const RunningService& service, const Wanted& wanted) {
  if (wanted.returning.empty() || service.departures.empty()) return false;
  const FlowSet returning{wanted.returning};
  const bool waits = std::ranges::any_of(service.departures, [&](const Departure& departure) {
    return departure.in_job && !departure.drain &&
           std::ranges::any_of(departure.mappings, [&](const Mapping& mapping) { return returning.meeting(mapping) != nullptr; });
  });
  if (waits) cutter_.cancel(); // cut_done() settles again
  return waits;
}

void Gateway::applied(Change& change, Time now) {
  RunningService& service = *change.service;
  if (service.would) return observed(change, now);
  const Decision& decision = change.decision;
  const bool was_decided = service.current || service.refused || !service.loaded.target.empty();
  const bool new_place = !service.removed && decision.place != Place::undecided &&
                         (decision.place == Place::none ? !service.refused : service.current != std::optional{decision.server});
  const bool flipped = was_decided && (new_place || change.wanted.moves);
  if (flipped)
    record_flip(service, change);
  else if (new_place)
    events_.push_back(words::first_target(service, decision));
  note_departures(change, flipped, now);
  service.loaded = std::move(change.wanted.rules);
  if (!service.loaded.hold.empty() && !next_beat_) next_beat_ = now;
  if (decision.place != Place::undecided) {
    service.current = decision.place == Place::server ? std::optional{decision.server} : std::nullopt;
    service.refused = decision.place == Place::none && !service.removed;
  }
  if (new_place || service.since == WallTime{}) service.since = wall_now();
  service.why = decision.why;
  service.failback_at = decision.failback_at;
  if (!service.removed) forget_override(service);
}

/// The way back to the best server that an ended override asks for ends when nothing better is still to be heard of.
void Gateway::forget_override(RunningService& service) {
  const bool better_unknown = std::ranges::any_of(std::span{service.servers}.first(standing(service).current.value_or(0)),
                                                  [](const RunningServer& server) { return candidate(server).health == Health::unknown; });
  if (!better_unknown) service.override_ended = false;
}

void Gateway::record_flip(RunningService& service, const Change& change) {
  const Decision& decision = change.decision;
  const bool cuts = std::ranges::any_of(change.wanted.departures, [](const Departure& departure) {
    return !departure.untranslated && !departure.drain && !departure.drain_end;
  });
  service.last_flip = Flip{.number = ++service.flips,
                           .at = wall_now(),
                           .from = target_name(service),
                           .to = decision.place == Place::server ? service.servers[decision.server].role : "none",
                           .why = decision.flip_why,
                           .commit = change.took,
                           .cut = {},
                           .cut_time = {},
                           .cutting = cuts};
  ++service.totals.flips[decision.flip_why];
  events_.push_back(words::flip(service, decision, *service.last_flip));
}

void Gateway::set_pace(RunningService& service) {
  for (RunningServer& server : service.servers)
    for (RunningQuestion& question : server.questions) {
      const probes::Pace pace = pace_of(service.config, question);
      if (pace == question.pace) continue;
      question.pace = pace;
      engine_.pace(question.id, pace);
    }
}

/// The service is settled: its questions get their pace, its next moment is noted.
void Gateway::finish(RunningService& service, Time now) {
  service.dirty = false;
  set_pace(service);
  if (std::exchange(service.flip_has_a_rest, false)) {
    touch(service);
    settle_soon();
  }
  const auto alarm = next_alarm(service, now);
  if (alarm == service.alarm) return;
  if (service.alarm) alarms_.erase({*service.alarm, &service});
  if (alarm) alarms_.emplace(*alarm, &service);
  service.alarm = alarm;
}

/// Of the services just settled: those whose flows are gone, and with them removed ones of which nothing is left in the kernel.
void Gateway::bury(const std::vector<RunningService*>& settled) {
  for (RunningService* service : settled) {
    const bool waits = !service->departures.empty() || (service->removed && (!service->loaded.empty() || service->dirty));
    if (waits || departing_.erase(service) == 0 || !service->removed) continue;
    if (service->alarm) alarms_.erase({*service->alarm, service});
    held_for_nothing_.erase(service);
    std::erase_if(services_, [service](const auto& other) { return other.get() == service; });
  }
}

void Gateway::arm_timer(Time now) {
  Time next = last_resync_ + (resync_ ? Clock::duration{resync_pause} : Clock::duration{resync_period});
  if (kernel_retry_) next = std::max(*kernel_retry_, resync_ ? last_resync_ + resync_pause : now); // nothing can be done before
  if (committer_.busy()) next = now + resync_period;                                               // its end comes first
  if (!alarms_.empty()) next = std::min(next, alarms_.begin()->first);
  if (cut_retry_) next = std::min(next, *cut_retry_);
  if (next_beat_ && !committer_.busy()) next = std::min(next, *next_beat_);
  if (!cutter_.busy() && !committer_.busy()) next = std::min(next, std::max(next_reconcile_, cut_retry_.value_or(next_reconcile_)));
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(std::max<Clock::duration>(next - now, 1ms));
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<Gateway*>(timer->data)->settle_soon(); }, static_cast<std::uint64_t>(wait.count()),
      0);
}

void Gateway::publish() {
  for (const Event& event : std::exchange(events_, {})) publish_(event);
  const bool drains = std::exchange(drains_changed_, false);
  const bool overrides = std::exchange(overrides_changed_, false);
  if ((drains || overrides) && on_state_changed) on_state_changed(overrides ? Urgency::now : Urgency::soon);
}

void Gateway::touch(RunningService& service) {
  if (std::exchange(service.dirty, true)) return;
  dirty_.push_back(&service);
}

void Gateway::tell(Level level, std::string text) { events_.push_back({.level = level, .service = {}, .text = std::move(text)}); }

void Gateway::answered(probes::QuestionId id, const probes::Answer& heard) {
  const auto asked = by_question_.find(id);
  if (asked == by_question_.end()) return;
  const Time now = Clock::now();
  RunningService& service = *asked->second.service;
  RunningServer& server = service.servers[asked->second.server];
  RunningQuestion& question = server.questions[asked->second.question];
  const probes::Answer answer = believed(heard, question.question->spec.kind, now);
  const auto known = [&] { return std::tuple{server.health, question.window.urgent(), question.window.stable_at()}; };
  const auto before = known();
  const bool alarmed = server.health == Health::up && question.window.urgent();
  question.window.record(answer.outcome, now);
  note_blindness(question.last && question.last->outcome == probes::Outcome::blind, answer);
  question.last = answer;
  if (answer.outcome == probes::Outcome::abnormal) question.last_abnormal = answer.reason;
  question.last_at = now;
  assess(service, now);
  if (alarmed && server.health == Health::up && !question.window.urgent() && service.current == asked->second.server) false_alarm(service);
  if (known() == before) return; // in peace ten thousand answers a second change nothing
  touch(service);
  settle_soon();
}

} // namespace hanat
