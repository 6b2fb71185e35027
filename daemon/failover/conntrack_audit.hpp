// From time to time all of conntrack is compared with where flows should be, and flows that are somewhere else are evicted. So nothing that
// a cut missed stays for long. What comes back is somebody else's doing, and left alone. Not here: the comparison
// (nat/conntrack/expected_flows), the cut (evictions).
#pragma once

#include <functional>
#include <utility>

#include "daemon/failover/evictions.hpp"
#include "daemon/failover/outbox.hpp"
#include "daemon/failover/service_registry.hpp"
#include "nat/conntrack/expected_flows.hpp"

namespace hanat {

class ConntrackAudit {
public:
  /// `in_sync`: whether the table holds what was decided, and no commit is under way.
  ConntrackAudit(Evictions& evictions, ServiceRegistry& registry, Outbox& outbox, std::function<bool()> in_sync)
      : evictions_(evictions), registry_(registry), outbox_(outbox), in_sync_(std::move(in_sync)) {}

  /// [hanatd] reconcile. The first audit after a start comes earlier, but not before the servers are judged.
  void start(Clock::duration period, Time now);
  void set_period(Clock::duration period, Time now);

  /// Starts a comparison when one is due, the worker has nothing else to do and the table is in sync.
  void run(Time now);
  Time next_wakeup() const { return next_; }

private:
  nat::ExpectedFlows expected() const;
  void compared(const CutResult& result, Time now);
  void act_on(ServiceState& service, const nat::Flows& unexpected, Time now);
  void evict_unexpected(ServiceState& service, const nat::Flows& unexpected, Time now);

  Evictions& evictions_;
  ServiceRegistry& registry_;
  Outbox& outbox_;
  std::function<bool()> in_sync_;
  Clock::duration period_{};
  Time next_{};
};

} // namespace hanat
