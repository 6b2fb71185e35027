// Waits until sockets are ready, for thousands at once: one epoll of its own, which the loop watches. A uv_poll_t for each would cost
// system calls of its own. Not here: sockets that are watched for longer than until they are ready (uv).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <uv.h>

#include "nat/fd.hpp"
#include "probes/io/uv.hpp"

namespace hanat::probes {

class ReadyWatch {
public:
  class Handler {
  public:
    /// Called once, on the loop. `failed`: the socket has a pending error, or the connection has ended. It may end any socket and any wait.
    virtual void on_ready(bool failed) = 0;

  protected:
    ~Handler() = default;
  };

  /// A socket that the kernel watches as long as it is open, so that waiting for it once more costs no system call. It ends before the
  /// ReadyWatch does.
  class Socket {
  public:
    Socket(Socket&& other) noexcept;
    Socket& operator=(Socket&& other) noexcept;
    ~Socket();
    const Fd& fd() const { return fd_; }
    /// Until it can be written to: to be called right behind connect(). One wait at a time.
    void wait(Handler& handler);

  private:
    friend class ReadyWatch;
    Socket(ReadyWatch& watch, Fd fd, std::uint32_t place) : watch_(&watch), fd_(std::move(fd)), place_(place) {}
    ReadyWatch* watch_; // null: moved from
    Fd fd_;
    std::uint32_t place_;
  };

  /// Throws std::system_error.
  explicit ReadyWatch(uv_loop_t* loop);
  ReadyWatch(const ReadyWatch&) = delete;
  ReadyWatch& operator=(const ReadyWatch&) = delete;

  /// nullopt: errno says why the kernel refuses.
  std::optional<Socket> add(Fd socket);

private:
  struct Place {
    Handler* handler = nullptr;   // null: nobody waits
    std::uint32_t use = 0;        // which socket it is for: an event may be of an earlier one
    std::uint64_t not_before = 0; // the first read that may tell of this wait
  };
  void release(std::uint32_t place);
  void on_events();
  int read_events();

  Fd epoll_; // declared before its poll handle, so closed after it
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_;
  std::uint64_t reads_ = 0;
  Poll poll_;
};

} // namespace hanat::probes
