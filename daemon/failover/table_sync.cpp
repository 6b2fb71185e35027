// One transaction, every answer read, and what follows from a refusal.
#include "daemon/failover/table_sync.hpp"

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>

#include "daemon/report/make_event.hpp"

namespace hanat {
namespace {

using namespace std::chrono_literals;

// A refused transaction is tried again after this long, doubled up to the second figure.
constexpr auto first_retry = 50ms;
constexpr auto last_retry = 1s; // other services' changes wait as long
// Somebody who fights for the table is answered at most this often.
constexpr auto resync_pause = 100ms;
// How often commits are looked for that nobody reported: a lost multicast message heals itself.
constexpr auto resync_period = 60s;

nat::TableState all_loaded(const Services& services) {
  nat::TableState all;
  for (const auto& service : services)
    nat::for_each_set([](auto& into, const auto& part) { into.insert(part.begin(), part.end()); }, all, service->loaded);
  return all;
}

/// One transaction. Returns what the kernel refused it with.
std::string send_batch(Table& table, std::span<Change> batch, std::optional<bool> settling, Time decided) {
  std::vector<nat::Step> steps;
  steps.reserve(batch.size());
  for (const Change& change : batch) steps.push_back({.from = change.service->loaded, .to = change.plan.rules});
  std::string refusal;
  try {
    table.change(steps, settling);
  } catch (const std::exception& error) {
    refusal = error.what();
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - decided);
  for (Change& change : batch) {
    change.refusal = refusal;
    change.took = took;
  }
  return refusal;
}

/// On the thread: all in one transaction. A change that the kernel refuses must not keep others from theirs, except those of its own batch.
/// Returns what became of the switch.
std::string send(Table& table, std::span<Change> changes, std::optional<bool> settling, Time decided) {
  std::string refusal = send_batch(table, changes, settling, decided);
  if (refusal.empty() || changes.empty() || (!settling && changes.front().batch == changes.back().batch)) return refusal;
  refusal = settling ? send_batch(table, {}, settling, decided) : std::string{};
  for (auto first = changes.begin(); first != changes.end();) {
    const auto next = std::find_if(first, changes.end(), [&](const Change& change) { return change.batch != first->batch; });
    send_batch(table, {first, next}, std::nullopt, decided);
    first = next;
  }
  return refusal;
}

} // namespace

TableSync::TableSync(Table& table, CommitThread& thread, ServiceRegistry& registry, Outbox& outbox, Applied applied)
    : table_(table), thread_(thread), registry_(registry), outbox_(outbox), applied_(std::move(applied)) {}

nat::Loaded TableSync::start(Time now, const nat::ProbePorts& ports) {
  resync_.last = now;
  resync_.ports = ports;
  table_.set_probe_ports(ports);
  auto found = table_.read();
  nat::Loaded loaded = found ? std::move(*found) : nat::Loaded{};
  if (loaded.in_order)
    table_.adopt(loaded.state);
  else
    table_.load(loaded.state);
  settling_.intended = settling_.loaded = loaded.settling;
  if (found && !loaded.in_order) outbox_.log(events::table_replaced());
  return loaded;
}

TableSync::State TableSync::state() const { return state_ == State::in_sync && busy() ? State::committing : state_; }

bool TableSync::prepare(Time now) {
  if (busy()) return false;
  if (refusal_.retry_at && *refusal_.retry_at <= now) registry_.mark_all_dirty(); // whatever was refused is decided again
  if (now >= resync_.last + resync_period) look_for_missed_commits(now);
  if (refusal_.retry_at && *refusal_.retry_at > now) return false;
  if (resync_.due && now >= resync_.last + resync_pause) resync(now);
  // After a refusal what is loaded must be read first; a mere comparison holds up no flip.
  return !(resync_.due && state_ == State::failed);
}

void TableSync::apply(std::vector<Change> changes, Time now, Clock::duration wait) {
  for (Change& change : changes)
    if (change.plan.rules == change.service->loaded)
      applied_(change, now);
    else
      change.service->due.answer = true, pending_.changes.push_back(std::move(change));
  if (settling_.intended != settling_.loaded) pending_.settling = settling_.intended;
  const auto job = [this, now] { pending_.settling_refusal = send(table_, pending_.changes, pending_.settling, now); };
  if (pending_.empty() || thread_.run(job, wait)) committed(now);
}

/// The kernel has answered: what it took is loaded now.
void TableSync::committed(Time now) {
  std::string refusal;
  if (const auto given = std::exchange(pending_.settling, std::nullopt)) {
    refusal = std::exchange(pending_.settling_refusal, {});
    if (refusal.empty()) settling_.loaded = *given;
  }
  for (Change& change : std::exchange(pending_.changes, {})) {
    change.service->due.answer = false;
    if (change.refusal.empty())
      applied_(change, now);
    else
      refusal = std::move(change.refusal);
  }
  if (!refusal.empty()) return refused(refusal, now);
  if (!refusal_.retry_at) return;
  outbox_.log(events::kernel_recovered());
  state_ = State::in_sync;
  refusal_ = {};
}

void TableSync::finish_commit(Time now) {
  resync_.due |= std::exchange(pending_.aside_refused, false);
  for (const Change& change : pending_.changes) registry_.mark_dirty(*change.service);
  if (!pending_.empty()) committed(now);
  outbox_.sync_due = true;
}

void TableSync::refused(const std::string& error, Time now) {
  if (refusal_.error != error) outbox_.log(events::kernel_refused(error));
  const auto backoff = std::clamp<std::chrono::milliseconds>(refusal_.backoff * 2, first_retry, last_retry);
  refusal_ = {.error = error, .retry_at = now + backoff, .backoff = backoff};
  state_ = State::failed;
  resync_.due = true; // where the kernel could not be asked what became of it: read before deciding
}

/// Reads the table and restores it when it is not what was loaded.
void TableSync::resync(Time now) {
  resync_.last = now;
  try {
    const auto found = table_.read();
    const nat::TableState expected = all_loaded(registry_.services());
    if (!found || !found->in_order || found->state != expected) {
      state_ = State::repairing;
      table_.load(expected);
      outbox_.table_loaded = true;
      if (!resync_.for_ports || !found || found->state != expected) outbox_.log(events::table_restored(found.has_value()));
    }
    resync_.for_ports = false;
    resync_.due = resync_.unread = false;
    state_ = state_ == State::failed ? State::repairing : State::in_sync;
  } catch (const std::system_error& error) {
    const bool others_commit_all_the_time =
        error.code() == std::errc::resource_unavailable_try_again || error.code() == std::errc::interrupted;
    if (others_commit_all_the_time && state_ == State::in_sync)
      resync_.due = false, resync_.unread = true; // tried again in a minute
    else
      refused(error.what(), now);
  } catch (const std::exception& error) {
    refused(error.what(), now);
  }
}

void TableSync::look_for_missed_commits(Time now) {
  resync_.last = now;
  try {
    resync_.due |= table_.missed_a_commit() || resync_.unread;
  } catch (const std::exception&) {
    resync_.due = true; // resync() meets the same failure, and reports it
  }
}

void TableSync::on_commit() {
  if (busy() || !table_.changed_by_others()) return;
  resync_.due = true;
  outbox_.sync_due = true;
}

bool TableSync::commit_heartbeat() {
  if (busy()) return false;
  change_aside([this] { table_.heartbeat(); });
  return true;
}

void TableSync::maintain(bool notrack, const nat::ProbePorts& ports) {
  if (!busy() && state_ != State::failed && notrack != table_.is_notrack_set())
    change_aside([this, notrack] { table_.set_notrack(notrack); });
  if (busy() || ports == resync_.ports) return;
  table_.set_probe_ports(ports);
  resync_.ports = ports;
  resync_.for_ports = resync_.due = true;
}

void TableSync::change_aside(const std::function<void()>& change) {
  const auto job = [this, change] {
    try {
      change();
    } catch (const std::exception&) {
      pending_.aside_refused = true;
    }
  };
  if (thread_.run(job, aside_patience)) resync_.due |= std::exchange(pending_.aside_refused, false);
}

Time TableSync::next_wakeup(Time now) const {
  if (busy()) return now + resync_period; // the end of the commit comes first
  const Time next_resync = resync_.last + (resync_.due ? Clock::duration{resync_pause} : Clock::duration{resync_period});
  Time next = next_resync;
  if (refusal_.retry_at) next = std::max(*refusal_.retry_at, resync_.due ? next_resync : now); // nothing can be done before
  return next;
}

} // namespace hanat
