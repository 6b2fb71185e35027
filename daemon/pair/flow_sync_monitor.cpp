// A timer, a reading, a verdict.
#include "daemon/pair/flow_sync_monitor.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace hanat {
namespace {

constexpr std::uint64_t first_after_ms = 5'000; // conntrackd may start after hanatd when the machine boots
constexpr std::uint64_t period_ms = 1'000;

} // namespace

FlowSyncMonitor::FlowSyncMonitor(uv_loop_t* loop, std::function<void(FlowSync)> on_change)
    : on_change_(std::move(on_change)), timer_(make_timer(loop, this)), jobs_(loop, WorkerThread::AtEnd::leave) {}

void FlowSyncMonitor::enable(bool on) {
  if (std::exchange(enabled_, on) == on) return;
  judge_ = {};
  state_ = FlowSync::unknown;
  told_ = false;
  if (!on) {
    uv_timer_stop(timer_.get());
    return;
  }
  const auto due = [](uv_timer_t* timer) { static_cast<FlowSyncMonitor*>(timer->data)->read(); };
  uv_timer_start(timer_.get(), due, first_after_ms, period_ms);
}

void FlowSyncMonitor::read() {
  const auto listeners = std::make_shared<std::optional<std::vector<ConntrackListener>>>();
  jobs_.run([listeners] { *listeners = read_conntrack_listeners(); },
            [this, listeners] {
              if (enabled_) take(judge_.take(*listeners));
            });
}

void FlowSyncMonitor::take(FlowSync state) {
  if (std::exchange(state_, state) == state || state == FlowSync::unknown) return;
  const bool trouble = state != FlowSync::ok;
  if (trouble || told_) on_change_(state);
  told_ = trouble;
}

} // namespace hanat
