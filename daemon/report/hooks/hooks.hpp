// Tells the programs of the operator what happens: that of a service where its new connections go, that of [hanatd] everything. Nothing
// waits for them. Not here: which events (hook_event), when (hook_queue), how (hook_runner).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include <uv.h>

#include "daemon/api/status.hpp"
#include "daemon/config/config.hpp"
#include "daemon/report/event.hpp"
#include "daemon/report/hooks/hook_queue.hpp"
#include "daemon/report/hooks/hook_runner.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class Hooks {
public:
  /// The hook that a service has now; nullptr: there is no such service.
  using OfService = std::function<const HookConfig*(const std::string& service)>;
  /// `publish` is given the failures.
  Hooks(uv_loop_t* loop, OfService of_service, std::function<void(const Event&)> publish);
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  /// Of the configuration in use from now on.
  void configure(const Config& config);
  /// `text` is the sentence of the event.
  void add(const Event& event, const std::string& text);
  /// nullopt: there is no hook.
  std::optional<HookStatus> status() const;

private:
  const HookConfig* hook_of(const std::string& owner) const;
  void wake_up();
  void call_due();
  void call(const HookBatch& batch, const HookConfig& hook);
  void on_end(const std::string& owner, const HookResult& result);

  uv_loop_t* loop_;
  OfService of_service_;
  std::function<void(const Event&)> publish_;
  HookConfig own_; // of [hanatd]
  bool any_ = false;
  HookQueue queue_;
  struct Call {
    std::string program;
    Clock::duration timeout{};
    std::uint64_t count = 0;
  };
  std::unordered_map<std::string, Call> calls_; // that run, by owner
  HookStatus totals_;
  UvHandle<uv_timer_t> timer_;
  std::unique_ptr<HookRunner> runner_; // made for the first call: it has a thread
};

} // namespace hanat
