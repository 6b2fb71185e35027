// What every kind of probe returns: a result, or a probe in flight that can be cancelled.
// Not here: scheduling (scheduling/scheduler), counting fails (daemon/decision/failure_window).
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <variant>

#include "probes/result.hpp"

namespace hanat::probes {

/// Called on the loop, once, never from inside the function that started the probe. It may destroy the PendingProbe.
using OnResult = std::function<void(const ProbeResult&)>;

/// One probe in flight. Destroying it cancels it: on_result is never called.
class PendingProbe {
public:
  virtual ~PendingProbe() = default;
  PendingProbe(const PendingProbe&) = delete;
  PendingProbe& operator=(const PendingProbe&) = delete;

protected:
  PendingProbe(Clock::time_point start, OnResult on_result) : start_(start), on_result_(std::move(on_result)) {}

  Clock::time_point start() const { return start_; }
  /// Since the start of the probe.
  Clock::duration elapsed(Clock::time_point now = Clock::now()) const { return now - start_; }
  /// Calls on_result, which may destroy this object: touch nothing of it afterwards. `result` must not be a part of it.
  void finish(const ProbeResult& result) {
    const auto on_result = std::move(on_result_);
    on_result(result);
  }

private:
  Clock::time_point start_;
  OnResult on_result_;
};

/// The result, where it is known at once (then on_result is never called), or the probe in flight.
using StartResult = std::variant<ProbeResult, std::unique_ptr<PendingProbe>>;

} // namespace hanat::probes
