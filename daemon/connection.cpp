// A small state machine on uv_poll: waiting for a request, idle between requests, giving an answer.
#include "daemon/connection.hpp"

#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include <sys/socket.h>

namespace hanat {
namespace {

constexpr std::uint64_t request_ms = 5'000; // to complete a request, the first one counted from connecting
constexpr std::uint64_t answer_ms = 5'000;  // to take the next piece of an answer
constexpr std::uint64_t idle_ms = 60'000;   // between requests: a forgotten client does not hold one of the few places for ever
constexpr std::size_t read_bytes = std::size_t{16} << 10;

} // namespace

Connection::Connection(uv_loop_t* loop, Fd socket, Credentials who, Owner& owner)
    : owner_(owner), who_(std::move(who)), socket_(std::move(socket)), poll_(make_poll(loop, socket_.get(), this)),
      deadline_(make_timer(loop, this)) {
  enter(Phase::request);
  check_uv(uv_poll_start(poll_.get(), UV_READABLE, on_poll), "watch a client");
}

void Connection::on_poll(uv_poll_t* handle, int status, int /*events*/) {
  auto* const self = static_cast<Connection*>(handle->data);
  if (status < 0 || !self->step()) self->owner_.on_end(*self);
}

void Connection::on_timer(uv_timer_t* handle) {
  auto* const self = static_cast<Connection*>(handle->data);
  self->owner_.on_end(*self);
}

/// False when the connection is over.
bool Connection::step() {
  if (!flush()) return false;
  if (unsent() == 0 && more_) {
    if (!make_more() || !flush()) return false;
  }
  if (unsent() == 0 && !more_) {
    if (last_) return false;
    if (!message_waits() && !receive()) return false;
    answer_next();
    if (!flush() || (last_ && unsent() == 0 && !more_)) return false;
  }
  wait_for();
  return true;
}

/// One read. Plain recv() takes no descriptors: those a client sends along are closed by the kernel and never become ours.
bool Connection::receive() {
  std::array<char, read_bytes> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recv
  const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got == 0) return false;
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  in_.feed({buffer.data(), static_cast<std::size_t>(got)});
  return true;
}

bool Connection::flush() {
  if (unsent() == 0) return true;
  const ssize_t sent = send(socket_.get(), out_.data() + sent_, unsent(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  sent_ += static_cast<std::size_t>(sent);
  if (phase_ == Phase::answer) enter(Phase::answer);
  if (unsent() == 0) {
    out_ = {}; // gives the memory of a large answer back
    sent_ = 0;
  }
  return true;
}

/// At most one message a turn of the loop: between two of them the loop looks after everything else.
void Connection::answer_next() {
  if (!owner_.may_answer) return;
  Answer answer;
  if (in_.too_long())
    answer = owner_.on_too_long();
  else if (const auto message = in_.next())
    answer = owner_.on_message(*message, who_);
  else
    return;
  owner_.may_answer = false;
  out_ = std::move(answer.bytes);
  more_ = std::move(answer.more);
  sent_ = 0;
  last_ = answer.last;
  enter(Phase::answer);
}

/// False without memory for the next piece: this client ends, the daemon goes on.
bool Connection::make_more() {
  if (!owner_.may_answer) return true;
  owner_.may_answer = false;
  try {
    out_ = more_();
  } catch (const std::exception&) {
    return false;
  }
  if (out_.empty()) more_ = {};
  return true;
}

void Connection::wait_for() {
  // A complete message that waits needs no more bytes: "writable" wakes us on the next turn. No reading meanwhile: the client's own socket
  // buffer is the queue.
  const bool busy = unsent() > 0 || more_ || message_waits();
  if (!busy) {
    if (in_.partial()) {
      if (phase_ != Phase::request) enter(Phase::request);
    } else if (phase_ == Phase::answer) {
      enter(Phase::idle);
    }
  }
  uv_poll_start(poll_.get(), busy ? UV_WRITABLE : UV_READABLE, on_poll);
}

void Connection::enter(Phase phase) {
  phase_ = phase;
  std::uint64_t milliseconds = 0;
  switch (phase) {
  case Phase::request: milliseconds = request_ms; break;
  case Phase::idle: milliseconds = idle_ms; break;
  case Phase::answer: milliseconds = answer_ms; break;
  }
  uv_timer_start(deadline_.get(), on_timer, milliseconds, 0);
}

} // namespace hanat
