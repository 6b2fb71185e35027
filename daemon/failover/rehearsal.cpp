// Copies, a stage, and what was seen on it.
#include "daemon/failover/rehearsal.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "daemon/config/key_values.hpp"
#include "daemon/failover/reload.hpp"
#include "daemon/failover/reload_changes.hpp"
#include "daemon/failover/transition.hpp"
#include "daemon/report/event_text.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/util/duration.hpp"

namespace hanat {
namespace {

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
  explicit Stage(FlowOwner owner) { evictions_.set_silent(owner == FlowOwner::active_gateway); }

  void copy(const ServiceState& original) {
    ServiceState& service = original.removed ? registry_.tombstone(original.config->name) : registry_.add(original.config->name);
    service = original;
    if (original.shadow) observed_.insert(original.config->name);
    service.dirty = service.due.answer = service.due.followup = false;
    service.due.timer.reset();
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
                                            service->config->name, to_text(service->loaded.dnat.begin()->second.server)));
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

  static TakeOverPlan take_over_of(const ServiceState& service) {
    const bool waits = !service.current && !service.refused; // for an answer of its servers, or of those of its group
    TakeOverPlan plan{
        .target = target_name(service), .address = {}, .why = std::string{to_text(waits ? Reason::starting : service.reason)}};
    if (service.current) plan.address = to_text(service.servers[*service.current].addresses.front());
    return plan;
  }

  void note(Change& change, ReloadPlan& plan, Time now) {
    ServiceState& service = *change.service;
    std::vector<FlowsPlan> flows;
    for (const Eviction& eviction : change.plan.evictions)
      if (!eviction.untranslated && !eviction.drain_end && !eviction.mappings.empty() && !evictions_.is_silent())
        flows.push_back(
            {.flows = eviction.comment, .server = to_text(eviction.mappings.front().server), .action = action_of(eviction, now)});
    std::ranges::sort(flows, {}, [](const FlowsPlan& one) { return std::tie(one.flows, one.server, one.action); });
    flows.erase(std::ranges::unique(flows).begin(), flows.end());
    std::optional<MovePlan> move;
    std::optional<TakeOverPlan> take_over;
    const Placement before = placement(service);
    if (!service.shadow) {
      if (record_target(change, outbox_)) move = last_move();
      const bool first = before == Placement{} && placement(service) != before;
      if (!move && !service.removed && (first || observed_.contains(service.config->name))) take_over = take_over_of(service);
    }
    if (!move && !take_over && flows.empty()) return;
    auto found = std::ranges::find(plan.changes, service.config->name, &ServicePlan::service);
    if (found == plan.changes.end()) {
      plan.changes.push_back({.service = service.config->name, .change = "moved"});
      found = plan.changes.end() - 1;
    }
    if (move) found->move = std::move(move);
    if (take_over) found->take_over = std::move(take_over);
    found->flows.insert(found->flows.end(), flows.begin(), flows.end());
  }

  std::set<std::string> observed_; // before the reload
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

/// What a reload does to something that an operator set, and what is wrong with the configuration.
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
  bool operator()(const events::MasqueradeInPair&) const { return true; }
  bool operator()(const events::Message& message) const { return message.level == Level::warning; }
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

Rehearsal::Rehearsal(const ServiceRegistry& registry, const Config& settings, std::shared_ptr<const Config> next, std::size_t slice,
                     FlowOwner owner)
    : registry_(registry), next_(std::move(next)), slice_size_(slice), owner_(owner), configs_(configs_by_name(*next_)) {
  order_.reserve(registry.services().size());
  for (const auto& service : registry.services()) {
    if (service->removed) continue;
    order_.emplace(service.get(), order_.size());
    if (!configs_.contains(service->config->name)) removed_.push_back(service->config->name);
  }
  plan_.services = next_->services.size();
  plan_.warnings = reload_warnings(events::pair_warnings(*next_));
  if (owner == FlowOwner::active_gateway)
    plan_.warnings.emplace_back(
        "this gateway is the standby: its reload moves no client and ends no connection; plan it on the active gateway, too");
  for (KeyDifference& one : differences(settings, settings_of(*next_)))
    plan_.settings.push_back({.key = std::move(one.key), .before = std::move(one.before), .after = std::move(one.after)});
}

bool Rehearsal::step(Time now) {
  if (compared_ < removed_.size() + next_->services.size()) {
    compare_some();
  } else if (!sliced_) {
    sliced_ = true;
    warn_of_probes(plan_);
    slices_ = reload_slices(registry_, plan_.changes, *next_, slice_size_);
    for (std::size_t index = 0; index < plan_.changes.size(); ++index) places_.emplace(plan_.changes[index].service, index);
  } else if (rehearsed_ < slices_.size()) {
    rehearse_slice(slices_[rehearsed_++], now);
  }
  return !sliced_ || rehearsed_ < slices_.size();
}

/// Whether the service that is most likely the same has this very configuration: services keep their order where nothing comes or goes.
bool Rehearsal::stays(const Shared<ServiceConfig>& next) {
  const Services& services = registry_.services();
  for (const std::size_t place : {next_place_, next_place_ + 1})
    if (place < services.size() && !services[place]->removed && services[place]->config.is_same(next)) {
      next_place_ = place + 1;
      return true;
    }
  return false;
}

void Rehearsal::compare_some() {
  for (std::size_t count = 0; count < slice_size_ && compared_ < removed_.size() + next_->services.size(); ++count, ++compared_) {
    if (compared_ < removed_.size()) {
      if (const ServiceState* service = registry_.find(removed_[compared_])) plan_.changes.push_back(service_removal(*service));
    } else {
      const Shared<ServiceConfig>& next = next_->services[compared_ - removed_.size()];
      if (stays(next)) continue;
      if (auto change = service_change(registry_.find(next->name), next)) plan_.changes.push_back(std::move(*change));
    }
  }
}

void Rehearsal::rehearse_slice(const ReloadSlice& slice, Time now) {
  if (slice.fresh) return;
  Stage stage{owner_};
  Config config = settings_of(*next_);
  std::map<std::size_t, const ServiceState*> known;
  for (const auto* names : {&slice.changed, &slice.unchanged})
    for (const std::string& name : *names) {
      if (const ServiceState* service = registry_.find(name)) known.emplace(order_.emplace(service, order_.size()).first->second, service);
      if (const auto found = configs_.find(name); found != configs_.end()) config.services.push_back(*found->second);
    }
  for (const auto& [place, service] : known) stage.copy(*service);
  if (!slice.gone.empty())
    for (const auto& service : registry_.services())
      if (service->removed && std::ranges::find(slice.gone, service->config->name) != slice.gone.end()) stage.copy(*service);
  ReloadPlan part; // of these services alone
  for (const std::string& name : slice.changed) part.changes.push_back(std::move(plan_.changes[places_.at(name)]));
  stage.run(config, part, now);
  for (std::size_t index = 0; index < part.changes.size(); ++index) {
    if (index < slice.changed.size())
      plan_.changes[places_.at(slice.changed[index])] = std::move(part.changes[index]);
    else
      plan_.changes.push_back(std::move(part.changes[index])); // moved, by the change of another one
  }
  std::ranges::move(part.warnings, std::back_inserter(plan_.warnings));
}

ReloadPlan rehearse(const ServiceRegistry& registry, const Config& settings, const Config& next, Time now, std::size_t slice,
                    FlowOwner owner) {
  Rehearsal rehearsal{registry, settings, std::make_shared<const Config>(next), slice, owner};
  while (rehearsal.step(now)) continue;
  return rehearsal.plan();
}

} // namespace hanat
