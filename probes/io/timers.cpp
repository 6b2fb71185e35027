// A tick is a millisecond of the loop's clock, the resolution of libuv.
#include "probes/io/timers.hpp"

#include <algorithm>
#include <chrono>

namespace hanat::probes {

Timers::Timers(uv_loop_t* loop) : loop_(loop), timer_(make_timer(loop, this)), wheel_(uv_now(loop), [this] { arm(); }) {}

void Timers::start(TimerWheel::Timer& timer, Clock::time_point moment) {
  wheel_.start(timer, static_cast<TimerWheel::Tick>(std::chrono::ceil<std::chrono::milliseconds>(moment.time_since_epoch()).count()));
}

void Timers::start_now(TimerWheel::Timer& timer) { wheel_.start(timer, 0); }

void Timers::arm() {
  if (calling_) return;
  const auto next = wheel_.next();
  if (next == armed_) return;
  armed_ = next;
  if (!next) {
    uv_timer_stop(timer_.get()); // nothing is waited for: the loop may end
    return;
  }
  const std::uint64_t now = uv_now(loop_);
  uv_timer_start(
      timer_.get(), [](uv_timer_t* timer) { static_cast<Timers*>(timer->data)->on_timer(); }, std::max(*next, now) - now, 0);
}

void Timers::on_timer() {
  armed_.reset();
  calling_ = true;
  wheel_.advance(uv_now(loop_));
  calling_ = false;
  arm();
}

} // namespace hanat::probes
