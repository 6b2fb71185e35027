// From events to calls, and from their ends to counters and failures.
#include "daemon/report/hooks/hooks.hpp"

#include <algorithm>
#include <system_error>
#include <utility>
#include <variant>

#include "daemon/report/make_event.hpp"

namespace hanat {

Hooks::Hooks(uv_loop_t* loop, OfService of_service, std::function<void(const Event&)> publish)
    : loop_(loop), of_service_(std::move(of_service)), publish_(std::move(publish)), timer_(make_timer(loop, this)) {
  for (const char* result : {"ok", "exit-status", "signal", "time-limit", "not-trusted", "not-started"}) totals_.calls[result] = 0;
}

void Hooks::configure(const Config& config) {
  own_ = config.hook;
  any_ = !own_.command.empty() ||
         std::ranges::any_of(config.services, [](const ServiceConfig& service) { return !service.hook.command.empty(); });
}

const HookConfig* Hooks::hook_of(const std::string& owner) const {
  const HookConfig* hook = owner.empty() ? &own_ : of_service_(owner);
  return hook == nullptr || hook->command.empty() ? nullptr : hook;
}

void Hooks::add(const Event& event, const std::string& text) {
  const bool of_own =
      event.service.empty() && std::holds_alternative<events::HookFailed>(event.what); // it would be told of itself for ever
  const bool own = !own_.command.empty() && !of_own;
  const bool services = !event.service.empty() && hook_of(event.service) != nullptr;
  if (!own && !services) return;
  auto made = hook_event_of(event, text);
  if (!made) return;
  const auto now = Clock::now();
  if (services && is_for_service(*made)) queue_.add(made->service, *made, now);
  if (own) queue_.add({}, std::move(*made), now);
  wake_up();
}

/// At the next call that is due.
void Hooks::wake_up() {
  if (const auto next = queue_.next_wakeup())
    probes::start_at(*timer_, *next, [](uv_timer_t* timer) { static_cast<Hooks*>(timer->data)->call_due(); });
}

void Hooks::call_due() {
  const auto now = Clock::now();
  while (const auto batch = queue_.next(now))
    if (const HookConfig* hook = hook_of(batch->owner))
      call(*batch, *hook);
    else
      queue_.ended(batch->owner, now); // a reload took it away
  wake_up();
}

void Hooks::call(const HookBatch& batch, const HookConfig& hook) {
  totals_.events += batch.count;
  calls_[batch.owner] = {.program = hook.command.front(), .timeout = hook.timeout, .count = batch.count};
  try {
    if (!runner_)
      runner_ = std::make_unique<HookRunner>(loop_, [this](const std::string& owner, const HookResult& result) { on_end(owner, result); });
    runner_->start({.owner = batch.owner,
                    .command = hook.command,
                    .environment = environment_of(batch),
                    .input = document_of(batch),
                    .timeout = hook.timeout});
  } catch (const std::system_error& error) { // no thread
    on_end(batch.owner, {.fault = HookFault::not_started, .detail = error.what()});
  }
}

void Hooks::on_end(const std::string& owner, const HookResult& result) {
  const Call call = std::exchange(calls_[owner], {});
  calls_.erase(owner);
  ++totals_.calls[result.fault ? std::string{to_text(*result.fault)} : "ok"];
  queue_.ended(owner, Clock::now());
  if (result.fault)
    publish_(events::make(owner, events::HookFailed{.program = call.program,
                                                    .fault = *result.fault,
                                                    .number = result.number,
                                                    .detail = result.detail,
                                                    .timeout = call.timeout,
                                                    .untold = call.count}));
  wake_up();
}

std::optional<HookStatus> Hooks::status() const {
  if (!any_) return std::nullopt;
  HookStatus status = totals_;
  status.running = queue_.running();
  status.waiting = queue_.waiting();
  return status;
}

} // namespace hanat
