// decide(): the whole policy of hanat on one page.
#include "daemon/decision/decision.hpp"

#include <algorithm>

namespace hanat {
namespace {

using namespace std::chrono_literals;

Decision at(std::size_t server, Reason reason, Reason flip_reason, bool planned = false) {
  return {TargetKind::server, server, reason, flip_reason, std::nullopt, planned};
}
Decision nowhere() { return {TargetKind::none, 0, Reason::no_server_up, Reason::no_server_up, std::nullopt}; }

std::optional<std::size_t> first_of(std::span<const Candidate> servers, Health health, Health (*view)(const Candidate&) = usable) {
  const auto found = std::ranges::find(servers, health, view);
  if (found == servers.end()) return std::nullopt;
  return static_cast<std::size_t>(found - servers.begin());
}
std::optional<std::size_t> first_up(std::span<const Candidate> servers) { return first_of(servers, Health::up, certain); }

bool is_penalised(const Candidate& server, Time now) {
  return server.penalty > Clock::duration::zero() && now - server.up_since < server.penalty;
}

/// The first server that is up; one that keeps losing the traffic only where no other is.
std::optional<std::size_t> best_up(std::span<const Candidate> servers, Time now) {
  for (std::size_t server = 0; server < servers.size(); ++server)
    if (certain(servers[server]) == Health::up && !is_penalised(servers[server], now)) return server;
  return first_up(servers);
}

/// The target is lost: one that was up before a restart is better than none.
std::optional<std::size_t> best_replacement(std::span<const Candidate> servers, Time now) {
  const auto best = best_up(servers, now);
  return best ? best : first_of(servers, Health::up);
}

/// Why a server that is up or unknown has the traffic.
Reason reason_for(std::span<const Candidate> servers, std::size_t server) {
  if (server == 0) return Reason::primary_up;
  const auto before = servers.first(server);
  if (first_of(before, Health::full)) return Reason::full;
  return std::ranges::all_of(before, &Candidate::disabled) ? Reason::disabled : Reason::failover;
}
Decision taken_by(std::span<const Candidate> servers, std::size_t server) {
  const Reason reason = reason_for(servers, server);
  return at(server, reason, reason);
}

/// No server is up. One that is full turns most clients away itself, but each that it has done with makes room for another.
Decision last_resort(std::span<const Candidate> servers) {
  const auto full = first_of(servers, Health::full);
  return full ? at(*full, Reason::full_kept, Reason::full_kept) : nowhere();
}

bool within(const DayWindow& window, std::chrono::seconds day_time) {
  if (window.from <= window.to) return window.from <= day_time && day_time < window.to;
  return window.from <= day_time || day_time < window.to;
}

/// When a server that has been up since `up_since` may take its traffic back.
Time failback_time(const Failback& failback, Time up_since, Clock::duration penalty, std::chrono::seconds day_time, Time now) {
  const Time ripe = std::max(up_since + std::max(failback.after, penalty), now);
  if (!failback.window) return ripe;
  const auto then = (day_time + std::chrono::duration_cast<std::chrono::seconds>(ripe - now)) % 24h;
  if (within(*failback.window, then)) return ripe;
  return ripe + (failback.window->from - then + 24h) % 24h;
}

/// When the first preferred server that is recovering will have its traffic back, if all goes well.
std::optional<Time> expected_failback(const DecisionInput& input, std::size_t current, Time now) {
  std::optional<Time> first;
  if (!input.failback.automatic) return first;
  for (const Candidate& server : input.servers.first(current)) {
    if (!server.up_at || server.disabled) continue;
    const Time when = failback_time(input.failback, std::max(*server.up_at, now), server.penalty, input.day_time, now);
    first = first ? std::min(*first, when) : when;
  }
  return first;
}

/// Nothing has the traffic and nothing was decided: the first server in order that is up, once all before it are known.
Decision start(std::span<const Candidate> servers) {
  for (std::size_t server = 0; server < servers.size(); ++server) switch (certain(servers[server])) {
    case Health::up: return taken_by(servers, server);
    case Health::unknown: return {};
    case Health::full:
    case Health::down: break;
    }
  return last_resort(servers);
}

Reason reason_to_stay(const DecisionInput& input, std::size_t current) {
  switch (input.servers[current].health) {
  case Health::unknown: return Reason::adopted;
  case Health::full: return Reason::full_kept;
  case Health::up:
  case Health::down: break;
  }
  return reason_for(input.servers, current);
}

/// When the first of these servers may take the traffic back; one that keeps losing it may wait longer than one behind it.
std::optional<Time> next_failback(const DecisionInput& input, std::span<const Candidate> servers, Time now) {
  std::optional<Time> first;
  for (const Candidate& server : servers) {
    if (usable(server) != Health::up) continue;
    const Time when = failback_time(input.failback, server.up_since, server.penalty, input.day_time, now);
    first = first ? std::min(*first, when) : when;
  }
  return first;
}

/// The current server is not down: it keeps the traffic, unless a preferred one may have it back, or it is full and one behind it is up. A
/// preferred one may be out of date: also when the current server is full it gets the traffic only when failback allows it. But one that
/// keeps losing the traffic is better than one that is full.
Decision stay_or_move(const DecisionInput& input, std::size_t current, Time now) {
  const bool full = input.servers[current].health == Health::full;
  Decision stay = at(current, reason_to_stay(input, current), Reason::starting);
  const auto before = input.servers.first(current);
  if (const auto preferred = input.override_ended || full ? first_up(before) : best_up(before, now)) {
    const bool by_reload = input.servers[*preferred].placed && !input.override_ended;
    const Decision back = at(*preferred, reason_for(input.servers, *preferred),
                             full        ? Reason::full
                             : by_reload ? Reason::configuration
                                         : Reason::failback,
                             input.override_ended || input.servers[*preferred].planned);
    if (input.override_ended) return back;
    if (input.failback.automatic) {
      const Candidate& server = input.servers[*preferred];
      const Clock::duration penalty = full ? Clock::duration::zero() : server.penalty;
      const Time when = failback_time(input.failback, server.up_since, penalty, input.day_time, now);
      if (when <= now) return back;
      stay.failback_at = full ? when : next_failback(input, before.first(*preferred + 1), now);
    }
  } else {
    stay.failback_at = expected_failback(input, current, now);
  }
  if (!full) return stay;
  const auto behind = best_up(input.servers.subspan(current), now);
  return behind ? at(current + *behind, reason_for(input.servers, current + *behind), Reason::full) : stay;
}

/// Whether the target is one of before a reload that still works: nothing breaks before another server has the traffic.
bool former_serves(const DecisionInput& input) {
  if (!input.current || (input.forced && !input.forced_waits)) return false;
  const Candidate& target = input.servers[*input.current];
  return target.former && !target.disabled && target.health != Health::down;
}

/// To the server that the traffic would begin at if nothing had it, as soon as that is up: one planned move, whatever failback says.
Decision leave_former(const DecisionInput& input) {
  const std::size_t current = input.current.value_or(0); // it has one
  const Decision stay = at(current, Reason::configuration, Reason::starting);
  if (const auto& forced = input.forced)
    return input.servers[*forced].health == Health::up ? at(*forced, Reason::forced, Reason::configuration, true) : stay;
  Decision next = start(input.servers.first(current));
  if (next.kind != TargetKind::server || input.servers[next.server].health != Health::up) return stay;
  next.flip_reason = Reason::configuration;
  next.planned = true;
  return next;
}

} // namespace

std::string_view to_text(Reason reason) {
  switch (reason) {
  case Reason::starting: return "starting";
  case Reason::adopted: return "adopted";
  case Reason::primary_up: return "primary-up";
  case Reason::failover: return "failover";
  case Reason::full: return "full";
  case Reason::full_kept: return "full-kept";
  case Reason::outage_doubted: return "outage-doubted";
  case Reason::recovered: return "recovered";
  case Reason::failback: return "failback";
  case Reason::forced: return "forced";
  case Reason::drill: return "drill";
  case Reason::disabled: return "disabled";
  case Reason::configuration: return "configuration";
  case Reason::followed: return "followed";
  case Reason::observe: return "observe";
  case Reason::no_server_up: return "no-server-up";
  case Reason::no_server_up_kept: return "no-server-up-kept";
  }
  return "?";
}

Decision decide(const DecisionInput& input, Time now) {
  if (input.followed) return at(*input.followed, Reason::followed, Reason::followed, true);
  if (former_serves(input)) return leave_former(input);
  const Reason pinned = input.drill ? Reason::drill : Reason::forced;
  if (input.forced) return at(*input.forced, pinned, pinned, true);
  const auto best = best_up(input.servers, now);
  if (!input.current) {
    if (!input.refused) return start(input.servers);
    const bool better_may_come = best && !std::ranges::all_of(input.servers.first(*best), &Candidate::disabled);
    if (input.wait_for_first && better_may_come) return nowhere();
    return best ? at(*best, reason_for(input.servers, *best), Reason::recovered) : last_resort(input.servers);
  }
  const Candidate& target = input.servers[*input.current];
  if (usable(target) != Health::down) return stay_or_move(input, *input.current, now);
  if (input.keep_target && !target.disabled) return at(*input.current, Reason::outage_doubted, Reason::outage_doubted);
  const bool planned = target.health != Health::down; // it was disabled
  const Reason left = planned ? Reason::disabled : Reason::failover;
  if (const auto next = best_replacement(input.servers, now)) return at(*next, reason_for(input.servers, *next), left, planned);
  if (const auto full = first_of(input.servers, Health::full)) return at(*full, Reason::full_kept, left, planned);
  const auto is_unknown = [](const Candidate& server) { return usable(server) == Health::unknown; };
  if (planned && std::ranges::any_of(input.servers, is_unknown)) return at(*input.current, Reason::adopted, Reason::adopted);
  if (input.on_none == OnNone::keep && !target.disabled) return at(*input.current, Reason::no_server_up_kept, Reason::no_server_up_kept);
  return nowhere();
}

} // namespace hanat
