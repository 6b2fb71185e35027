// libuv handles in unique_ptr: uv_close() now, the memory when libuv is done with it. No callback comes after the pointer is gone.
// Not here: what the handles are for. The loop must run once more after the last one is gone.
#pragma once

#include <memory>
#include <system_error>

#include <uv.h>

namespace hanat {

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

inline UvHandle<uv_poll_t> make_poll(uv_loop_t* loop, int fd, void* data) {
  auto handle = std::make_unique<uv_poll_t>();
  check_uv(uv_poll_init(loop, handle.get(), fd), "watch a socket");
  handle->data = data;
  return UvHandle<uv_poll_t>{handle.release()};
}

inline UvHandle<uv_timer_t> make_timer(uv_loop_t* loop, void* data) {
  auto handle = std::make_unique<uv_timer_t>();
  check_uv(uv_timer_init(loop, handle.get()), "make a timer");
  handle->data = data;
  return UvHandle<uv_timer_t>{handle.release()};
}

inline UvHandle<uv_check_t> make_check(uv_loop_t* loop, void* data) {
  auto handle = std::make_unique<uv_check_t>();
  check_uv(uv_check_init(loop, handle.get()), "watch the loop");
  handle->data = data;
  return UvHandle<uv_check_t>{handle.release()};
}

inline UvHandle<uv_prepare_t> make_prepare(uv_loop_t* loop, void* data) {
  auto handle = std::make_unique<uv_prepare_t>();
  check_uv(uv_prepare_init(loop, handle.get()), "watch the loop");
  handle->data = data;
  return UvHandle<uv_prepare_t>{handle.release()};
}

} // namespace hanat
