// One function a phase.
#include "daemon/decision/outage_doubt.hpp"

#include <algorithm>
#include <utility>

#include "daemon/decision/reason_policy.hpp"

namespace hanat {
namespace {

class Assessment {
public:
  Assessment(const OutageDoubt& before, const OutageInput& input, Time now) : before_(before), input_(input), now_(now) {}

  OutageDoubt run() const {
    if (input_.pinned || input_.none_after <= Clock::duration::zero()) return {};
    switch (before_.phase) {
    case OutagePhase::none: return from_none();
    case OutagePhase::doubted: return from_doubted();
    case OutagePhase::settling: return from_settling();
    case OutagePhase::confirmed: return from_confirmed();
    case OutagePhase::returning: return from_returning();
    }
    return {};
  }

private:
  const ServerInOutage& target() const { return input_.servers[input_.current.value_or(0)]; }
  bool target_is_down() const { return input_.current && target().health == Health::down; }
  /// Its machine answers, and its service does not do what it should: it is dead for certain.
  bool target_is_dead() const { return !target().way.is_silent() && target().way.answers_badly; }
  Time fell_silent() const { return target().way.fell_silent.value_or(now_); }
  static bool works(const ServerInOutage& server) { return server.health == Health::up || server.health == Health::full; }

  template <typename Predicate> bool any_other(Predicate predicate) const {
    for (std::size_t index = 0; index < input_.servers.size(); ++index)
      if (index != input_.current && predicate(input_.servers[index])) return true;
    return false;
  }
  /// A server beside the target has answered since the target fell silent; or its path is known to be there, where that of the target is
  /// known to be lost.
  bool another_answers() const {
    return any_other([&](const ServerInOutage& other) {
      return has_answered_since(other.way, fell_silent()) || (target().way.no_path && works(other) && !other.way.is_silent());
    });
  }
  bool witness_answers() const { return input_.witness && has_answered_since(*input_.witness, fell_silent()); }
  /// One that was silent before says nothing.
  bool witness_fell_silent() const {
    return input_.witness && input_.witness->is_silent() && input_.witness->heard_at &&
           *input_.witness->heard_at > fell_silent() - input_.window;
  }
  /// It missed an answer while the target did, whether it answers now or not.
  bool was_silent_too(const WayToServer& way) const {
    const bool not_for_long = !way.is_silent() || way.silent_since > fell_silent() - input_.window;
    return way.last_silence && *way.last_silence > fell_silent() - input_.settle_time && not_for_long;
  }
  /// Others were silent with the target, and none that works was not: it was the way to all of them.
  bool is_common() const {
    if (any_other([&](const ServerInOutage& other) { return works(other) && !was_silent_too(other.way); })) return false;
    return any_other([&](const ServerInOutage& other) { return was_silent_too(other.way); });
  }
  bool nobody_works() const { return std::ranges::none_of(input_.servers, works); }
  static bool passes(const ServerInOutage& server) { return server.way.heard_at && !server.way.is_silent() && !server.way.answers_badly; }
  bool anyone_passes() const { return std::ranges::any_of(input_.servers, passes); }

  OutageDoubt from_none() const {
    if (!target_is_down() || target_is_dead() || !target().way.fell_silent) return no_doubt();
    if (target().way.is_silent() && !another_answers() && !witness_answers()) return watch(enter(OutagePhase::doubted));
    // Somebody answers again, perhaps the target itself: it may have gone down by the last of what it missed.
    const bool just_now = target().way.last_silence > now_ - input_.window && before_.settled != target().way.fell_silent;
    const bool answered = !target().way.is_silent() || another_answers() || (input_.witness && was_silent_too(*input_.witness));
    const bool its_moment = (answered && is_common()) || (!target().way.is_silent() && nobody_works());
    return just_now && its_moment ? give_moment(OutagePhase::settling) : no_doubt();
  }
  /// The target has had its moment all the same.
  OutageDoubt no_doubt() const {
    OutageDoubt none;
    if (input_.current) none.settled = before_.settled;
    return none;
  }
  /// The doubt as it stands now.
  OutageDoubt watch(OutageDoubt doubt) const {
    doubt.witness_silent = witness_fell_silent();
    doubt.common = doubt.common || doubt.witness_silent || is_common();
    const Time over = doubt.since + input_.none_after;
    doubt.refuses_new = nobody_works() && (target().way.no_path || (doubt.witness_silent && now_ >= over));
    doubt.until = doubt.witness_silent && now_ >= over ? std::nullopt : std::optional{over};
    return doubt;
  }

  /// A phase that begins now.
  OutageDoubt enter(OutagePhase phase, std::optional<Time> until = {}) const {
    OutageDoubt next{.phase = phase, .since = now_, .began = before_.phase == OutagePhase::none ? now_ : before_.began, .until = until};
    next.settled = before_.settled;
    return next;
  }
  OutageDoubt give_moment(OutagePhase phase) const {
    OutageDoubt settling = enter(phase, now_ + input_.settle_time);
    if (input_.current) settling.settled = target().way.fell_silent;
    return settling;
  }

  OutageDoubt from_doubted() const {
    if (!target_is_down() || target_is_dead()) return no_doubt();
    if (another_answers() && !before_.common) return no_doubt(); // it alone was silent
    if (!target().way.is_silent() || another_answers()) return give_moment(OutagePhase::settling);
    OutageDoubt doubt = before_;
    if (witness_answers() && !witness_fell_silent()) {
      if (!doubt.witness_silent && !doubt.witness_back) return no_doubt(); // our way works
      if (doubt.witness_silent) doubt.since = now_;
      doubt.witness_back = true;
    }
    doubt = watch(doubt);
    if (!doubt.witness_silent && now_ >= doubt.since + input_.none_after) return enter(OutagePhase::confirmed);
    return doubt;
  }

  OutageDoubt from_settling() const {
    if (!target_is_down() || target_is_dead()) return no_doubt();
    if (now_ < before_.until.value_or(now_)) return before_;
    const OutageDoubt next = from_none();
    // One that answers now and then prolongs nothing.
    const bool is_over = now_ >= before_.began + input_.none_after && !next.witness_silent;
    return next.keeps_target() && is_over ? enter(OutagePhase::confirmed) : next;
  }

  OutageDoubt from_confirmed() const {
    if (input_.current && !target_is_down()) return {};
    if (!input_.current && !input_.refused) return {};
    if (!anyone_passes()) return before_;
    if (input_.current) return give_moment(OutagePhase::settling);
    return better_may_return() ? give_moment(OutagePhase::returning) : OutageDoubt{};
  }

  OutageDoubt from_returning() const {
    if (input_.current || !input_.refused || now_ >= before_.until.value_or(now_)) return {};
    return better_may_return() ? before_ : OutageDoubt{};
  }
  /// A server before the first that is up passes already, or fell silent with the others: it may be up in a moment.
  bool better_may_return() const {
    for (const ServerInOutage& server : input_.servers) {
      if (works(server)) return false;
      const bool fell_silent_too = server.way.silent_since > before_.began - input_.window;
      if (fell_silent_too || passes(server)) return true;
    }
    return false;
  }

  const OutageDoubt& before_;
  const OutageInput& input_;
  Time now_;
};

} // namespace

void WayToServer::record(const probes::ProbeResult& result, Time now) {
  if (result.outcome == probes::Outcome::inconclusive) return;
  const Contact contact = policy_of(result.reason).contact;
  if (result.handshake) { // the machine answered when it was asked, and then its service did not
    const Time asked = now - result.latency;
    if (std::max(heard_at, silent_since) > asked) return; // of that more is known by now
    heard_at = asked;
    silent_since.reset();
    no_path = false;
    answers_badly = true;
    return;
  }
  if (!may_be_ours(contact)) {
    silent_since.reset();
    heard_at = now;
    no_path = false;
    answers_badly = result.outcome == probes::Outcome::fail;
    return;
  }
  // Its answer should have come about the middle of the time that it was waited for: what else answered later shows that the way works.
  const Time missed = now - result.latency / 2;
  last_silence = std::max(last_silence, std::optional{missed});
  if (!fell_silent) fell_silent = missed;
  if (heard_at && *heard_at >= missed) return; // it has answered since
  if (!silent_since) silent_since = fell_silent = missed;
  no_path = contact == Contact::no_path;
  answers_badly = false;
}

WayToServer merge_ways(const WayToServer& one, const WayToServer& other) {
  WayToServer both;
  both.heard_at = std::max(one.heard_at, other.heard_at); // nullopt is less than any
  if (one.silent_since && other.silent_since)
    both.silent_since = std::min(*one.silent_since, *other.silent_since);
  else
    both.silent_since = one.silent_since ? one.silent_since : other.silent_since;
  if (both.silent_since && both.heard_at > both.silent_since) both.silent_since.reset();
  both.fell_silent = both.silent_since ? both.silent_since : std::max(one.fell_silent, other.fell_silent);
  both.last_silence = std::max(one.last_silence, other.last_silence);
  both.no_path = both.silent_since && (!one.silent_since || one.no_path) && (!other.silent_since || other.no_path);
  both.answers_badly = !both.silent_since && (one.answers_badly || other.answers_badly);
  return both;
}

void SilenceCheck::update(const WayToServer& way, std::span<const WayToServer> others, Clock::duration none_after, Time now) {
  if (way.silent_since != silence) *this = {.silence = way.silent_since};
  if (!silence || is_its_own) return;
  for (const WayToServer& other : others)
    if (!another_answered && has_answered_since(other, *silence)) another_answered = other.heard_at;
  is_its_own = (another_answered && way.last_silence > another_answered) || now - *silence >= none_after;
}

bool has_answered_since(const WayToServer& way, Time moment) { return way.heard_at && *way.heard_at > moment; }

OutageDoubt assess_outage(const OutageDoubt& before, const OutageInput& input, Time now) { return Assessment{before, input, now}.run(); }

} // namespace hanat
