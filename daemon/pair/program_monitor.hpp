// Looks every second whether the programs that a pair needs beside hanatd do their work, on a thread of its own: conntrackd and keepalived.
// Not here: what is read there (flow_sync, vrrp).
#pragma once

#include <functional>

#include <uv.h>

#include "daemon/pair/flow_sync.hpp"
#include "daemon/pair/vrrp.hpp"
#include "daemon/util/job_queue.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

/// What is known of them.
struct PairPrograms {
  FlowSync conntrackd = FlowSync::unknown;
  Vrrp keepalived = Vrrp::unknown;
  bool operator==(const PairPrograms&) const = default;
};

class ProgramMonitor {
public:
  struct Owner {
    /// Whether the other gateway has a program that speaks VRRP.
    std::function<bool()> other_speaks;
    /// Called on the loop when anything is not as it was.
    std::function<void(const PairPrograms&)> changed;
  };
  ProgramMonitor(uv_loop_t* loop, Owner owner);

  /// Only a gateway of a pair has them.
  void enable(bool on);
  const PairPrograms& programs() const { return programs_; }

private:
  void read();
  void take(const PairPrograms& programs);

  Owner owner_;
  bool enabled_ = false;
  PairPrograms programs_;
  FlowSyncJudge flow_sync_;
  VrrpJudge vrrp_;
  UvHandle<uv_timer_t> timer_;
  JobQueue jobs_;
};

} // namespace hanat
