// A small state machine on uv_poll: reading a request, idle between requests, sending a response.
#include "daemon/control/connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include <sys/socket.h>

namespace hanat {
namespace {

constexpr std::uint64_t request_ms = 5'000;  // to complete a request; the first one counts from connecting
constexpr std::uint64_t response_ms = 5'000; // to read on in a response
constexpr std::uint64_t idle_ms = 60'000;    // between requests: a forgotten client must not hold one of the few connections for ever
constexpr std::uint64_t stopped_ms = 60'000; // for a follower to read what it was sent at once: some hundred events
constexpr std::size_t read_bytes = std::size_t{16} << 10;

} // namespace

Connection::Connection(uv_loop_t* loop, Fd socket, Credentials peer, Owner& owner, std::size_t longest_message)
    : owner_(owner), peer_(std::move(peer)), socket_(std::move(socket)), poll_(make_poll(loop, socket_.get(), this)),
      deadline_(make_timer(loop, this)), in_(longest_message) {
  enter(Phase::request);
  check_uv(uv_poll_start(poll_.get(), UV_READABLE, on_poll), "watch a client");
}

Connection::~Connection() {
  if (later_) later_->abandon();
}

void Connection::on_poll(uv_poll_t* handle, int status, int events) {
  auto* const self = static_cast<Connection*>(handle->data);
  const bool left = self->later_ && (events & UV_DISCONNECT) != 0;
  if (status < 0 || left || !self->step()) self->owner_.on_end(*self);
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
  if (unsent() == 0 && later_) {
    take_later();
    if (!flush()) return false;
  }
  if (unsent() == 0 && !more_ && !later_) {
    if (last_) return false;
    if (!message_ready() && !receive()) return false;
    respond_to_next();
    if (!flush() || (last_ && unsent() == 0 && !more_ && !later_)) return false;
  }
  wait();
  return true;
}

/// One read. Plain recv() takes no descriptors: the kernel closes those that a client sends along.
bool Connection::receive() {
  std::array<char, read_bytes> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): written by recv
  const ssize_t received = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (received == 0) return false;
  if (received < 0) return errno == EAGAIN || errno == EINTR;
  in_.feed({buffer.data(), static_cast<std::size_t>(received)});
  return true;
}

bool Connection::flush() {
  if (unsent() == 0) return true;
  const ssize_t sent = send(socket_.get(), out_.data() + sent_, unsent(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  sent_ += static_cast<std::size_t>(sent);
  if (phase_ == Phase::response && !later_ && sent > 0) extend_deadline();
  if (unsent() == 0) {
    out_ = {}; // frees the memory of a large response
    sent_ = 0;
  }
  return true;
}

/// At most one message per turn of the loop: everything else on the loop gets its turn in between.
void Connection::respond_to_next() {
  if (!owner_.may_respond) return;
  Response response;
  if (in_.too_long())
    response = owner_.on_too_long();
  else if (const auto message = in_.next())
    response = owner_.on_message(*message, peer_);
  else
    return;
  owner_.may_respond = false;
  out_ = std::move(response.bytes);
  more_ = std::move(response.more);
  later_ = std::move(response.later);
  sent_ = 0;
  last_ = response.last;
  response_ends_ = uv_now(deadline_->loop) + owner_.whole_ms;
  enter(Phase::response);
  if (later_) take_later();
}

/// False when there is no memory for the next piece: only this client is closed.
bool Connection::make_more() {
  if (!owner_.may_respond) return true;
  owner_.may_respond = false;
  try {
    out_ = more_();
  } catch (const std::exception&) {
    return false;
  }
  if (out_.empty()) more_ = {};
  return true;
}

void Connection::send_waiting() {
  if (!later_ || unsent() > 0 || !later_->has_bytes()) return;
  out_ = later_->take();
  sent_ = 0;
  static_cast<void>(flush());
}

/// What waits is sent on the next turn of the loop: whoever makes an event goes on at once.
void Connection::take_later() {
  out_ = later_->take();
  sent_ = 0;
  response_ends_ = uv_now(deadline_->loop) + owner_.whole_ms;
  if (!out_.empty()) enter(Phase::response);
  if (later_->is_complete())
    later_.reset();
  else
    later_->attach([this] {
      if (unsent() == 0) uv_poll_start(poll_.get(), UV_WRITABLE | UV_DISCONNECT, on_poll);
    });
}

void Connection::wait() {
  if (later_) {
    if (unsent() == 0) enter(Phase::waiting);
    uv_poll_start(poll_.get(), unsent() > 0 || later_->has_bytes() ? UV_WRITABLE | UV_DISCONNECT : UV_DISCONNECT, on_poll);
    return;
  }
  // A complete message needs no more bytes: "writable" wakes us on the next turn. Nothing is read meanwhile: the client's socket buffer is
  // the queue.
  const bool busy = unsent() > 0 || more_ || message_ready();
  if (!busy) {
    if (in_.partial()) {
      if (phase_ != Phase::request) enter(Phase::request);
    } else if (phase_ == Phase::response) {
      enter(Phase::idle);
    }
  }
  uv_poll_start(poll_.get(), busy ? UV_WRITABLE : UV_READABLE, on_poll);
}

/// The client reads: it gets more time, but not without end.
void Connection::extend_deadline() {
  const std::uint64_t now = uv_now(deadline_->loop);
  const std::uint64_t left = response_ends_ > now ? response_ends_ - now : 0;
  uv_timer_start(deadline_.get(), on_timer, std::min(response_ms, left), 0);
}

void Connection::enter(Phase phase) {
  phase_ = phase;
  if (phase == Phase::waiting) { // for what only hanatd knows the end of
    uv_timer_stop(deadline_.get());
    return;
  }
  std::uint64_t milliseconds = 0;
  switch (phase) {
  case Phase::request: milliseconds = request_ms; break;
  case Phase::idle: milliseconds = idle_ms; break;
  case Phase::response: milliseconds = later_ ? stopped_ms : response_ms; break;
  case Phase::waiting: break;
  }
  uv_timer_start(deadline_.get(), on_timer, milliseconds, 0);
}

} // namespace hanat
