// The timers of probes, on one loop: thousands are started and stopped in a second, and one timer of libuv's wakes the loop for all.
// Not here: which are due (timer_wheel), the deadline of a probe (probe_deadline), other timers (uv).
#pragma once

#include <optional>

#include <uv.h>

#include "nat/clock.hpp"
#include "probes/io/timer_wheel.hpp"
#include "probes/io/uv.hpp"

namespace hanat::probes {

class Timers {
public:
  /// Throws std::system_error.
  explicit Timers(uv_loop_t* loop);
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  uv_loop_t* loop() const { return loop_; }
  /// It is due at `moment` or up to a millisecond later, never earlier, and never from inside.
  void start(TimerWheel::Timer& timer, Clock::time_point moment);
  /// It is due before the loop waits again.
  void start_now(TimerWheel::Timer& timer);

private:
  void arm();
  void on_timer();

  uv_loop_t* loop_;
  UvHandle<uv_timer_t> timer_;
  std::optional<TimerWheel::Tick> armed_; // the tick of `timer_`; nullopt: it is not started
  bool calling_ = false;
  TimerWheel wheel_;
};

} // namespace hanat::probes
