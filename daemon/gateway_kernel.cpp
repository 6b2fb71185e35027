// The gateway and its table: one transaction for every service that changes, what the kernel refused is tried again, what somebody else
// changed is put right. Not here: what the table should say (wanted), the messages (nat).
#include <algorithm>
#include <system_error>

#include <fmt/format.h>

#include "daemon/gateway.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// A refused transaction is tried again after this long, doubled up to the second figure.
constexpr auto first_retry = 50ms;
constexpr auto last_retry = 1s; // other services' changes wait as long

void merge(nat::Rules& into, const nat::Rules& rules) {
  into.known.insert(rules.known.begin(), rules.known.end());
  into.target.insert(rules.target.begin(), rules.target.end());
  into.refused.insert(rules.refused.begin(), rules.refused.end());
  into.stale.insert(rules.stale.begin(), rules.stale.end());
  into.moved.insert(rules.moved.begin(), rules.moved.end());
  into.hold.insert(rules.hold.begin(), rules.hold.end());
  into.source.insert(rules.source.begin(), rules.source.end());
}

} // namespace

/// Gives the kernel what differs. Nothing else is decided until it has answered.
void Gateway::commit(std::vector<Change> changes, Time now) {
  for (Change& change : changes)
    if (change.wanted.rules == change.service->loaded)
      applied(change, now);
    else
      committing_.push_back(std::move(change));
  if (committing_.empty() || committer_.run([this, now] { send(now); }, patience))
    committed(now);
  else
    uv_poll_stop(watch_.get()); // the kernel's messages wait, too
}

/// On the committer's thread. A change that the kernel refuses must not keep others from theirs, except those of its own group.
void Gateway::send(Time decided) {
  send(committing_, decided);
  if (committing_.front().refusal.empty() || committing_.front().fate == committing_.back().fate) return;
  for (auto first = committing_.begin(); first != committing_.end();) {
    const auto next = std::find_if(first, committing_.end(), [&](const Change& change) { return change.fate != first->fate; });
    send({first, next}, decided);
    first = next;
  }
}

/// One transaction.
void Gateway::send(std::span<Change> changes, Time decided) {
  std::vector<nat::Step> steps;
  steps.reserve(changes.size());
  for (const Change& change : changes) steps.push_back({.from = change.service->loaded, .to = change.wanted.rules});
  std::string refusal;
  try {
    kernel_.change(steps);
  } catch (const std::exception& error) {
    refusal = error.what();
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - decided);
  for (Change& change : changes) {
    change.refusal = refusal;
    change.took = took;
  }
}

/// The kernel has answered: what it took is so now.
void Gateway::committed(Time now) {
  std::string refusal;
  for (Change& change : std::exchange(committing_, {}))
    if (change.refusal.empty())
      applied(change, now);
    else
      refusal = std::move(change.refusal);
  if (!refusal.empty()) {
    kernel_failed(refusal, now);
    return;
  }
  if (!kernel_retry_) return;
  tell(Level::notice, "the kernel takes changes again");
  kernel_state_ = KernelState::in_step;
  kernel_retry_.reset();
  kernel_backoff_ = {};
  kernel_error_.clear();
}

/// After a change that took longer than the loop waited: everything that came meanwhile is looked at.
void Gateway::finish_commit() {
  committer_.join();
  resync_ |= std::exchange(resync_aside_, false);
  for (const Change& change : committing_) touch(*change.service);
  if (!committing_.empty()) committed(Clock::now());
  if (!stopped_) uv_poll_start(watch_.get(), UV_READABLE, on_watch);
  settle(Clock::now());
}

/// A change of the table that no service waits for. What is refused holds up nothing, and is tried again; the table may be gone, though.
void Gateway::change_aside(const std::function<void()>& change) {
  const bool done = committer_.run(
      [this, change] {
        try {
          change();
        } catch (const std::exception&) {
          resync_aside_ = true;
        }
      },
      patience);
  if (done)
    resync_ |= std::exchange(resync_aside_, false);
  else
    uv_poll_stop(watch_.get());
}

/// For whoever cannot go on before.
void Gateway::wait_for_kernel() {
  while (committer_.busy()) finish_commit();
}

void Gateway::kernel_failed(const std::string& error, Time now) {
  kernel_backoff_ = std::clamp<std::chrono::milliseconds>(kernel_backoff_ * 2, first_retry, last_retry);
  kernel_retry_ = now + kernel_backoff_;
  if (kernel_error_ != error)
    tell(Level::error, fmt::format("the kernel refused a change: {}; nothing was changed, trying again until it works", error));
  kernel_state_ = KernelState::failed;
  kernel_error_ = error;
  resync_ = true; // where the kernel could not be asked what came of it: read before deciding
}

nat::Rules Gateway::all_loaded() const {
  nat::Rules all;
  for (const auto& service : services_) merge(all, service->loaded);
  return all;
}

/// Reads the table and puts it right when it is not what was loaded.
void Gateway::resync(Time now) {
  last_resync_ = now;
  try {
    const auto found = kernel_.read();
    const nat::Rules expected = all_loaded();
    if (!found || !found->in_order || found->rules != expected) {
      kernel_state_ = KernelState::repairing;
      kernel_.load(expected);
      if (next_beat_) next_beat_ = now; // a fresh table knows nothing of hanatd's life
      tell(Level::warning, fmt::format("the table in the kernel was {}: restored; find out who else changes nftables on this gateway",
                                       found ? "changed" : "gone"));
      events_.back().kind = EventKind::repair;
    }
    resync_ = unread_ = false;
    if (kernel_state_ == KernelState::failed)
      kernel_state_ = KernelState::repairing; // read again; the change that was refused comes next
    else
      kernel_state_ = KernelState::in_step;
  } catch (const std::system_error& error) {
    const bool others_commit_all_the_time =
        error.code() == std::errc::resource_unavailable_try_again || error.code() == std::errc::interrupted;
    if (others_commit_all_the_time && kernel_state_ == KernelState::in_step)
      resync_ = false, unread_ = true; // tried again in a minute
    else
      kernel_failed(error.what(), now);
  } catch (const std::exception& error) {
    kernel_failed(error.what(), now);
  }
}

void Gateway::look_for_missed_commits(Time now) {
  last_resync_ = now;
  try {
    resync_ |= kernel_.missed_a_commit() || unread_;
  } catch (const std::exception&) {
    resync_ = true; // resync() meets the same failure, and tells
  }
}

void Gateway::table_touched() {
  if (!kernel_.disturbed()) return;
  resync_ = true;
  settle_soon();
}

} // namespace hanat
