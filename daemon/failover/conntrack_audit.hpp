// From time to time all of conntrack is compared with where flows should be, and a flow that is somewhere else is evicted the usual way. So
// nothing that a cut missed, or that others made, stays for long. Not here: the comparison (nat/conntrack/expected_flows), the cut
// (evictions).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

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
  /// Endpoints of the service that are not among `still` are no longer its: where their flows may be is retained for a while.
  void retain(const ServiceState& service, const std::vector<Vip>& still, Time now);
  void retain(const Mapping& mapping, const std::string& service, Time now);

  /// Starts a comparison when one is due, the worker has nothing else to do and the table is in sync.
  void run(Time now);
  Time next_wakeup() const { return next_; }

private:
  nat::ExpectedFlows expected(Time now);
  void compared(const CutResult& result, Time now);
  void evict_unexpected(ServiceState& service, const nat::Flows& unexpected, Time now);

  Evictions& evictions_;
  ServiceRegistry& registry_;
  Outbox& outbox_;
  std::function<bool()> in_sync_;
  Clock::duration period_{};
  Time next_{};
  struct FormerEndpoint {
    std::string service;
    Time until;
  };
  std::map<Mapping, FormerEndpoint> former_endpoints_;
};

} // namespace hanat
