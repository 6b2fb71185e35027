// Copies, a stage, and what was seen on it.
#include "daemon/failover/rehearsal.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "daemon/config/key_values.hpp"
#include "daemon/failover/reload.hpp"
#include "daemon/failover/reload_changes.hpp"
#include "daemon/failover/transition.hpp"
#include "daemon/report/event_text.hpp"
#include "daemon/util/duration.hpp"
#include "nat/port_range.hpp"

namespace hanat {
namespace {

// More services than this are not copied: a reload of thousands must not take twice as long.
constexpr std::size_t most_services = 1'000;

class NoProbes final : public ProbeScheduler {
public:
  probes::ProbeId add(const probes::Probe& probe, probes::Rate, Clock::duration) override {
    const probes::ProbeId id{--last_};
    probes_.emplace(id, probe);
    return id;
  }
  const probes::Probe& probe(probes::ProbeId id) const override { return probes_.at(id); }
  void remove(probes::ProbeId) override {}
  void set_rate(probes::ProbeId, probes::Rate) override {}
  void trigger(probes::ProbeId) override {}

private:
  std::map<probes::ProbeId, probes::Probe> probes_;
  std::uint64_t last_ = UINT64_MAX; // the scheduler's own count from the other end
};

class NoPaths final : public PathMonitor {
public:
  void add(const probes::Path&) override {}
  void remove(const probes::Path&) override {}
  std::optional<probes::ProbeResult> unreachable(const probes::Path&) override { return std::nullopt; }
  bool is_cut_off() override { return false; }
};

class NoFlows final : public FlowWorker {
public:
  bool busy() const override { return false; }
  void start(CutJob) override {}
  void cancel() override {}
};

/// The services that a reload concerns: changed ones, those that take over an endpoint, and the groups of both.
class Selection {
public:
  Selection(const ServiceRegistry& registry, const std::vector<ServicePlan>& changes, const Config& next) {
    for (const ServicePlan& change : changes)
      if (change.change != "added") names_.insert(change.service);
    std::map<Vip, bool> held;
    for (const auto& service : registry.services())
      if (service->removed || names_.contains(service->config.name))
        for (const auto& [vip, comment] : service->loaded.vips) held.emplace(vip, true);
    for (const ServicePlan& change : changes)
      if (change.change == "added") add_if_concerned(change.service, held, next);
    add_groups(registry, next);
  }
  bool contains(const ServiceState& service) const { return service.removed || names_.contains(service.config.name); }
  bool contains(const ServiceConfig& config) const { return names_.contains(config.name); }
  std::size_t size() const { return names_.size(); }

private:
  void add_if_concerned(const std::string& name, const std::map<Vip, bool>& held, const Config& next) {
    const auto config = std::ranges::find(next.services, name, &ServiceConfig::name);
    bool takes_over = !config->group.empty();
    for (const Vip& vip : config->listen) for_overlapping(held, vip, [&](const auto&) { takes_over = true; });
    if (takes_over) names_.insert(name);
  }
  void add_groups(const ServiceRegistry& registry, const Config& next) {
    std::set<std::string> groups;
    for (const auto& service : registry.services())
      if (names_.contains(service->config.name)) groups.insert(service->config.group);
    for (const ServiceConfig& config : next.services)
      if (names_.contains(config.name)) groups.insert(config.group);
    groups.erase("");
    if (groups.empty()) return;
    for (const auto& service : registry.services())
      if (groups.contains(service->config.group)) names_.insert(service->config.name);
    for (const ServiceConfig& config : next.services)
      if (groups.contains(config.group)) names_.insert(config.name);
  }

  std::set<std::string> names_;
};

std::string action_of(const Eviction& eviction, Time now) {
  if (!eviction.drain) return "reset";
  if (!eviction.drain->until) return "keep";
  return "drain " + duration_text(std::chrono::round<std::chrono::seconds>(*eviction.drain->until - now));
}

/// The HealthMonitor of the stage has counted none.
void forget_inconclusive(std::vector<ProbeState>& probes) {
  for (ProbeState& probe : probes)
    if (probe.last && probe.last->outcome == probes::Outcome::inconclusive) probe.last.reset();
}

/// The services on a stage of their own.
class Stage {
public:
  void copy(const ServiceState& original) {
    ServiceState& service = original.removed ? registry_.tombstone(original.config.name) : registry_.add(original.config.name);
    service = original;
    service.dirty = service.changing = service.followup_due = false;
    service.timer.reset();
    for (Eviction& eviction : service.evictions) eviction.in_job = false; // a move that waits for a job comes some milliseconds later
    for (ServerState& server : service.servers) {
      forget_inconclusive(server.probes);
      if (server.new_probes) forget_inconclusive(server.new_probes->probes);
    }
    if (!original.removed) registry_.list(service);
  }

  void run(const Config& config, ReloadPlan& plan, Time now) {
    for (const auto& [name, members] : registry_.regroup())
      for (ServiceState* member : members) registry_.mark_dirty(*member);
    reload_.apply(config, now);
    for (const auto& service : registry_.services())
      if (!service->removed && !service->current && !service->loaded.dnat.empty() && !service->shadow)
        plan.warnings.push_back(fmt::format("{}: its target {} is no server of it any more: the first of its servers that is up takes over",
                                            service->config.name, to_text(service->loaded.dnat.begin()->second.server)));
    for (Change& change : decide_dirty(registry_, evictions_, outbox_, now)) note(change, plan, now);
    for (std::string& warning : reload_warnings(outbox_.events)) plan.warnings.push_back(std::move(warning));
  }

private:
  /// Of the flip that was recorded last.
  std::optional<MovePlan> last_move() const {
    const auto address_of = [](const auto& server) { return server ? to_text(server->address) : std::string{}; };
    for (auto event = outbox_.events.rbegin(); event != outbox_.events.rend(); ++event)
      if (const auto* flip = std::get_if<events::Flipped>(&event->what))
        return MovePlan{.from = flip->flip.from,
                        .to = flip->flip.to,
                        .why = std::string{to_text(flip->reason)},
                        .from_address = address_of(flip->from),
                        .to_address = address_of(flip->to)};
    return std::nullopt;
  }

  void note(Change& change, ReloadPlan& plan, Time now) {
    ServiceState& service = *change.service;
    std::vector<FlowsPlan> flows;
    for (const Eviction& eviction : change.plan.evictions)
      if (!eviction.untranslated && !eviction.drain_end && !eviction.mappings.empty())
        flows.push_back(
            {.flows = eviction.comment, .server = to_text(eviction.mappings.front().server), .action = action_of(eviction, now)});
    std::ranges::sort(flows, {}, [](const FlowsPlan& one) { return std::tie(one.flows, one.server, one.action); });
    flows.erase(std::ranges::unique(flows).begin(), flows.end());
    std::optional<MovePlan> move;
    if (!service.shadow && record_target(change, outbox_)) move = last_move();
    if (!move && flows.empty()) return;
    auto found = std::ranges::find(plan.changes, service.config.name, &ServicePlan::service);
    if (found == plan.changes.end()) {
      plan.changes.push_back({.service = service.config.name, .change = "moved"});
      found = plan.changes.end() - 1;
    }
    if (move) found->move = std::move(move);
    found->flows.insert(found->flows.end(), flows.begin(), flows.end());
  }

  Outbox outbox_;
  NoProbes probes_;
  NoPaths paths_;
  NoFlows flows_;
  ServiceRegistry registry_;
  HealthMonitor health_{probes_, paths_, [] { return false; }, registry_, outbox_, [](ServiceState&) {}};
  Evictions evictions_{flows_, registry_, outbox_};
  ConntrackAudit audit_{evictions_, registry_, outbox_, [] { return true; }};
  Reload reload_{registry_, health_, evictions_, audit_, outbox_};
};

/// What a reload does to something that an operator set.
struct IsWarning {
  bool operator()(const auto&) const { return false; }
  bool operator()(const events::OverrideDropped&) const { return true; }
  bool operator()(const events::OverrideLost&) const { return true; }
  bool operator()(const events::OverrideWaits&) const { return true; }
  bool operator()(const events::OverrideShared&) const { return true; }
  bool operator()(const events::OverrideVoid&) const { return true; }
  bool operator()(const events::OverrideMoved&) const { return true; }
  bool operator()(const events::MaintenanceMoved&) const { return true; }
  bool operator()(const events::MaintenanceLost&) const { return true; }
  bool operator()(const events::ServerDisabled&) const { return true; } // with its group
  bool operator()(const events::FormerServes&) const { return true; }
  bool operator()(const events::FormerKept&) const { return true; }
};

/// Until its new probes have passed a server has the verdict of the old ones, or none.
void warn_of_probes(ReloadPlan& plan) {
  for (const ServicePlan& change : plan.changes) {
    if (change.change != "changed" || change.probes.started == 0) continue;
    const bool one = change.probes.started == 1;
    plan.warnings.push_back(
        fmt::format("{}: {} probe{} begin{} anew: {}", change.service, change.probes.started, one ? "" : "s", one ? "s" : "",
                    change.held.empty() ? std::string{"the servers are unknown until they have answered"}
                                        : fmt::format("until each has passed the old ones decide for {}", fmt::join(change.held, ", "))));
  }
}

} // namespace

std::vector<std::string> reload_warnings(std::span<const Event> events) {
  std::vector<std::string> warnings;
  for (const Event& event : events)
    if (std::visit(IsWarning{}, event.what))
      warnings.push_back(event.service.empty() ? text_of(event) : fmt::format("{}: {}", event.service, text_of(event)));
  return warnings;
}

ReloadPlan rehearse(const ServiceRegistry& registry, const Config& settings, const Config& next, Time now) {
  ReloadPlan plan{.services = next.services.size(), .changes = service_changes(registry, next), .settings = {}, .warnings = {}};
  for (KeyDifference& one : differences(settings, settings_of(next)))
    plan.settings.push_back({.key = std::move(one.key), .before = std::move(one.before), .after = std::move(one.after)});
  warn_of_probes(plan);
  const Selection selection{registry, plan.changes, next};
  if (selection.size() > most_services) plan.moves_unknown = true;
  if (selection.size() == 0 || plan.moves_unknown) return plan;
  Stage stage;
  for (const auto& service : registry.services())
    if (selection.contains(*service)) stage.copy(*service);
  Config config = settings_of(next);
  std::ranges::copy_if(next.services, std::back_inserter(config.services),
                       [&](const ServiceConfig& one) { return selection.contains(one); });
  stage.run(config, plan, now);
  return plan;
}

} // namespace hanat
