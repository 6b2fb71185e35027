// A chain of steps, each called back by the one before.
#include "daemon/control/reload_requests.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "daemon/control/server.hpp"
#include "daemon/report/event_text.hpp"
#include "daemon/report/make_event.hpp"
#include "daemon/util/duration.hpp"

namespace hanat {
namespace {

using nlohmann::json;

constexpr std::uint64_t late_ms = 5'000; // for files that are read in some milliseconds

/// "SIGHUP, root"; each once.
std::string names_of(const std::vector<ReloadRequests::Request>& requests) {
  std::vector<std::string> names;
  std::string text;
  for (const auto& request : requests)
    if (std::ranges::find(names, request.by) == names.end()) {
      names.push_back(request.by);
      text += (text.empty() ? "" : ", ") + request.by;
    }
  return text;
}

} // namespace

ReloadRequests::ReloadRequests(uv_loop_t* loop, std::string named, std::string operators, ConfigInUse& in_use, ReloadSteps steps)
    : named_(std::move(named)), operators_(std::move(operators)), in_use_(in_use), steps_(std::move(steps)), late_(make_timer(loop, this)),
      deadline_(make_timer(loop, this)), replies_(loop) {}

void ReloadRequests::add(Request request) {
  const bool asked = std::ranges::any_of(waiting_, [&](const Request& one) {
    return !one.reply && !request.reply && one.by == request.by && one.confirm_within == request.confirm_within;
  });
  if (!asked) waiting_.push_back(std::move(request));
  start_next();
}

void ReloadRequests::start_next() {
  if (running_.phase != Phase::idle || reverting_ || waiting_.empty()) return;
  running_.phase = Phase::preparing;
  running_.callers = std::exchange(waiting_, {});
  running_.by = names_of(running_.callers);
  running_.confirm_within.reset();
  for (const Request& caller : running_.callers)
    if (caller.confirm_within)
      running_.confirm_within = std::max(running_.confirm_within.value_or(*caller.confirm_within), *caller.confirm_within);
  if (steps_.reloading) steps_.reloading(true);
  uv_timer_start(
      late_.get(), [](uv_timer_t* timer) { static_cast<ReloadRequests*>(timer->data)->on_late(); }, late_ms, 0);
  steps_.read([this](ConfigPtr read) { on_read(std::move(read)); });
}

/// Whoever waits is told; the reload goes on when its files can be read.
void ReloadRequests::on_late() {
  in_use_.hung = HungReload{.since = to_text(wall_now() - std::chrono::milliseconds{late_ms}), .by = running_.by};
  const Event hangs = events::make({}, events::ReloadHangs{.by = running_.by});
  steps_.publish(hangs);
  for (Request& caller : running_.callers)
    if (caller.reply) std::exchange(caller.reply, {})->fail("Failed", text_of(hangs));
}

void ReloadRequests::on_read(ConfigPtr read) {
  if (reverting_) {
    resume_ = [this, read] { on_read(read); };
    return;
  }
  uv_timer_stop(late_.get());
  in_use_.hung.reset();
  if (!read->config) {
    std::vector<std::string> lines;
    for (const ConfigError& error : read->errors) lines.push_back(to_text(error));
    return refuse(events::make({}, events::ConfigRefused{.errors = lines.size(), .by = running_.by, .first = lines.front()}), lines);
  }
  // A new name may be mistyped; a group that is gone must not prevent a change of servers.
  if (!read->operators_error.empty() && read->config->operators != operators_)
    return refuse(events::make({}, events::ReloadFailed{.error = read->operators_error, .nothing_changed = true, .by = running_.by}), {});
  running_.next = std::move(read);
  if (running_.confirm_within || trial_)
    steps_.begin_trial(running_.next, [this](ReloadSteps::Trial trial) { on_trial(std::move(trial)); });
  else
    apply();
}

void ReloadRequests::on_trial(ReloadSteps::Trial trial) {
  if (reverting_) {
    resume_ = [this, trial] { on_trial(trial); };
    return;
  }
  if (!trial.before)
    return refuse(events::make({}, events::ReloadFailed{.error = trial.failure, .nothing_changed = true, .by = running_.by}), {});
  if (!trial_ && running_.confirm_within)
    trial_ = Trial{.before = std::move(trial.before), .file = in_use_.file, .fallback = in_use_.fallback};
  apply();
}

void ReloadRequests::apply() {
  running_.phase = Phase::applying;
  steps_.apply(running_.next, running_.by, [this](const Reloaded& reloaded) { on_applied(reloaded); });
}

void ReloadRequests::on_applied(const Reloaded& reloaded) {
  accept(*running_.next);
  in_use_.reverted.reset();
  in_use_.file = named_;
  in_use_.fallback.reset();
  if (trial_)
    await_confirmation(*trial_);
  else
    steps_.keep(running_.next, [this](const std::string& failure) {
      if (!failure.empty()) steps_.publish(events::make({}, events::ConfigNotCopied{failure}));
    });
  answer(reloaded);
  end();
}

/// A reload that says no time itself has what is left of the time that was given before.
void ReloadRequests::await_confirmation(Trial& trial) {
  trial.next = running_.next;
  if (running_.confirm_within) {
    trial.by = running_.by;
    trial.within = *running_.confirm_within;
    in_use_.unconfirmed = UnconfirmedConfig{.by = running_.by, .until = to_text(wall_now() + trial.within), .left_s = 0};
    in_use_.reverts_at = Clock::now() + trial.within;
    uv_timer_start(
        deadline_.get(), [](uv_timer_t* timer) { static_cast<ReloadRequests*>(timer->data)->on_deadline(); },
        static_cast<std::uint64_t>(trial.within.count()), 0);
  }
  const auto left = std::chrono::round<std::chrono::seconds>(in_use_.reverts_at - Clock::now());
  steps_.publish(events::make({}, events::ConfigUnconfirmed{.by = trial.by, .left = duration_text(std::max(left, left.zero()))}));
}

void ReloadRequests::accept(const ReadConfig& read) {
  operators_ = read.config->operators;
  in_use_.loaded_at = wall_now();
  in_use_.refused.reset();
  in_use_.stale = false;
}

/// Nothing has changed: told to whom asked, in the status and the history. Each error is said once: the event has the first, an event of
/// its own each other one, and a reply has them as a list.
void ReloadRequests::refuse(const Event& refused, const std::vector<std::string>& errors) {
  const auto* failed = std::get_if<events::ReloadFailed>(&refused.what);
  const std::string first = !errors.empty() ? errors.front() : failed != nullptr ? failed->error : text_of(refused);
  in_use_.refused =
      RefusedReload{.at = to_text(wall_now()), .by = running_.by, .errors = std::max<std::size_t>(errors.size(), 1), .first = first};
  steps_.publish(refused);
  constexpr std::size_t most_lines = 100; // of the journal
  for (std::size_t index = 1; index < std::min(errors.size(), most_lines); ++index)
    steps_.publish(events::make({}, events::ConfigError{errors[index]}));
  Event told = refused;
  if (auto* config = std::get_if<events::ConfigRefused>(&told.what)) config->first.clear();
  for (const Request& caller : running_.callers)
    if (caller.reply) caller.reply->fail("BadConfiguration", text_of(told), {{"errors", errors}});
  end();
}

void ReloadRequests::answer(const Reloaded& reloaded) {
  const json unconfirmed = in_use_.unconfirmed ? json{{"by", in_use_.unconfirmed->by}, {"until", in_use_.unconfirmed->until}} : json();
  std::vector<std::shared_ptr<PendingReply>> replies;
  replies.reserve(running_.callers.size());
  for (const Request& caller : running_.callers) replies.push_back(caller.reply);
  replies_.finish(std::move(replies), reloaded.plan->changes.size() > LongReplies::short_enough, [reloaded, unconfirmed] {
    return json{{"services", reloaded.plan->services}, {"added", reloaded.added},       {"changed", reloaded.changed},
                {"removed", reloaded.removed},         {"settings", reloaded.settings}, {"plan", *reloaded.plan},
                {"unconfirmed", unconfirmed}};
  });
}

void ReloadRequests::end() {
  running_.callers.clear();
  running_.next.reset();
  running_.phase = Phase::idle;
  if (std::exchange(revert_due_, false)) return revert();
  start_next();
  if (running_.phase == Phase::idle && steps_.reloading) steps_.reloading(false);
}

std::shared_ptr<PendingReply> ReloadRequests::confirm(const std::string& by) {
  if (!trial_ && in_use_.reverted)
    throw ControlError{"Refused",
                       fmt::format("too late: nobody confirmed the reload by {}, and the configuration before it is in use again; "
                                   "to load the file again: hanatctl reload --confirm",
                                   in_use_.reverted->by)};
  if (!trial_) throw ControlError{"Refused", "there is nothing to confirm: the configuration in use was not loaded with reload --confirm"};
  if (running_.phase == Phase::applying || reverting_)
    throw ControlError{"Refused", "a reload is under way: see what comes of it, then confirm"};
  uv_timer_stop(deadline_.get());
  const ConfigPtr kept = trial_->next;
  trial_.reset();
  in_use_.unconfirmed.reset();
  steps_.publish(events::make({}, events::ConfigConfirmed{.by = by}));
  auto reply = std::make_shared<PendingReply>();
  steps_.keep(kept, [this, reply, services = kept->config->services.size()](const std::string& failure) {
    if (failure.empty()) return reply->finish({{"services", services}});
    steps_.publish(events::make({}, events::ConfigNotCopied{failure}));
    reply->fail("Failed", fmt::format("the configuration is confirmed, but that could not be saved: {}; a restart of hanatd would use the "
                                      "configuration before it. Make room in the state directory, then hanatctl reload",
                                      failure));
  });
  return reply;
}

void ReloadRequests::on_deadline() {
  revert_due_ = running_.phase == Phase::applying;
  if (!revert_due_) revert();
}

void ReloadRequests::revert() {
  if (!trial_) return;
  reverting_ = true;
  if (steps_.reloading) steps_.reloading(true);
  steps_.publish(events::make({}, events::ConfigReverted{.by = trial_->by, .within = duration_text(trial_->within)}));
  steps_.apply(trial_->before, "hanatd", [this](const Reloaded&) { on_reverted(); });
}

void ReloadRequests::on_reverted() {
  const Trial over = std::exchange(trial_, {}).value_or(Trial{});
  accept(*over.before);
  in_use_.file = over.file;
  in_use_.fallback = over.fallback;
  in_use_.unconfirmed.reset();
  in_use_.reverted = RevertedConfig{.at = to_text(in_use_.loaded_at), .by = over.by};
  reverting_ = false;
  if (const auto resume = std::exchange(resume_, {})) return resume();
  start_next();
  if (running_.phase == Phase::idle && steps_.reloading) steps_.reloading(false);
}

} // namespace hanat
