// connect(), send() and recv() without blocking, watched by uv_poll.
#include "probes/conversation.hpp"

#include <array>
#include <cerrno>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include <sys/socket.h>

#include "probes/dialogue.hpp"
#include "probes/loop.hpp"
#include "probes/socket.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t most_at_once = std::size_t{16} << 10; // bytes read in one round of the loop, which others wait for, too

class Conversation final : public Asking {
public:
  Conversation(uv_loop_t* loop, const Spec& spec, std::unique_ptr<Dialogue> dialogue, Socket socket, Poll poll, Clock::time_point start,
               Done done)
      : spec_(spec), start_(start), done_(std::move(done)), dialogue_(std::move(dialogue)), socket_(std::move(socket)),
        poll_(std::move(poll)), deadline_(loop, start, spec_.timeout, [this] {
          finish({Outcome::abnormal, Reason::timeout, Clock::now() - start_, std::string{stage()}});
        }) {
    poll_->data = this;
  }

  int watch() {
    const int events = (connected_ ? UV_READABLE : 0) | (!connected_ || !unsent_.empty() ? UV_WRITABLE : 0);
    return uv_poll_start(poll_.get(), events,
                         [](uv_poll_t* poll, int status, int) { static_cast<Conversation*>(poll->data)->on_ready(status); });
  }

private:
  // A failure of the poll is an error of the socket, which libuv stops watching: what came in before it is still read, up to the error.
  void on_ready(int status) {
    if (!connected_ && !on_connected()) return;
    do {
      if (!flush() || !listen()) return; // answered: this is gone
    } while (status < 0 && !drained_);
    if (const int error = watch(); error < 0) answer(answer_from_errno(-error, Clock::now() - start_));
  }

  // Each of these is false where the question was answered, and with it this object destroyed.

  bool on_connected() {
    if (const int error = pending_error(socket_.fd()); error != 0) {
      answer(answer_from_errno(error, Clock::now() - start_));
      return false;
    }
    connected_ = true;
    return take(dialogue_->begin());
  }

  bool flush() {
    while (!unsent_.empty()) {
      const ssize_t sent = send(socket_.fd(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (sent < 0) return errno == EAGAIN || errno == EINTR || is_left(errno);
      unsent_.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// The server does not listen any more; what it said before is still to be read, and says more.
  bool is_left(int error) {
    if (error != EPIPE && error != ECONNRESET) return break_off(error);
    unsent_.clear();
    left_ = error;
    return true;
  }

  bool listen() {
    std::array<char, most_at_once> buffer; // NOLINT(*-member-init): recv fills what is read of it
    const ssize_t got = recv(socket_.fd(), buffer.data(), buffer.size(), 0);
    if (got > 0) return take(dialogue_->hear({buffer.data(), static_cast<std::size_t>(got)}));
    if (got == 0) return left_ != 0 ? break_off(left_) : take({.say = {}, .verdict = dialogue_->closed()});
    drained_ = errno == EAGAIN || errno == EINTR;
    return drained_ || break_off(errno);
  }

  bool take(Turn turn) {
    unsent_ += turn.say;
    if (!turn.verdict) return true;
    leave();
    answer(judge(*turn.verdict));
    return false;
  }

  bool break_off(int error) {
    Answer broken = answer_from_errno(error, Clock::now() - start_);
    if (broken.outcome == Outcome::abnormal) broken.detail = stage();
    answer(broken);
    return false;
  }

  /// The farewell goes out as far as it goes at once.
  void leave() {
    if (!unsent_.empty()) (void)send(socket_.fd(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (!dialogue_->leaves_politely()) return;
    const linger none{.l_onoff = 0, .l_linger = 0};
    (void)setsockopt(socket_.fd(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  }

  Answer judge(const Verdict& verdict) const {
    const auto latency = Clock::now() - start_;
    if (verdict.reason == Reason::answered) return right_answer(spec_, Reason::answered, latency);
    return {.outcome = Outcome::abnormal, .reason = verdict.reason, .latency = latency, .detail = sanitized(verdict.detail)};
  }

  /// Heard after the deadline, because we stood still: the server may have answered in time, or have given up on us.
  void answer(const Answer& answer) {
    if (deadline_.missed(Clock::now()) && answer.outcome != Outcome::blind)
      finish({.outcome = Outcome::blind, .reason = Reason::stalled, .latency = answer.latency, .detail = {}});
    else
      finish(answer);
  }

  void finish(const Answer& answer) {
    const auto done = std::move(done_);
    done(answer);
  }

  std::string_view stage() const { return connected_ ? dialogue_->stage() : "no connection"; }

  const Spec& spec_;
  Clock::time_point start_;
  Done done_;
  std::unique_ptr<Dialogue> dialogue_;
  Socket socket_; // declared before its watcher, and so closed after it
  Poll poll_;
  std::string unsent_;
  bool connected_ = false, drained_ = false;
  int left_ = 0; // the errno of a send that failed because the server has left
  Deadline deadline_;
};

} // namespace

Asked converse(uv_loop_t* loop, const Question& question, Done done) {
  const auto start = Clock::now();
  const auto failed = [start](int error) { return answer_from_errno(error, Clock::now() - start); };

  std::unique_ptr<Dialogue> dialogue;
  try {
    dialogue = dialogue_for(question);
  } catch (const std::bad_alloc&) {
    return failed(ENOMEM);
  } catch (const std::exception& failure) { // a library that does not do its part
    return Answer{.outcome = Outcome::blind, .reason = Reason::local_error, .latency = {}, .detail = sanitized(failure.what())};
  }

  auto opened = open_probe_socket(question);
  if (const int* error = std::get_if<int>(&opened)) return failed(*error);
  auto& socket = std::get<Socket>(opened);
  const SocketAddress address = to_sockaddr(question.server);
  if (connect(socket.fd(), address.get(), address.length) != 0 && errno != EINPROGRESS)
    return answer_from_connect(errno, Clock::now() - start);

  int error = 0;
  Poll poll = make_poll(loop, socket.fd(), nullptr, error);
  if (!poll) return failed(-error);
  auto asking =
      std::make_unique<Conversation>(loop, question.spec, std::move(dialogue), std::move(socket), std::move(poll), start, std::move(done));
  if (error = asking->watch(); error < 0) return failed(-error);
  return asking;
}

} // namespace hanat::probes
