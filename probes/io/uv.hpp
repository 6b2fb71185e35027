// libuv in C++: handles in unique_ptr, timers set to a point in time. No callback runs after its handle is destroyed.
// Not here: the timers of probes (timers), sockets (socket, connect), curl (kinds/http).
#pragma once

#include <functional>
#include <memory>
#include <system_error>

#include <uv.h>

#include "probes/result.hpp"

namespace hanat {

/// uv_close() drops the callbacks at once but frees the memory in a later turn of the loop, which must run once more.
template <typename Handle> struct UvClose {
  void operator()(Handle* handle) const {
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { std::default_delete<Handle>{}(reinterpret_cast<Handle*>(closed)); });
  }
};
template <typename Handle> using UvHandle = std::unique_ptr<Handle, UvClose<Handle>>;

inline void check_uv(int result, const char* what) {
  if (result < 0) throw std::system_error(-result, std::generic_category(), what);
}

/// A handle that holds `data` for its callbacks. Throws std::system_error with `what` when libuv refuses.
template <typename Handle, typename... Arguments>
UvHandle<Handle> make_handle(int (*init)(uv_loop_t*, Handle*, Arguments...), uv_loop_t* loop, void* data, const char* what,
                             Arguments... arguments) {
  auto handle = std::make_unique<Handle>();
  check_uv(init(loop, handle.get(), arguments...), what);
  handle->data = data;
  return UvHandle<Handle>{handle.release()};
}
inline UvHandle<uv_timer_t> make_timer(uv_loop_t* loop, void* data) { return make_handle(uv_timer_init, loop, data, "make a timer"); }
inline UvHandle<uv_poll_t> make_poll(uv_loop_t* loop, int fd, void* data) {
  return make_handle(uv_poll_init, loop, data, "watch a socket", fd);
}
inline UvHandle<uv_check_t> make_check(uv_loop_t* loop, void* data) { return make_handle(uv_check_init, loop, data, "watch the loop"); }
inline UvHandle<uv_prepare_t> make_prepare(uv_loop_t* loop, void* data) {
  return make_handle(uv_prepare_init, loop, data, "watch the loop");
}

} // namespace hanat

namespace hanat::probes {

using Timer = UvHandle<uv_timer_t>;
using Poll = UvHandle<uv_poll_t>;

/// Null, with a negative libuv error in `error`, when the descriptor cannot be watched.
Poll try_poll(uv_loop_t* loop, int fd, int& error);

/// Calls back at `moment` or up to a millisecond later, never earlier.
void start_at(uv_timer_t& timer, Clock::time_point moment, uv_timer_cb callback);

} // namespace hanat::probes
