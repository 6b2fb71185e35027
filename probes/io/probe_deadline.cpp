// Expires once, and is extended once at most.
#include "probes/io/probe_deadline.hpp"

#include <algorithm>
#include <utility>

namespace hanat::probes {

ProbeDeadline::ProbeDeadline(Timers& timers, Clock::time_point start, Clock::duration timeout, std::function<void()> expired)
    : timers_(timers), moment_(start + timeout), timeout_(timeout), expired_(std::move(expired)) {
  timers_.start(*this, moment_);
}

void ProbeDeadline::on_due() {
  const auto now = Clock::now();
  if (!extended_ && now > moment_ + tolerated) {
    extended_ = true;
    timers_.start(*this, now + std::min<Clock::duration>(timeout_, longest_extension));
    return;
  }
  const auto expired = std::move(expired_); // destroys this deadline with its probe
  expired();
}

} // namespace hanat::probes
