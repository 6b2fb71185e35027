// connect(), send() and recv() without blocking, watched by uv_poll; long computations on a thread of libuv's pool.
#include "probes/kinds/tcp_session.hpp"

#include <array>
#include <cerrno>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include <sys/socket.h>

#include "probes/io/connect.hpp"
#include "probes/io/probe_deadline.hpp"
#include "probes/io/work.hpp"
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t bytes_per_turn = std::size_t{16} << 10; // read in one turn of the loop, which others wait for

class TcpSession final : public PendingProbe {
public:
  TcpSession(Timers& timers, Clock::time_point start, Fd socket, Poll poll, const ProbeSpec& spec, std::unique_ptr<ProtocolClient> client,
             OnResult on_result)
      : PendingProbe(start, std::move(on_result)), loop_(timers.loop()), spec_(spec), client_(std::move(client)),
        socket_(std::move(socket)), poll_(std::move(poll)),
        deadline_(timers, start, spec_.timeout, [this] { finish(timeout_result(elapsed(), std::string{stage()}, connected_)); }) {
    poll_->data = this;
  }

  int watch() {
    const int events = (connected_ ? UV_READABLE : 0) | (!connected_ || !unsent_.empty() ? UV_WRITABLE : 0);
    if (events == std::exchange(watched_, events)) return 0; // libuv would take the socket out of epoll, and put it in again
    return uv_poll_start(poll_.get(), events,
                         [](uv_poll_t* poll, int status, int ready) { static_cast<TcpSession*>(poll->data)->on_ready(status, ready); });
  }

private:
  // A negative status is an error of the socket, which libuv stops watching: read what arrived before the error.
  void on_ready(int status, int ready) {
    if (status < 0) watched_ = 0;
    if (!connected_ && !on_connected()) return;
    const bool readable = status < 0 || (ready & UV_READABLE) != 0;
    do { // each call returns false when the probe is finished, which destroys this object
      drained_ = false;
      if (!flush() || (readable && !receive()) || !flush()) return;
    } while (status < 0 && !drained_);
    if (const int error = watch(); error < 0) end(result_from_errno(-error, elapsed()));
  }

  // Each of these returns false when the probe is finished, which destroys this object.

  bool on_connected() {
    if (const int error = pending_error(socket_.get()); error != 0) return end(result_from_errno(error, elapsed()));
    connected_ = true;
    return apply(client_->begin());
  }

  bool flush() {
    while (!unsent_.empty()) {
      const ssize_t sent = send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR || on_send_error(errno);
      unsent_.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// The server has closed the connection. What it sent before is still unread and says more than the error.
  bool on_send_error(int error) {
    if (error != EPIPE && error != ECONNRESET) return break_off(error);
    unsent_.clear();
    send_error_ = error;
    return true;
  }

  bool receive() {
    std::array<char, bytes_per_turn> buffer; // NOLINT(*-member-init): recv fills what is read of it
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got > 0) return apply(client_->on_data({buffer.data(), static_cast<std::size_t>(got)}));
    if (got == 0) return send_error_ != 0 ? break_off(send_error_) : apply({.send = {}, .verdict = client_->closed()});
    drained_ = errno == EAGAIN || errno == EINTR;
    return drained_ || break_off(errno);
  }

  bool apply(Step step) {
    unsent_ += step.send;
    if (step.work) work_ = start_work(loop_, std::move(step.work), [this] { on_worked(); });
    if (!step.verdict) return true;
    prepare_close();
    return end(result_from_verdict(spec_, *step.verdict, elapsed()));
  }

  void on_worked() {
    work_.reset();
    if (!apply(client_->on_worked()) || !flush()) return; // finished: this object is gone
    if (const int error = watch(); error < 0) end(result_from_errno(-error, elapsed()));
  }

  bool break_off(int error) {
    ProbeResult result = result_from_errno(error, elapsed());
    if (result.outcome == Outcome::fail) result.detail = stage();
    return end(std::move(result));
  }

  /// Sends what the socket takes at once of the last message, and chooses between FIN and RST.
  void prepare_close() {
    if (!unsent_.empty()) (void)send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (!client_->closes_with_fin()) return;
    const linger none{.l_onoff = 0, .l_linger = 0};
    (void)setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  }

  bool end(ProbeResult result) {
    finish(deadline_.checked(std::move(result), Clock::now()));
    return false;
  }

  std::string_view stage() const { return connected_ ? client_->stage() : "no connection"; }

  uv_loop_t* loop_;
  const ProbeSpec& spec_;
  std::unique_ptr<ProtocolClient> client_;
  std::unique_ptr<Work> work_; // under way
  Fd socket_;                  // declared before its poll handle, so closed after it
  Poll poll_;
  std::string unsent_;
  bool connected_ = false, drained_ = false;
  int watched_ = 0;    // events that libuv waits for
  int send_error_ = 0; // errno of a send that failed because the server closed the connection
  ProbeDeadline deadline_;
};

} // namespace

StartResult tcp_session(Timers& timers, const Probe& probe, TlsSessions& sessions, OnResult on_result) {
  const auto start = Clock::now();
  std::unique_ptr<ProtocolClient> client;
  try {
    client = protocol_client_for(probe, &sessions);
  } catch (const std::bad_alloc&) {
    return result_from_errno(ENOMEM, Clock::now() - start);
  } catch (const std::exception& failure) { // of a library
    return inconclusive_result(Reason::local_error, {}, sanitized(failure.what()));
  }
  auto connected = connect_probe_socket(probe, SOCK_STREAM, start);
  if (auto* failure = std::get_if<ProbeResult>(&connected)) return std::move(*failure);
  auto& socket = std::get<ConnectedSocket>(connected).socket;
  return watch_socket<TcpSession>(timers, start, std::move(socket), probe.spec, std::move(client), std::move(on_result));
}

} // namespace hanat::probes
