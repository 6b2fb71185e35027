// Owners by name, and an order of those that are due.
#include "daemon/report/hooks/hook_queue.hpp"

#include <algorithm>

namespace hanat {

void HookQueue::add(const std::string& name, HookEvent event, Time now) {
  Owner& owner = owners_[name];
  const bool is_first = !owner.batch;
  if (is_first) owner.batch = HookBatch{.owner = name, .first_at = event.at};
  ++owner.batch->count;
  ++waiting_;
  owner.batch->events.push_back(std::move(event));
  if (owner.batch->events.size() > most_events) owner.batch->events.pop_front();
  if (is_first && !owner.runs) schedule(name, owner, now + gather);
}

void HookQueue::schedule(const std::string& name, Owner& owner, Time at) {
  owner.due = std::max(at, owner.earliest);
  due_.emplace(*owner.due, name);
}

std::optional<HookBatch> HookQueue::next(Time now) {
  const auto at = next_wakeup();
  if (!at || *at > now) return std::nullopt;
  const auto first = running_ < at_once ? due_.begin() : due_.find({*at, std::string{}});
  const std::string name = first->second;
  due_.erase(first);
  Owner& owner = owners_.at(name);
  owner.due.reset();
  owner.runs = true;
  owner.earliest = now + spacing;
  if (name.empty())
    own_runs_ = true;
  else
    ++running_;
  auto batch = std::exchange(owner.batch, std::nullopt);
  if (batch) waiting_ -= batch->count;
  return batch;
}

void HookQueue::ended(const std::string& name, Time now) {
  Owner& owner = owners_.at(name);
  owner.runs = false;
  if (name.empty())
    own_runs_ = false;
  else
    --running_;
  if (owner.batch)
    schedule(name, owner, now);
  else
    idle_.push_back(name);
  forget_idle(now);
}

/// The spacing of the oldest has passed first, but for one that ran longer: it is forgotten with the next.
void HookQueue::forget_idle(Time now) {
  while (!idle_.empty()) {
    const auto owner = owners_.find(idle_.front());
    const bool is_idle = owner != owners_.end() && !owner->second.batch && !owner->second.runs;
    if (is_idle && owner->second.earliest > now) return;
    if (is_idle) owners_.erase(owner);
    idle_.pop_front();
  }
}

std::optional<Time> HookQueue::next_wakeup() const {
  if (running_ >= at_once) {
    const auto own = owners_.find({});
    return own == owners_.end() ? std::nullopt : own->second.due;
  }
  return due_.empty() ? std::nullopt : std::optional{due_.begin()->first};
}

} // namespace hanat
