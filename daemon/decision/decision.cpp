// decide(): the whole policy of hanat on one page.
#include "daemon/decision/decision.hpp"

#include <algorithm>

namespace hanat {
namespace {

using namespace std::chrono_literals;

Decision at(std::size_t server, Reason reason, Reason flip_reason) {
  return {TargetKind::server, server, reason, flip_reason, std::nullopt};
}
Decision nowhere() { return {TargetKind::none, 0, Reason::no_server_up, Reason::no_server_up, std::nullopt}; }
Reason reason_for(std::size_t server) { return server == 0 ? Reason::primary_up : Reason::failover; }
Decision taken_by(std::size_t server) { return at(server, reason_for(server), reason_for(server)); }

std::optional<std::size_t> first_up(std::span<const Candidate> servers) {
  const auto found = std::ranges::find(servers, Health::up, &Candidate::health);
  if (found == servers.end()) return std::nullopt;
  return static_cast<std::size_t>(found - servers.begin());
}

bool within(const DayWindow& window, std::chrono::seconds day_time) {
  if (window.from <= window.to) return window.from <= day_time && day_time < window.to;
  return window.from <= day_time || day_time < window.to;
}

/// When a server that has been up since `up_since` may take its traffic back.
Time failback_time(const Failback& failback, Time up_since, std::chrono::seconds day_time, Time now) {
  const Time ripe = std::max(up_since + failback.after, now);
  if (!failback.window) return ripe;
  const auto then = (day_time + std::chrono::duration_cast<std::chrono::seconds>(ripe - now)) % 24h;
  if (within(*failback.window, then)) return ripe;
  return ripe + (failback.window->from - then + 24h) % 24h;
}

/// Nothing has the traffic and nothing was decided: the first server in order that is up, once all before it are known.
Decision start(std::span<const Candidate> servers) {
  for (std::size_t server = 0; server < servers.size(); ++server) switch (servers[server].health) {
    case Health::up: return taken_by(server);
    case Health::unknown: return {};
    case Health::down: break;
    }
  return nowhere();
}

/// The current server is not down: it keeps the traffic, unless a preferred one may have it back.
Decision stay_or_fail_back(const DecisionInput& input, std::size_t current, Time now) {
  Decision stay = at(current, input.servers[current].health == Health::unknown ? Reason::adopted : reason_for(current), Reason::starting);
  const auto preferred = first_up(input.servers.first(current));
  if (!preferred) return stay;
  const Decision back = at(*preferred, reason_for(*preferred), Reason::failback);
  if (input.override_ended) return back;
  if (!input.failback.automatic) return stay;
  const Time when = failback_time(input.failback, input.servers[*preferred].up_since, input.day_time, now);
  if (when <= now) return back;
  stay.failback_at = when;
  return stay;
}

} // namespace

std::string_view to_text(Reason reason) {
  switch (reason) {
  case Reason::starting: return "starting";
  case Reason::adopted: return "adopted";
  case Reason::primary_up: return "primary-up";
  case Reason::failover: return "failover";
  case Reason::failback: return "failback";
  case Reason::forced: return "forced";
  case Reason::observe: return "observe";
  case Reason::no_server_up: return "no-server-up";
  case Reason::no_server_up_kept: return "no-server-up-kept";
  }
  return "?";
}

Decision decide(const DecisionInput& input, Time now) {
  if (input.forced) return at(*input.forced, Reason::forced, Reason::forced);
  const auto best = first_up(input.servers);
  if (!input.current) {
    if (!input.refused) return start(input.servers);
    return best ? taken_by(*best) : nowhere();
  }
  if (input.servers[*input.current].health != Health::down) return stay_or_fail_back(input, *input.current, now);
  if (best) return at(*best, reason_for(*best), Reason::failover);
  if (input.on_none == OnNone::keep) return at(*input.current, Reason::no_server_up_kept, Reason::no_server_up_kept);
  return nowhere();
}

} // namespace hanat
