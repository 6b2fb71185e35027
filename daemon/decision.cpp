// choose(): the whole policy of hanat on one page.
#include "daemon/decision.hpp"

#include <algorithm>

namespace hanat {
namespace {

using namespace std::chrono_literals;

Decision at(std::size_t server, Why why, Why flip_why) { return {Place::server, server, why, flip_why, std::nullopt}; }
Decision nowhere() { return {Place::none, 0, Why::none_fit, Why::none_fit, std::nullopt}; }
Why standing(std::size_t server) { return server == 0 ? Why::primary_up : Why::failover; }
Decision taken_by(std::size_t server) { return at(server, standing(server), standing(server)); }

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

/// Nothing has the traffic and nothing was decided: the first server in order that is fit, once all before it are decided.
Decision start(std::span<const Candidate> servers) {
  for (std::size_t server = 0; server < servers.size(); ++server) switch (servers[server].health) {
    case Health::up: return taken_by(server);
    case Health::unknown: return {};
    case Health::down: break;
    }
  return nowhere();
}

/// The current server is fit, or not known to be unfit: it keeps the traffic, unless a preferred one may have it back.
Decision stay_or_fail_back(const View& view, std::size_t current, Time now) {
  Decision stay = at(current, view.servers[current].health == Health::unknown ? Why::adopted : standing(current), Why::starting);
  const auto preferred = first_up(view.servers.first(current));
  if (!preferred) return stay;
  const Decision back = at(*preferred, standing(*preferred), Why::failback);
  if (view.override_ended) return back;
  if (!view.failback.automatic) return stay;
  const Time when = failback_time(view.failback, view.servers[*preferred].up_since, view.day_time, now);
  if (when <= now) return back;
  stay.failback_at = when;
  return stay;
}

} // namespace

std::string_view to_text(Why why) {
  switch (why) {
  case Why::starting: return "starting";
  case Why::adopted: return "adopted";
  case Why::primary_up: return "primary-up";
  case Why::failover: return "failover";
  case Why::failback: return "failback";
  case Why::forced: return "forced";
  case Why::observe: return "observe";
  case Why::none_fit: return "none-fit";
  case Why::none_fit_kept: return "none-fit-kept";
  }
  return "?";
}

Decision choose(const View& view, Time now) {
  if (view.forced) return at(*view.forced, Why::forced, Why::forced);
  const auto best = first_up(view.servers);
  if (!view.current) {
    if (!view.refused) return start(view.servers);
    return best ? taken_by(*best) : nowhere();
  }
  if (view.servers[*view.current].health != Health::down) return stay_or_fail_back(view, *view.current, now);
  if (best) return at(*best, standing(*best), Why::failover);
  if (view.on_none == OnNone::keep) return at(*view.current, Why::none_fit_kept, Why::none_fit_kept);
  return nowhere();
}

} // namespace hanat
