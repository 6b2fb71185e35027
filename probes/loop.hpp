// The little that probes need of libuv: handles that close themselves, timers for a moment instead of a delay, and the deadline of a
// question. Not here: sockets, curl.
#pragma once

#include <functional>
#include <memory>

#include <uv.h>

#include "probes/probe.hpp"

namespace hanat::probes {

/// uv_close() forgets the callbacks at once but gives the memory back in a later round of the loop.
struct CloseHandle {
  template <class Handle> void operator()(Handle* handle) const {
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { std::default_delete<Handle>{}(reinterpret_cast<Handle*>(closed)); });
  }
};
using Timer = std::unique_ptr<uv_timer_t, CloseHandle>;
using Poll = std::unique_ptr<uv_poll_t, CloseHandle>;

/// `data` is what the callback finds in the handle.
Timer make_timer(uv_loop_t* loop, void* data);
/// Null with a negative libuv error in `error` when the socket cannot be watched.
Poll make_poll(uv_loop_t* loop, int fd, void* data, int& error);

/// Calls back at `moment` or up to a millisecond later, never earlier.
void start_at(uv_timer_t& timer, Clock::time_point moment, uv_timer_cb callback);

/// The absolute deadline of one question. A callback that comes far too late means that this process, or the whole machine, stood still:
/// answers may be waiting unread. Then the question gets a second, shorter span before its silence is believed.
class Deadline {
public:
  Deadline(uv_loop_t* loop, Clock::time_point start, Clock::duration timeout, std::function<void()> expired);

  /// The deadline passed while we stood still: what is heard at `now` may have been there in time.
  bool missed(Clock::time_point now) const { return extended_ || now > moment_ + tolerated; }

  static constexpr std::chrono::milliseconds tolerated{50}; // lateness of a busy loop that is still working
  static constexpr std::chrono::milliseconds longest_extension{1000};

private:
  void on_timer();

  Clock::time_point moment_;
  Clock::duration timeout_;
  std::function<void()> expired_;
  bool extended_ = false;
  Timer timer_;
};

} // namespace hanat::probes
