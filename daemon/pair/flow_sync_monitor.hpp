// Looks every second whether conntrackd runs and keeps up, on a thread of its own. Not here: what is read there (flow_sync).
#pragma once

#include <functional>

#include <uv.h>

#include "daemon/pair/flow_sync.hpp"
#include "daemon/util/job_queue.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class FlowSyncMonitor {
public:
  /// `on_change`: called on the loop. That it is well is told only after it was not.
  FlowSyncMonitor(uv_loop_t* loop, std::function<void(FlowSync)> on_change);

  /// Only a gateway of a pair has a conntrackd.
  void enable(bool on);
  FlowSync state() const { return state_; }

private:
  void read();
  void take(FlowSync state);

  std::function<void(FlowSync)> on_change_;
  bool enabled_ = false, told_ = false; // told: of trouble
  FlowSync state_ = FlowSync::unknown;
  FlowSyncJudge judge_;
  UvHandle<uv_timer_t> timer_;
  JobQueue jobs_;
};

} // namespace hanat
