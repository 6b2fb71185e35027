// Waits until sockets are ready for the first time, for thousands at once: one epoll of its own, which the loop watches. A uv_poll_t for
// each would cost system calls of its own. Not here: sockets that are watched for longer (uv).
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
    /// Called once, on the loop. `failed`: the socket has a pending error, or the connection has ended. It may destroy any handler.
    virtual void on_ready(bool failed) = 0;

  protected:
    ~Handler() = default;
  };
  /// Watches a descriptor; ends that when it is destroyed, which must be before the descriptor is closed and before the ReadyWatch ends.
  class Ticket {
  public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept;
    Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket();

  private:
    friend class ReadyWatch;
    Ticket(ReadyWatch& watch, std::uint32_t place) : watch_(&watch), place_(place) {}
    ReadyWatch* watch_ = nullptr;
    std::uint32_t place_ = 0;
  };

  /// Throws std::system_error.
  explicit ReadyWatch(uv_loop_t* loop);
  ReadyWatch(const ReadyWatch&) = delete;
  ReadyWatch& operator=(const ReadyWatch&) = delete;

  enum class Watched : std::uint8_t { first, again };
  /// Until the descriptor can be written to. `watched`: again if it was watched before, and has not been closed since. nullopt: errno says
  /// why the kernel refuses.
  std::optional<Ticket> until_writable(int fd, Handler& handler, Watched watched = Watched::first);

private:
  struct Place {
    Handler* handler = nullptr;
    std::uint32_t use = 0; // how often it was taken: an event may be of an earlier one
  };
  void release(std::uint32_t place);
  void on_events();

  Fd epoll_; // declared before its poll handle, so closed after it
  std::vector<Place> places_;
  std::vector<std::uint32_t> free_;
  Poll poll_;
};

} // namespace hanat::probes
