// Reads the kernel's counters of new flows while somebody looks at the status: at most once a second, on a thread of its own, and what it
// has read is there for the next look. When nobody looks it does nothing. Not here: sums (flow_totals), the counters
// (nat/nftables/flow_counts).
#pragma once

#include <optional>
#include <string>

#include <uv.h>

#include "daemon/api/status.hpp"
#include "daemon/report/flow_totals.hpp"
#include "daemon/util/worker_thread.hpp"
#include "nat/nftables/flow_counts.hpp"

namespace hanat {

class FlowCounter {
public:
  /// Throws std::system_error.
  FlowCounter(uv_loop_t* loop, std::string table);
  FlowCounter(const FlowCounter&) = delete;
  FlowCounter& operator=(const FlowCounter&) = delete;
  ~FlowCounter() { thread_.join(); }

  /// Begins a read, unless one runs or was less than a second ago.
  void look(Time now);
  /// Puts what is known into the status of a service.
  void add_to(ServiceStatus& service) const;

private:
  void done();

  // the thread's while it is busy: of ten thousand services the sums take some milliseconds, too
  FlowTotals totals_;
  nat::FlowCountReader reader_;
  std::optional<FlowTotals::Sums> sums_; // of the last read; nullopt: it failed

  std::optional<FlowTotals::Sums> shown_; // nullopt: there was no read yet
  Time next_{};
  WorkerThread thread_;
};

} // namespace hanat
