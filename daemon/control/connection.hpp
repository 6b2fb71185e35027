// One client of the control socket: bytes in, one message at a time, bytes out, and a deadline for each. However a client behaves, one
// wakeup costs one read of 16 KiB and one write, and all clients together cost one message, or one piece of a long reply, per turn of the
// loop. A client whose replies come later is not read meanwhile, and one that does not read them costs nothing. Not here: what a message
// means, who may connect (server).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <uv.h>

#include "daemon/api/varlink.hpp"
#include "daemon/control/pending_reply.hpp"
#include "daemon/util/credentials.hpp"
#include "nat/fd.hpp"
#include "probes/io/uv.hpp"

namespace hanat {

class Connection {
public:
  /// The bytes sent back (none for a oneway call), and whether the connection ends with them.
  struct Response {
    std::string bytes;
    bool last = false;
    std::function<std::string()> more = {};   // the rest, made piece by piece as the client reads it; an empty piece is the end
    std::shared_ptr<PendingReply> later = {}; // instead of bytes: the replies come when they are there
  };
  struct Owner {
    std::function<Response(const std::string& message, const Credentials& peer)> on_message; // throws nothing
    std::function<Response()> on_too_long;
    std::function<void(Connection&)> on_end; // destroys the connection
    bool may_respond = true;                 // cleared by the first message of a turn of the loop; later messages wait for the next turn
    std::uint64_t whole_ms = 60'000;         // to read all of a response: who reads a byte at a time must not hold a place for ever
  };
  static constexpr std::size_t max_message = std::size_t{64} << 10;
  static constexpr std::size_t max_config = std::size_t{2} << 20; // of who may send a configuration: some eight thousand services

  /// Takes over a connected, non-blocking socket. `owner` outlives the connection. Throws std::system_error.
  Connection(uv_loop_t* loop, Fd socket, Credentials peer, Owner& owner, std::size_t longest_message);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const Credentials& peer() const { return peer_; }
  /// Bytes of a reply that the client has not read yet.
  std::size_t unsent() const { return out_.size() - sent_; }
  /// Sends at once what waits of a reply that comes in parts. A failure shows on the next turn of the loop.
  void send_waiting();

private:
  enum class Phase : std::uint8_t { request, idle, response, waiting };

  static void on_poll(uv_poll_t* handle, int status, int events);
  static void on_timer(uv_timer_t* handle);
  bool step();
  bool message_ready() const { return in_.has_message() || in_.too_long(); }
  bool receive();
  bool flush();
  void respond_to_next();
  bool make_more();
  void take_later();
  void wait();
  void extend_deadline();
  void enter(Phase phase);

  Owner& owner_;
  Credentials peer_;
  Fd socket_; // before poll_: libuv must close its handle first
  UvHandle<uv_poll_t> poll_;
  UvHandle<uv_timer_t> deadline_;
  Phase phase_ = Phase::request;
  varlink::Framer in_;
  std::string out_;
  std::size_t sent_ = 0;
  std::uint64_t response_ends_ = 0; // on the loop's clock, in milliseconds: all of it is read by then, or the client is closed
  std::function<std::string()> more_;
  std::shared_ptr<PendingReply> later_;
  bool last_ = false;
};

} // namespace hanat
