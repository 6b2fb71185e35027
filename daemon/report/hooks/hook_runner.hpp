// Runs the programs of hooks: without a shell, in a process group of their own, for a limited time. Starts them on a thread; nothing waits
// for them. Not here: when (hook_queue), what they are told (hook_event), starting programs as such (probes/kinds/exec_spawn).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <uv.h>

#include "daemon/report/event_hook.hpp"
#include "nat/clock.hpp"

namespace hanat {

struct HookCall {
  std::string owner;
  std::vector<std::string> command, environment;
  std::string input; // its stdin
  Clock::duration timeout{};
};
struct HookResult {
  std::optional<HookFault> fault = {}; // none: exit status 0
  int number = 0;                      // exit status or signal
  std::string detail = {};             // the first line that it wrote, or why it could not be run
};

class HookRunner {
public:
  using OnEnd = std::function<void(const std::string& owner, const HookResult& result)>; // called on the loop, in a later turn of it
  HookRunner(uv_loop_t* loop, OnEnd on_end);
  /// Programs that run are ended.
  ~HookRunner();
  HookRunner(const HookRunner&) = delete;
  HookRunner& operator=(const HookRunner&) = delete;

  void start(HookCall&& call);

  static constexpr std::chrono::seconds grace{2}; // from SIGTERM, at the time limit, to SIGKILL

  struct Impl;

private:
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
