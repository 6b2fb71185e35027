// A non-blocking connect() watched by uv_poll, under one absolute deadline.
#include "probes/tcp.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "probes/loop.hpp"
#include "probes/socket.hpp"

namespace hanat::probes {
namespace {

/// When a busy loop looks late, the kernel still knows how long ago the handshake's last packet came in.
Clock::duration since_last_packet(int fd) {
  tcp_info info{};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return {};
  return std::chrono::milliseconds{info.tcpi_last_ack_recv};
}

class Tcp final : public Asking {
public:
  Tcp(uv_loop_t* loop, const Spec& spec, Socket socket, Poll poll, Clock::time_point start, Done done)
      : spec_(spec), start_(start), done_(std::move(done)), socket_(std::move(socket)), poll_(std::move(poll)),
        deadline_(loop, start, spec_.timeout, [this] {
          answer({Outcome::abnormal, Reason::timeout, Clock::now() - start_, {}});
        }) {
    poll_->data = this;
  }

  int watch() {
    return uv_poll_start(poll_.get(), UV_WRITABLE, [](uv_poll_t* poll, int, int) { static_cast<Tcp*>(poll->data)->on_ready(); });
  }

private:
  // libuv reports a refused connection as a failure of the poll; the socket itself knows better.
  void on_ready() {
    const auto now = Clock::now();
    const int error = pending_error(socket_.fd());
    answer(error != 0 ? answer_from_errno(error, now - start_) : connected(now));
  }

  Answer connected(Clock::time_point now) const {
    auto latency = now - start_;
    if (latency > spec_.timeout || (spec_.slow && latency > *spec_.slow)) latency -= std::min(since_last_packet(socket_.fd()), latency);
    if (latency <= spec_.timeout) return right_answer(spec_, Reason::connected, latency);
    if (deadline_.missed(now)) return {Outcome::blind, Reason::stalled, latency, {}};
    return {Outcome::abnormal, Reason::timeout, latency, {}};
  }

  void answer(const Answer& answer) {
    const auto done = std::move(done_);
    done(answer);
  }

  const Spec& spec_;
  Clock::time_point start_;
  Done done_;
  Socket socket_; // declared before its watcher, and so closed after it
  Poll poll_;
  Deadline deadline_;
};

} // namespace

Asked ask_tcp(uv_loop_t* loop, const Question& question, Done done) {
  const auto start = Clock::now();
  const auto failed = [start](int error) { return answer_from_errno(error, Clock::now() - start); };

  auto opened = open_probe_socket(question);
  if (const int* error = std::get_if<int>(&opened)) return failed(*error);
  auto& socket = std::get<Socket>(opened);

  const SocketAddress address = to_sockaddr(question.server);
  if (connect(socket.fd(), address.get(), address.length) == 0) return right_answer(question.spec, Reason::connected, Clock::now() - start);
  if (errno != EINPROGRESS) return answer_from_connect(errno, Clock::now() - start);

  int error = 0;
  Poll poll = make_poll(loop, socket.fd(), nullptr, error);
  if (!poll) return failed(-error);
  auto asking = std::make_unique<Tcp>(loop, question.spec, std::move(socket), std::move(poll), start, std::move(done));
  if (error = asking->watch(); error < 0) return failed(-error);
  return asking;
}

} // namespace hanat::probes
