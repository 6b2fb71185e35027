// Watches a netlink socket for messages. Not here: other sockets (uv), reading (nat/netlink, passive/route_socket).
#pragma once

#include <uv.h>

namespace hanat::probes {

/// libuv ends a watch when its socket has an error. One of netlink only says that messages were lost, because the buffer was full: whoever
/// reads the socket takes it away, and the next messages come as before. `OnReadable`: a
/// lambda without captures, of the poll handle. Returns libuv's error, or 0.
template <typename OnReadable> int watch_netlink(uv_poll_t* poll, OnReadable) {
  return uv_poll_start(poll, UV_READABLE, [](uv_poll_t* ready, int status, int) {
    if (status < 0) watch_netlink(ready, OnReadable{});
    OnReadable{}(ready);
  });
}

} // namespace hanat::probes
