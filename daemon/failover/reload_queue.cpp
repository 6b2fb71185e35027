// A slice is a few steps of the plan, or the services of one transaction.
#include "daemon/failover/reload_queue.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// A failover waits at most for one slice and its transaction, which take milliseconds.
constexpr std::size_t slice_services = 32;
constexpr auto slice_time = 2ms;
constexpr Clock::duration shortest_pause = 1ms; // between two slices, for probes and whoever waits for the loop; or as long as a slice took

} // namespace

ReloadQueue::ReloadQueue(ServiceRegistry& registry, Reload& reload, Outbox& outbox, std::function<Time()> clock)
    : registry_(registry), reload_(reload), outbox_(outbox), clock_(std::move(clock)) {}

void ReloadQueue::add(Order order) {
  waiting_.push_back(std::move(order));
  outbox_.sync_due = true;
}

bool ReloadQueue::run(bool table_is_busy) {
  if (!running_ && waiting_.empty()) return false;
  const Time now = clock_();
  next_at_ = std::max(next_at_, outbox_.doubt.until);
  if (now < next_at_) return false;
  if (!running_) {
    Order order = std::move(waiting_.front());
    waiting_.pop_front();
    auto next = order.next;
    running_.reset(new Running{.order = std::move(order),
                               .rehearsal = {registry_, reload_.settings(), std::move(next), slice_services, reload_.flow_owner()}});
  }
  if (!running_->planned)
    plan(*running_, now);
  else if (table_is_busy)
    return false;
  else if (const auto& slices = running_->rehearsal.slices(); running_->order.plan_only || running_->applied == slices.size())
    end(*running_);
  else
    apply(*running_, now);
  const Time end = clock_();
  next_at_ = end + std::max(shortest_pause, end - now);
  return true;
}

void ReloadQueue::plan(Running& running, Time begin) {
  for (Time now = begin; now < begin + slice_time; now = clock_())
    if (!running.rehearsal.step(now)) {
      running.planned = true;
      running.result.plan = std::make_shared<const ReloadPlan>(running.rehearsal.take_plan());
      if (!running.order.plan_only) announce(running, now);
      return;
    }
}

/// Before all that follows from it.
void ReloadQueue::announce(Running& running, Time now) {
  Reloaded& result = running.result;
  result.settings = reload_.apply_settings(*running.order.next, now);
  for (const ServicePlan& change : result.plan->changes)
    if (change.change != "moved")
      (change.change == "removed" ? result.removed : change.change == "added" ? result.added : result.changed).push_back(change.service);
  if (running.order.addresses_only) {
    for (Event& event : running.order.why) outbox_.log(std::move(event));
    return;
  }
  outbox_.log(events::make({}, events::ConfigReloaded{.services = running.order.next->services.size(),
                                                      .added = result.added,
                                                      .changed = result.changed,
                                                      .removed = result.removed,
                                                      .settings = result.settings,
                                                      .by = running.order.by,
                                                      .plan = result.plan}));
}

void ReloadQueue::apply(Running& running, Time now) {
  reload_.apply_slice(running.rehearsal.slices()[running.applied++], running.rehearsal.configs(), now);
  outbox_.drains_changed |= std::exchange(outbox_.overrides_changed, false); // the state file may come later: no operator waits for it
}

/// The next one may be added from inside.
void ReloadQueue::end(Running& running) {
  const auto done = std::move(running.order.done);
  Reloaded result = std::move(running.result);
  running_.reset();
  done(std::move(result));
}

std::optional<Time> ReloadQueue::next_wakeup() const {
  if (!running_ && waiting_.empty()) return std::nullopt;
  return next_at_;
}

} // namespace hanat
