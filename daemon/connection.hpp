// One client of the control socket: bytes in, one message at a time, bytes out, and a deadline for each. However a client behaves, one
// wakeup costs one read of 16 KiB and one write, and all clients together one message, or one piece of a long answer, a turn of the loop.
// Not here: what a message means, who may connect (control).
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <uv.h>

#include "daemon/fd.hpp"
#include "daemon/peer.hpp"
#include "daemon/uv_handle.hpp"
#include "daemon/varlink.hpp"

namespace hanat {

class Connection {
public:
  /// What is sent back (nothing, for a call that wants no reply), and whether the connection ends with it.
  struct Answer {
    std::string bytes;
    bool last = false;
    std::function<std::string()> more = {}; // the rest, made piece by piece as the client takes it; an empty piece is the end
  };
  struct Owner {
    std::function<Answer(const std::string& message, const Credentials& who)> on_message; // throws nothing
    std::function<Answer()> on_too_long;
    std::function<void(Connection&)> on_end; // destroys the connection
    bool may_answer = true; // taken by the first message of a turn of the loop; a message that comes too late waits for the next
  };
  static constexpr std::size_t max_message = std::size_t{64} << 10;

  /// Takes over a connected, non-blocking socket. `owner` outlives the connection. Throws std::system_error.
  Connection(uv_loop_t* loop, Fd socket, Credentials who, Owner& owner);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const Credentials& who() const { return who_; }
  /// Bytes of an answer that the client has not taken yet.
  std::size_t unsent() const { return out_.size() - sent_; }

private:
  enum class Phase : std::uint8_t { request, idle, answer };

  static void on_poll(uv_poll_t* handle, int status, int events);
  static void on_timer(uv_timer_t* handle);
  bool step();
  bool message_waits() const { return in_.has_message() || in_.too_long(); }
  bool receive();
  bool flush();
  void answer_next();
  bool make_more();
  void wait_for();
  void enter(Phase phase);

  Owner& owner_;
  Credentials who_;
  Fd socket_; // before poll_: libuv lets go of it first
  UvHandle<uv_poll_t> poll_;
  UvHandle<uv_timer_t> deadline_;
  Phase phase_ = Phase::request;
  varlink::Framer in_{max_message};
  std::string out_;
  std::size_t sent_ = 0;
  std::function<std::string()> more_;
  bool last_ = false;
};

} // namespace hanat
