// sync(): from what is known to what is loaded, and the order of every transition.
#include "daemon/failover/controller.hpp"

#include <algorithm>
#include <utility>

#include "daemon/failover/flapping.hpp"
#include "daemon/failover/former.hpp"
#include "daemon/failover/maintenance.hpp"
#include "daemon/failover/observe_mode.hpp"
#include "daemon/failover/overrides.hpp"
#include "daemon/failover/transition.hpp"
#include "daemon/report/make_event.hpp"
#include "probes/io/conntrack_usage.hpp"
#include "probes/io/socket.hpp"

namespace hanat {
namespace {

constexpr std::size_t told_early_at_most = 32; // events: their text takes less time than a transaction may

void publish_events(Outbox& outbox, const Controller::Publish& publish) {
  for (Event& event : std::exchange(outbox.events, {})) publish.event(std::move(event));
}

/// Followers hear of what has happened before the loop waits for the kernel, unless telling them takes as long.
void tell_early(Outbox& outbox, const Controller::Publish& publish) {
  if (outbox.events.size() > told_early_at_most) return;
  publish_events(outbox, publish);
  if (publish.send_now) publish.send_now();
}

void publish_all(Outbox& outbox, const Controller::Publish& publish) {
  publish_events(outbox, publish);
  if (!outbox.health_changed.empty() && publish.health_changed) publish.health_changed(std::exchange(outbox.health_changed, {}));
  const bool drains = std::exchange(outbox.drains_changed, false);
  const bool overrides = std::exchange(outbox.overrides_changed, false);
  if ((drains || overrides) && publish.state_changed)
    publish.state_changed(overrides ? Controller::Urgency::now : Controller::Urgency::soon);
}

/// What the kernel says of a client concerns its flow, or whether it is served, or calls for a probe.
void dispatch(const probes::KernelEvent& event, ClientEvidence& clients, Evictions& evictions, HealthMonitor& health, Time now) {
  clients.on_kernel_event(event, now);
  if (event.kind == probes::KernelEventKind::answered) return;
  if (event.kind == probes::KernelEventKind::reconnect)
    evictions.on_reconnect(event.vip.value(), event.client.value());
  else if (!event.repeated)
    health.on_kernel_event(event, now);
}

} // namespace

/// Once a turn of the loop. It recomputes from state, so a step that failed or was lost is simply tried again. One server that many
/// services stand on dies for all of them in one transaction.
void Controller::sync(Time now, const Pace& pace) {
  if (stopped_) return;
  outbox_.sync_due = false;
  registry_.run_due(now);
  role.configure(reload_.settings().pair, now);
  role.run(now);

  // 1. Flip: one transaction for every service that changes; applied() follows.
  std::vector<ServiceState*> decided;
  const bool ready = table_.prepare(now);
  for (ServiceState* service : registry_.waiting.hold_back()) health_.update_rates(*service);
  if (ready) {
    registry_.waiting.release(now < outbox_.doubt.until ? 0 : pace.patient);
    std::vector<Change> changes = decide_dirty(registry_, evictions_, outbox_, now);
    const bool moves = std::ranges::any_of(changes, moves_traffic);
    table_.apply(std::move(changes), now, moves ? pace.wait : Clock::duration::zero());
    decided = registry_.take_dirty();
    for (ServiceState* service : decided) {
      health_.update_rates(*service);
      outbox_.health_changed.insert(service->config->name);
      if (std::exchange(service->due.followup, false)) { // what only the time after a flip needs comes right behind it
        registry_.mark_dirty(*service);
        outbox_.sync_due = true;
      }
      registry_.set_timer(*service, now);
    }
  }
  for (ServiceState* service : registry_.dirty()) health_.update_rates(*service); // what waits for the kernel is probed on
  upkeep.offload.run(now);
  upkeep.servers.update(now);
  table_.maintain(health_.is_conntrack_full(), reload_.settings().probe_ports);
  probes::use_probe_ports(reload_.settings().probe_ports);
  upkeep.heartbeat.run(now);
  clients.run(now);

  // 2. Flows of old targets: cut non-TCP, notify clients, cut TCP, sweep.
  evictions_.run(now);
  audit_.run(now);

  if (!decided.empty() && publish_.server_reached) publish_.server_reached(reaches_a_server(registry_.services()));
  for (ServiceState* service : decided) registry_.reap(*service);
  if (outbox_.sync_due) return sync(now, {.wait = pace.wait, .patient = 0}); // more of them in the next turn
  wake_up(now);
  publish_all(outbox_, publish_);
}

/// The table holds the change: what follows from it.
void Controller::applied(Change& change, Time now) {
  ServiceState& service = *change.service;
  const Placement before = placement(service);
  const bool flipped = !service.shadow && record_target(change, outbox_);
  upkeep.servers.on_applied(change);
  clients.on_applied(change, now);
  evictions_.start(change, flipped, now);
  service.loaded = std::move(change.plan.rules);
  upkeep.heartbeat.on_applied(service, now);
  if (service.shadow) apply_to_shadow(service, change.decision, outbox_);
  note_move(service, before, change.decision, outbox_, now);
  if (drop_former(service, health_, registry_)) upkeep.servers.on_config_changed();
}

Controller::Controller(uv_loop_t* loop, nat::NftTable table, nat::HeartbeatSocket heartbeat, nat::Cutter cutter,
                       std::optional<ClientNotifier> notifier, Publish publish)
    : publish_(std::move(publish)),
      kernel_(loop, std::move(table), std::move(heartbeat), std::move(cutter), std::move(notifier), callbacks()),
      table_(kernel_.table(), kernel_.commits(), registry_, outbox_, [this](Change& change, Time now) { applied(change, now); }),
      evictions_(kernel_.flows(), registry_, outbox_), health_(kernel_.probes(), kernel_.paths(), probes::conntrack_is_full, registry_,
                                                               outbox_, [this](ServiceState& service) { evictions_.notify_held(service); }),
      audit_(evictions_, registry_, outbox_, [this] { return table_.state() == TableSync::State::in_sync; }),
      reload_(registry_, health_, evictions_, audit_, outbox_) {}

Controller::~Controller() {
  stopped_ = true;                             // what still comes while its parts end is not acted on
  if (table_.busy()) kernel_.commits().join(); // it works on what ends first
}

/// Events from outside change what is known; sync() follows before the loop waits again, once for all that came together.
KernelCallbacks Controller::callbacks() {
  const auto unless_stopped = [this](auto act) {
    return [this, act](const auto&... arguments) {
      if (!stopped_) act(arguments...);
    };
  };
  return {.turn =
              [this] {
                if (outbox_.sync_due) sync(Clock::now());
                // A slice of a reload comes behind everything else, and the loop does not wait for its transaction.
                if (!stopped_ && reloads_.run(table_.busy())) sync(Clock::now(), {.wait = Clock::duration::zero()});
              },
          .timer_due = [this] { outbox_.sync_due = true; },
          .commit_made = unless_stopped([this] { table_.on_commit(); }),
          .commit_ended = unless_stopped([this] { join_commits(false); }),
          .job_done = unless_stopped([this](const CutResult& result) { evictions_.on_job_done(result, Clock::now()); }),
          .probe_result = unless_stopped(
              [this](probes::ProbeId id, const probes::ProbeResult& result) { health_.on_probe_result(id, result, Clock::now()); }),
          .precheck = [this](const probes::Probe& probe) { return stopped_ ? std::nullopt : health_.precheck(probe); },
          .event =
              unless_stopped([this](const probes::KernelEvent& event) { dispatch(event, clients, evictions_, health_, Clock::now()); }),
          .address_changed = unless_stopped([this] { role.on_addresses(Clock::now()); })};
}

void Controller::start(const Config& config, const State& saved, const EarlierRun& earlier) {
  const Time now = Clock::now();
  nat::Loaded found = table_.start(now, config.probe_ports);
  role.start(config.pair, found, now);
  reload_.start(config, std::move(found.state), saved, earlier, now);
  upkeep.servers.on_start(found.endpoints, now);
  upkeep.offload.on_config_changed();
  clients.configure(config.path_check);
  if (const auto& failure = kernel_.nflog_failure()) outbox_.log(events::clients_not_heard(*failure));
  sync(now);
  if (table_.busy()) join_commits(true); // ready means that the table stands: at a boot the network comes up behind it
}

void Controller::reload(ReloadQueue::Order order) {
  order.done = [this, path_check = order.next->path_check, done = std::move(order.done)](const Reloaded& result) {
    upkeep.servers.on_config_changed();
    upkeep.offload.on_config_changed();
    clients.configure(path_check);
    outbox_.sync_due = true;
    if (done) done(result);
  };
  reloads_.add(std::move(order));
}

void Controller::plan(std::shared_ptr<const Config> config, std::function<void(const std::shared_ptr<const ReloadPlan>&)> done) {
  reloads_.add(
      {.next = std::move(config), .plan_only = true, .done = [done = std::move(done)](const Reloaded& result) { done(result.plan); }});
}

void Controller::stop() {
  stopped_ = true;
  if (table_.busy()) join_commits(true);
  health_.stop();
  kernel_.stop();
  evictions_.cancel();
  if (reload_.settings().on_stop == OnStop::remove) kernel_.table().remove();
}

void Controller::change(ServiceState& service, std::optional<FlowPolicy> flows, const OperatorChange& make) {
  service.asked_flows = flows;
  make(service, registry_, outbox_);
  registry_.mark_dirty(service);
}

void Controller::sync_now() {
  sync(Clock::now());
  if (table_.busy()) join_commits(true);
}

State Controller::state() const {
  return {.overrides = saved_overrides(registry_.services()),
          .maintenance = saved_maintenance(registry_.services()),
          .drains = evictions_.saved_drains()};
}

/// The commit under way has ended, or is waited for; `all`: and those that follow from it.
void Controller::join_commits(bool all) {
  do {
    tell_early(outbox_, publish_);
    kernel_.commits().join();
    const Time now = Clock::now(); // after the wait, which may be seconds
    table_.finish_commit(now);
    tell_early(outbox_, publish_);
    sync(now);
  } while (all && table_.busy());
}

/// The moment at which something changes by time alone; and the kernel's messages wait while the table is being changed.
void Controller::wake_up(Time now) {
  Time next = table_.next_wakeup(now);
  for (const auto& moment : {upkeep.heartbeat.next_wakeup(), registry_.next_wakeup(), evictions_.next_wakeup(), clients.next_wakeup(),
                             reloads_.next_wakeup(), upkeep.servers.next_wakeup(now), role.next_wakeup(), upkeep.offload.next_wakeup()})
    if (moment) next = std::min(next, *moment);
  const bool waits = (!registry_.dirty().empty() || !registry_.waiting.empty()) && table_.state() == TableSync::State::in_sync;
  if (waits) next = std::min(next, std::max(now, outbox_.doubt.until)); // services that begin
  if (evictions_.is_idle(now) && table_.state() == TableSync::State::in_sync) next = std::min(next, audit_.next_wakeup());
  if (waits && outbox_.doubt.until <= now)
    kernel_.wake_next_turn();
  else
    kernel_.wake_at(next, now);
  kernel_.watch_commits(!table_.busy());
}

} // namespace hanat
