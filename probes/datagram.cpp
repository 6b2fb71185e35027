// A connected UDP socket watched by uv_poll.
#include "probes/datagram.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>

#include "probes/loop.hpp"
#include "probes/socket.hpp"

namespace hanat::probes {
namespace {

constexpr int most_datagrams = 64; // in one turn of the loop: a server that floods us must not keep it from everything else
constexpr std::size_t longest_datagram = std::size_t{64} << 10;

/// Otherwise the kernel tells of "port unreachable" alone, and a host that is off would look silent.
bool want_icmp_errors(int fd, Family family) {
  const int on = 1;
  return family == Family::ipv4 ? setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0
                                : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0;
}

/// The errno of recv(): an ICMP error about our flow, or our own failure. 0: it says nothing of the server.
int told_by(int error) {
  switch (error) {
  case EACCES: return EHOSTUNREACH; // ICMPv6 "administratively prohibited": another machine's word, not our own firewall's
  case EMSGSIZE:                    // the path takes shorter packets only
  case EPROTO:                      // "parameter problem"
  case EOPNOTSUPP: return 0;        // "source route failed"
  default: return error;
  }
}

/// While an error stands in this queue, poll() has nothing else to say.
void empty_error_queue(int fd) {
  for (int reads = 0; reads < most_datagrams; ++reads) {
    msghdr nothing{};
    if (recvmsg(fd, &nothing, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
  }
}

class Datagram final : public Asking {
public:
  Datagram(uv_loop_t* loop, const Question& question, Socket socket, Poll poll, Clock::time_point start, JudgeDatagram judge, Done done)
      : start_(start), judge_(std::move(judge)), done_(std::move(done)), socket_(std::move(socket)), poll_(std::move(poll)),
        deadline_(loop, start, question.spec.timeout, [this] { expire(); }) {
    poll_->data = this;
  }

  int watch() {
    return uv_poll_start(poll_.get(), UV_READABLE,
                         [](uv_poll_t* poll, int status, int) { static_cast<Datagram*>(poll->data)->on_ready(status); });
  }

private:
  void on_ready(int status) {
    if (const auto heard = listen()) return answer(*heard);
    if (status >= 0) return;
    // libuv stops watching a socket with an error; this one said nothing of the server.
    empty_error_queue(socket_.fd());
    if (const int error = watch(); error < 0) answer(answer_from_errno(-error, Clock::now() - start_));
  }

  /// nullopt: nothing yet.
  std::optional<Answer> listen() {
    static thread_local std::array<char, longest_datagram> buffer;
    for (int reads = 0; reads < most_datagrams; ++reads) {
      const ssize_t count = recv(socket_.fd(), buffer.data(), buffer.size(), 0);
      const auto now = Clock::now();
      if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
      if (count < 0 && (errno == EINTR || told_by(errno) == 0)) continue;
      auto heard = count < 0 ? answer_from_errno(told_by(errno), now - start_)
                             : judge_({buffer.data(), static_cast<std::size_t>(count)}, now - start_);
      // Heard after the deadline, because we stood still: it may have been there in time.
      if (heard && heard->outcome != Outcome::blind && deadline_.missed(now))
        heard = Answer{.outcome = Outcome::blind, .reason = Reason::stalled, .latency = now - start_, .detail = {}};
      if (heard) return heard;
      ignored_ = true;
    }
    return std::nullopt;
  }

  void expire() {
    answer({.outcome = Outcome::abnormal,
            .reason = Reason::timeout,
            .latency = Clock::now() - start_,
            .detail = ignored_ ? "only datagrams that answer something else" : ""});
  }

  void answer(const Answer& answer) {
    const auto done = std::move(done_);
    done(answer);
  }

  Clock::time_point start_;
  JudgeDatagram judge_;
  Done done_;
  bool ignored_ = false;
  Socket socket_; // declared before its watcher, and so closed after it
  Poll poll_;
  Deadline deadline_;
};

} // namespace

Asked ask_datagram(uv_loop_t* loop, const Question& question, std::string_view message, JudgeDatagram judge, Done done) {
  const auto start = Clock::now();
  const auto failed = [start](int error) { return answer_from_errno(error, Clock::now() - start); };

  auto opened = open_probe_socket(question, SOCK_DGRAM);
  if (const int* error = std::get_if<int>(&opened)) return failed(*error);
  auto& socket = std::get<Socket>(opened);
  if (!want_icmp_errors(socket.fd(), question.server.address.family())) return failed(errno);

  const SocketAddress address = to_sockaddr(question.server);
  if (connect(socket.fd(), address.get(), address.length) != 0) return answer_from_connect(errno, Clock::now() - start);
  if (send(socket.fd(), message.data(), message.size(), 0) < 0) return failed(errno == EAGAIN ? ENOBUFS : errno);

  int error = 0;
  Poll poll = make_poll(loop, socket.fd(), nullptr, error);
  if (!poll) return failed(-error);
  auto asking = std::make_unique<Datagram>(loop, question, std::move(socket), std::move(poll), start, std::move(judge), std::move(done));
  if (error = asking->watch(); error < 0) return failed(-error);
  return asking;
}

} // namespace hanat::probes
