// Handles and timers on libuv.
#include "probes/io/uv.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace hanat::probes {

Poll try_poll(uv_loop_t* loop, int fd, int& error) {
  auto poll = std::make_unique<uv_poll_t>();
  error = uv_poll_init(loop, poll.get(), fd);
  if (error < 0) return {};
  return Poll{poll.release()};
}

void start_at(uv_timer_t& timer, Clock::time_point moment, uv_timer_cb callback) {
  // libuv counts whole milliseconds of the same clock from the start of the loop's turn: a delay computed from now() would fire early.
  const auto due = std::chrono::ceil<std::chrono::milliseconds>(moment.time_since_epoch()).count();
  const auto now = static_cast<std::int64_t>(uv_now(uv_handle_get_loop(reinterpret_cast<uv_handle_t*>(&timer))));
  uv_timer_start(&timer, callback, static_cast<std::uint64_t>(std::max<std::int64_t>(due - now, 0)), 0);
}

} // namespace hanat::probes
