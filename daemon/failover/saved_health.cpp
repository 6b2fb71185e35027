// From services to values, and back with doubt.
#include "daemon/failover/saved_health.hpp"
#include "daemon/decision/verdict.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "daemon/config/key_values.hpp"
#include "daemon/decision/reconfiguration.hpp"
#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

/// The value that a word stands for; nullopt: none up to `last`.
template <typename Word> std::optional<Word> value_of(const std::string& text, Word last) {
  for (int value = 0; value <= static_cast<int>(last); ++value)
    if (to_text(static_cast<Word>(value)) == text) return static_cast<Word>(value);
  return std::nullopt;
}
std::optional<probes::Reason> reason_of(const std::string& text) { return value_of(text, probes::Reason::local_error); }

// ---- to values

SavedRun saved_run(const ResultRun& run) { return {.length = run.length, .began = run.began}; }

SavedProbe saved_probe(const ProbeState& probe) {
  const WindowCounts& counts = probe.window.counts();
  SavedProbe saved;
  saved.identity = probe_identity(*probe.probe);
  saved.health = to_text(counts.health);
  saved.fails = counts.fails;
  saved.fails_or_full = counts.fails_or_full;
  saved.passes = saved_run(counts.passes);
  saved.alive = saved_run(counts.alive);
  if (const auto& last = probe.last; last && last->outcome != probes::Outcome::inconclusive)
    saved.last = SavedResult{.outcome = std::string{to_text(last->outcome)},
                             .reason = std::string{to_text(last->reason)},
                             .detail = last->detail,
                             .latency = last->latency,
                             .at = probe.last_at};
  if (probe.last_failure) saved.last_failure = to_text(*probe.last_failure);
  return saved;
}

SavedServer saved_server(const ServerState& server) {
  SavedServer saved{.addresses = server.addresses, .up_since = {}, .planned = server.planned, .lost_at = {}, .gained_at = {}, .probes = {}};
  if (server.health == Health::up) saved.up_since = server.up_since;
  const FlapRecord& flaps = server.damping.record();
  if (flaps.level > 0) {
    saved.flap_level = flaps.level;
    saved.lost_at = flaps.lost_at;
  }
  saved.gained_at = flaps.gained_at;
  for (const ProbeState& probe : server.probes) saved.probes.push_back(saved_probe(probe));
  return saved;
}

std::string saved_target(const ServiceState& service, const Placement& where) {
  return where.current ? service.servers[*where.current].role : where.refused ? "none" : "";
}

// ---- and back

/// How old what was saved is, and how its times read on the clock of now.
class Age {
public:
  Age(const HealthStamp& stamp, const EarlierRun& earlier, Time now)
      : same_boot_(!earlier.boot.empty() && stamp.boot == earlier.boot),
        clock_went_back_(same_boot_ ? stamp.steady > now : stamp.wall > earlier.wall), stamp_(stamp.steady), now_(now) {
    if (!clock_went_back_) unwatched_ = same_boot_ ? now - stamp.steady : Clock::duration{earlier.wall - stamp.wall};
  }

  bool same_boot() const { return same_boot_; }
  bool clock_went_back() const { return clock_went_back_; }
  /// Nobody looked at the servers for so long.
  Clock::duration unwatched() const { return unwatched_; }
  bool verdicts_hold() const { return same_boot_ && !clock_went_back_ && unwatched_ <= verdicts_last; }
  Time moment(Time saved) const { return now_ - unwatched_ - std::max<Clock::duration>(stamp_ - saved, Clock::duration::zero()); }
  /// The same for what must have lasted: time in which nobody looked does not count.
  Time begin_of_run(Time saved) const { return std::min(moment(saved) + unwatched_, now_); }

private:
  bool same_boot_, clock_went_back_;
  Clock::duration unwatched_{};
  Time stamp_, now_;
};

void restore_window(ProbeState& probe, const SavedProbe& saved, const Age& age) {
  const auto health = value_of(saved.health, Health::down);
  if (!health || *health == Health::unknown) return; // a first verdict begins anew
  WindowCounts counts{.health = *health, .fails = {}, .fails_or_full = {}, .passes = {}, .alive = {}};
  for (const Time at : saved.fails) counts.fails.push_back(age.moment(at));
  for (const Time at : saved.fails_or_full) counts.fails_or_full.push_back(age.moment(at));
  counts.passes = {.length = saved.passes.length, .began = age.begin_of_run(saved.passes.began)};
  counts.alive = {.length = saved.alive.length, .began = age.begin_of_run(saved.alive.began)};
  probe.window.restore(std::move(counts));
  probe.last_failure = reason_of(saved.last_failure);
}

void restore_last(ProbeState& probe, const SavedResult& saved, const Age& age) {
  const auto outcome = value_of(saved.outcome, probes::Outcome::fail); // an inconclusive one is counted where it was received
  const auto reason = reason_of(saved.reason);
  if (!outcome || !reason) return;
  probe.last =
      probes::ProbeResult{.outcome = *outcome, .reason = *reason, .latency = saved.latency, .detail = probes::sanitized(saved.detail)};
  probe.last_at = age.moment(saved.at);
}

/// `same_target`: it is the one that is loaded. `verdicts`: they hold.
void restore_server(ServerState& server, const SavedServer& saved, const Age& age, bool same_target, bool verdicts) {
  FlapRecord flaps{.gained_at = {}, .level = saved.flap_level, .lost_at = age.moment(saved.lost_at.value_or(Time{}))};
  if (same_target && age.same_boot() && saved.gained_at) flaps.gained_at = age.moment(*saved.gained_at);
  server.damping = FlapDamping{flaps};
  server.flapping_logged = saved.flap_level > 0; // its end will be told, if it is not over by now
  server.planned = saved.planned;
  for (ProbeState& probe : server.probes) {
    const auto same = std::ranges::find(saved.probes, probe_identity(*probe.probe), &SavedProbe::identity);
    if (same != saved.probes.end()) {
      if (verdicts) restore_window(probe, *same, age);
      if (const auto& last = same->last; last && age.same_boot()) restore_last(probe, *last, age);
    }
  }
  server.health = server.last_logged = verdict_of(server.probes);
  if (server.health == Health::up) server.up_since = age.begin_of_run(saved.up_since.value_or(Time::max()));
}

/// Where hanat would have the traffic of a service that it only observes.
void restore_shadow(ServiceState& service, const std::string& shadow_target) {
  if (!service.shadow || shadow_target.empty()) return;
  const auto server = std::ranges::find(service.servers, shadow_target, &ServerState::role);
  if (server == service.servers.end() && shadow_target != "none") return;
  service.shadow->placement.current.reset();
  if (server != service.servers.end()) service.shadow->placement.current = static_cast<std::size_t>(server - service.servers.begin());
  service.shadow->placement.refused = shadow_target == "none";
  service.shadow->begun = true;
}

/// True: its verdicts go on.
bool restore_service(ServiceState& service, const SavedService& saved, const Age& age) {
  const bool has_rules = service.current || service.refused || !service.loaded.dnat.empty();
  const bool same_target = saved.target == saved_target(service, {.current = service.current, .refused = service.refused});
  if (has_rules && same_target && saved.since != WallTime{}) service.since = saved.since;
  // In doubt of an outage a target that is down keeps the traffic for a moment; it gets the same moment again.
  const bool in_doubt = saved.why == to_text(Reason::outage_doubted);
  const bool verdicts = age.verdicts_hold() && (same_target || !has_rules) && !in_doubt;
  for (ServerState& server : service.servers)
    if (const auto same = std::ranges::find(saved.servers, server.addresses, &SavedServer::addresses); same != saved.servers.end())
      restore_server(server, *same, age, has_rules && same_target, verdicts);
  if (!verdicts) return false;
  restore_shadow(service, saved.shadow_target);
  if (saved.in_outage && service.refused) service.outage.phase = OutagePhase::confirmed;
  return std::ranges::any_of(service.servers, [](const ServerState& server) { return server.health != Health::unknown; });
}

Event age_message(const Age& age, std::size_t services) {
  const double ago = std::chrono::duration<double>(age.unwatched()).count();
  if (age.clock_went_back())
    return events::message(Level::warning,
                           "this machine's clock shows a time before that of the saved verdicts: all servers are probed anew");
  if (!age.same_boot())
    return events::message(Level::info, "the machine has booted since the verdicts were saved: all servers are probed anew");
  if (!age.verdicts_hold())
    return events::message(Level::info, fmt::format("the saved verdicts are {:.0f} s old, more than {} s: all servers are probed anew", ago,
                                                    verdicts_last.count()));
  if (services == 0)
    return events::message(Level::info, "no service of before is configured any more, or none had a verdict: all servers are probed anew");
  return events::message(Level::info, fmt::format("the verdicts of {:.1f} s ago go on for {} service{}; probes confirm or refute them now",
                                                  ago, services, services == 1 ? "" : "s"));
}

} // namespace

SavedService saved_health(const ServiceState& service) {
  SavedService saved;
  saved.service = service.config->name;
  saved.target = saved_target(service, {.current = service.current, .refused = service.refused});
  saved.since = service.since;
  saved.why = to_text(service.reason);
  if (service.shadow && service.shadow->begun) saved.shadow_target = saved_target(service, service.shadow->placement);
  saved.in_outage = service.outage.phase == OutagePhase::confirmed || service.outage.phase == OutagePhase::returning;
  for (const ServerState& server : configured_servers(service)) saved.servers.push_back(saved_server(server));
  return saved;
}

std::vector<SavedDrain> unsaved_drains(const EarlierRun& earlier, const State& saved, const ServiceRegistry& registry, Time now) {
  std::vector<SavedDrain> drains;
  if (!Age{earlier.health.stamp, earlier, now}.verdicts_hold()) return drains;
  std::set<Mapping> known;
  for (const SavedDrain& drain : saved.drains) known.insert(drain.flows.begin(), drain.flows.end());
  for (const auto& [name, before] : earlier.health.services) {
    const ServiceState* const service = registry.find(name);
    if (service == nullptr || service->shadow || service->config->on_forced.action != FlowAction::drain) continue;
    const auto old = std::ranges::find(service->config->servers, before.target, &ServerConfig::role);
    if (!service->current || old == service->config->servers.end() || target_name(*service) == before.target) continue;
    SavedDrain drain{.service = name,
                     .comment = fmt::format("{} {}", name, before.target),
                     .until = earlier.wall + std::chrono::duration_cast<WallTime::duration>(service->config->on_forced.time),
                     .flows = {}};
    for (const Vip& vip : service->config->listen) // also those that the new target does not serve
      if (const auto server = endpoint_for(*old, vip); server && !known.contains({vip, *server})) drain.flows.push_back({vip, *server});
    if (!drain.flows.empty()) drains.push_back(std::move(drain));
  }
  return drains;
}

void restore_health(const EarlierRun& earlier, ServiceRegistry& registry, Outbox& outbox, Time now) {
  for (const auto& service : registry.services())
    if (const auto known = earlier.targets.find(service->config->name); known != earlier.targets.end())
      if (!service->removed && (service->current || service->refused) && target_name(*service) == known->second.target)
        service->since = known->second.since;
  if (earlier.health.stamp.boot.empty()) return;
  const Age age{earlier.health.stamp, earlier, now};
  std::size_t restored = 0;
  for (const auto& [name, saved] : earlier.health.services) {
    ServiceState* const service = registry.find(name);
    if (service == nullptr || !restore_service(*service, saved, age)) continue;
    ++restored;
    registry.mark_dirty(*service);
  }
  outbox.log(age_message(age, restored));
}

} // namespace hanat
