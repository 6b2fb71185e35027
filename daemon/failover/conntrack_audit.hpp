// From time to time all of conntrack is compared with where flows should be, and flows that are somewhere else are evicted. So nothing that
// a cut missed stays for long. What a server that has lost its traffic opens itself is cut each time; what else comes back is somebody
// else's doing, and left alone. Not here: the comparison
// (nat/conntrack/expected_flows), the cut (evictions).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
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

  /// Of a pair: no comparison before this moment, however often they come; nor does one that is under way lead to anything.
  void hold_until(Time moment) { held_until_ = moment; }

  /// Starts a comparison when one is due, the worker has nothing else to do and the table is in sync.
  void run(Time now);
  Time next_wakeup() const { return std::max(next_, held_until_); }

private:
  nat::ExpectedFlows expected() const;
  void compared(const CutResult& result, Time now);
  /// Flows to evict.
  struct Found {
    Mapping mapping;
    std::uint64_t number = 0; // to report; 0: such flows were reported before
    bool by_server = false;   // only those that the server opened
  };
  void act_on(ServiceState& service, const nat::UnexpectedFlows& unexpected, Time now);
  std::optional<Found> judge(ServiceState& service, const Mapping& mapping, std::uint64_t number, std::uint64_t by_server, Time now);
  void evict_unexpected(ServiceState& service, const std::vector<Found>& unexpected, Time now);

  Evictions& evictions_;
  ServiceRegistry& registry_;
  Outbox& outbox_;
  std::function<bool()> in_sync_;
  Clock::duration period_{};
  Time next_{};
  Time held_until_ = Time::min();
};

} // namespace hanat
