// The deadline of one probe. Not here: the timers that it is one of (timers).
#pragma once

#include <chrono>
#include <functional>

#include "probes/io/timers.hpp"
#include "probes/result.hpp"

namespace hanat::probes {

/// The absolute deadline of one probe. A callback that comes far too late means that this process, or the whole machine, was suspended:
/// a reply may be waiting unread. Then the probe gets a second, shorter time before it counts as timed out.
class ProbeDeadline final : private TimerWheel::Timer {
public:
  ProbeDeadline(Timers& timers, Clock::time_point start, Clock::duration timeout, std::function<void()> expired);

  /// The deadline passed while this process was suspended: what is read at `now` may have arrived in time.
  bool missed(Clock::time_point now) const { return extended_ || now > moment_ + tolerated; }
  /// The result; inconclusive (stalled) when the deadline was missed.
  ProbeResult checked(ProbeResult result, Clock::time_point now) const {
    if (!missed(now) || result.outcome == Outcome::inconclusive) return result;
    return inconclusive_result(Reason::stalled, result.latency);
  }

  static constexpr std::chrono::milliseconds tolerated{50}; // lateness of a busy loop that is still working
  static constexpr std::chrono::milliseconds longest_extension{1000};

private:
  void on_due() override;

  Timers& timers_;
  Clock::time_point moment_;
  Clock::duration timeout_;
  std::function<void()> expired_;
  bool extended_ = false;
};

} // namespace hanat::probes
