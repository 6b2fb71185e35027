// libcurl's multi interface on libuv: curl says which sockets and which moment it waits for, the loop tells it when they come.
#include "probes/http.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "probes/certificate.hpp"
#include "probes/grpc_answer.hpp"
#include "probes/http_answer.hpp"
#include "probes/http_request.hpp"
#include "probes/loop.hpp"
#include "probes/socket.hpp"

namespace hanat::probes {
namespace {

struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
using Multi = std::unique_ptr<CURLM, FreeMulti>;

void prepare_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK)
      throw std::runtime_error(fmt::format("libcurl does not start: {}", curl_easy_strerror(code)));
    // curl with NOSIGNAL leaves SIGPIPE to its caller, and OpenSSL writes to sockets that the server may have closed.
    struct sigaction action {};
    if (sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
      action.sa_handler = SIG_IGN;
      sigaction(SIGPIPE, &action, nullptr);
    }
  });
}

} // namespace

struct Http::Impl {
  explicit Impl(uv_loop_t* uv_loop);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  int on_socket(CURL* easy, curl_socket_t socket, int what, Poll* watched);
  static void on_ready(uv_poll_t* poll, int status, int ready);
  int on_timeout(long delay_ms);
  void act(curl_socket_t socket, int events);

  uv_loop_t* loop;
  Timer timer;
  Multi multi;
};

namespace {

std::unique_ptr<HttpReader> reader_for(const Spec& spec) {
  if (spec.kind == Kind::grpc) return std::make_unique<GrpcAnswer>();
  return std::make_unique<HttpAnswer>(spec.of<HttpSpec>());
}

class HttpAsking final : public Asking {
public:
  HttpAsking(Http::Impl& http, const Question& question, Done done);
  ~HttpAsking() override { curl_multi_remove_handle(http_.multi.get(), request_.easy()); }

  /// An errno of ours in a callback of curl, which itself would only know that there is no connection.
  void fail(int error) { own_error_ = error; }
  void finish(CURLcode code);

private:
  void set_callbacks();
  void look_at_certificate();
  void expire();
  void answer(const Answer& answer);
  Answer judge(CURLcode code, Clock::duration latency) const;
  Phase phase() const;
  Phase phase_under_way() const;

  Http::Impl& http_;
  const Question& question_;
  Done done_;
  Clock::time_point start_ = Clock::now();
  std::unique_ptr<HttpReader> answer_;
  std::optional<std::chrono::seconds> certificate_left_; // looked at only where `expires_within` asks for it
  int own_error_ = 0;
  int socket_ = -1; // curl's, and open as long as the transfer is under way; -1: on a kept connection
  std::array<char, CURL_ERROR_SIZE> words_{};
  HttpRequest request_;
  Deadline deadline_;
};

HttpAsking::HttpAsking(Http::Impl& http, const Question& question, Done done)
    : http_(http), question_(question), done_(std::move(done)), answer_(reader_for(question.spec)), request_(question),
      deadline_(http.loop, start_, question.spec.timeout, [this] { expire(); }) {
  set_callbacks();
  if (const CURLMcode code = curl_multi_add_handle(http.multi.get(), request_.easy()); code != CURLM_OK)
    throw std::runtime_error(curl_multi_strerror(code));
}

void HttpAsking::set_callbacks() {
  request_.set(CURLOPT_PRIVATE, this);
  request_.set(CURLOPT_ERRORBUFFER, words_.data());
  request_.set(CURLOPT_OPENSOCKETDATA, this);
  request_.set(
      CURLOPT_OPENSOCKETFUNCTION, +[](void* self, curlsocktype, curl_sockaddr*) -> curl_socket_t {
        auto& asking = *static_cast<HttpAsking*>(self);
        auto opened = open_probe_socket(asking.question_);
        if (auto* socket = std::get_if<Socket>(&opened)) return asking.socket_ = socket->release();
        asking.fail(std::get<int>(opened));
        return CURL_SOCKET_BAD;
      });
  request_.set(CURLOPT_HEADERDATA, this);
  request_.set(
      CURLOPT_HEADERFUNCTION, +[](char* bytes, std::size_t, std::size_t count, void* self) -> std::size_t {
        auto& asking = *static_cast<HttpAsking*>(self);
        asking.look_at_certificate();
        return asking.answer_->header({bytes, count}) ? count : CURL_WRITEFUNC_ERROR;
      });
  request_.set(CURLOPT_WRITEDATA, answer_.get());
  request_.set(
      CURLOPT_WRITEFUNCTION, +[](char* bytes, std::size_t, std::size_t count, void* answer) -> std::size_t {
        return static_cast<HttpReader*>(answer)->body({bytes, count}) ? count : CURL_WRITEFUNC_ERROR;
      });
}

/// Of the connection, kept or new, that the answer is coming in on.
void HttpAsking::look_at_certificate() {
  if (question_.spec.of<HttpSpec>().expires_within == std::chrono::days{0} || certificate_left_) return;
  curl_tlssessioninfo* tls = nullptr;
  if (curl_easy_getinfo(request_.easy(), CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == nullptr) return;
  if (tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals != nullptr)
    certificate_left_ = certificate_time_left(static_cast<const SSL*>(tls->internals));
}

Phase HttpAsking::phase() const {
  const auto reached = [this](CURLINFO info) {
    curl_off_t moment = 0;
    return curl_easy_getinfo(request_.easy(), info, &moment) == CURLE_OK && moment > 0;
  };
  if (reached(CURLINFO_STARTTRANSFER_TIME_T)) return Phase::receiving;
  if (reached(CURLINFO_PRETRANSFER_TIME_T)) return Phase::waiting;
  return reached(CURLINFO_CONNECT_TIME_T) ? Phase::tls : Phase::connecting;
}

/// curl tells of the connection only when TLS is done, too.
Phase HttpAsking::phase_under_way() const {
  const Phase known = phase();
  if (known != Phase::connecting || !asks_over_tls(question_.spec) || socket_ < 0) return known;
  tcp_info info{};
  socklen_t length = sizeof info;
  const bool established = getsockopt(socket_, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_ESTABLISHED;
  return established ? Phase::tls : Phase::connecting;
}

Answer HttpAsking::judge(CURLcode code, Clock::duration latency) const {
  if (own_error_ != 0) return answer_from_errno(own_error_, latency);
  if (const auto* verdict = answer_->verdict()) {
    const bool look = question_.spec.of<HttpSpec>().expires_within != std::chrono::days{0};
    if (verdict->reason == Reason::answered && look && !certificate_left_) // a libcurl without OpenSSL
      return {.outcome = Outcome::blind, .reason = Reason::local_error, .latency = latency, .detail = "libcurl does not show certificates"};
    if (verdict->reason == Reason::answered && look && *certificate_left_ <= question_.spec.of<HttpSpec>().expires_within)
      return {.outcome = Outcome::abnormal,
              .reason = Reason::certificate_expires,
              .latency = latency,
              .detail = certificate_words(*certificate_left_)};
    if (verdict->reason == Reason::answered) return right_answer(question_.spec, Reason::answered, latency);
    return {.outcome = Outcome::abnormal, .reason = verdict->reason, .latency = latency, .detail = verdict->detail};
  }
  long error = 0;
  curl_easy_getinfo(request_.easy(), CURLINFO_OS_ERRNO, &error);
  return answer_from_curl({.code = code,
                           .error = static_cast<int>(error),
                           .phase = phase(),
                           .tls = asks_over_tls(question_.spec),
                           .http2 = asks_http2(question_.spec),
                           .words = words_.data()},
                          latency);
}

void HttpAsking::finish(CURLcode code) {
  const auto now = Clock::now();
  if (code == CURLE_OK) answer_->end();
  Answer result = judge(code, now - start_);
  // Heard after the deadline, because we stood still: the server may have answered in time, or have given up on us.
  if (deadline_.missed(now) && result.outcome != Outcome::blind)
    result = {.outcome = Outcome::blind, .reason = Reason::stalled, .latency = now - start_, .detail = {}};
  answer(result);
}

void HttpAsking::expire() {
  if (own_error_ != 0) return answer(answer_from_errno(own_error_, Clock::now() - start_));
  answer({.outcome = Outcome::abnormal,
          .reason = Reason::timeout,
          .latency = Clock::now() - start_,
          .detail = std::string{to_text(phase_under_way())}});
}

void HttpAsking::answer(const Answer& answer) {
  const auto done = std::move(done_);
  done(answer);
}

HttpAsking* asking_of(CURL* easy) {
  void* asking = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &asking);
  return static_cast<HttpAsking*>(asking);
}

} // namespace

Http::Impl::Impl(uv_loop_t* uv_loop) : loop(uv_loop), timer(make_timer(uv_loop, this)), multi((prepare_process(), curl_multi_init())) {
  if (!multi) throw std::bad_alloc{};
  curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(
      multi.get(), CURLMOPT_SOCKETFUNCTION, +[](CURL* easy, curl_socket_t socket, int what, void* self, void* watched) {
        return static_cast<Impl*>(self)->on_socket(easy, socket, what, static_cast<Poll*>(watched));
      });
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(
      multi.get(), CURLMOPT_TIMERFUNCTION,
      +[](CURLM*, long delay_ms, void* self) { return static_cast<Impl*>(self)->on_timeout(delay_ms); });
}

Http::Impl::~Impl() {
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, nullptr);
  multi.reset(); // may still tell on_socket() what it closes
}

/// `watched` is what curl_multi_assign() tied to the socket: our watcher, or nothing yet.
int Http::Impl::on_socket(CURL* easy, curl_socket_t socket, int what, Poll* watched) {
  if (what == CURL_POLL_REMOVE) {
    std::default_delete<Poll>{}(watched);
    curl_multi_assign(multi.get(), socket, nullptr);
    return 0;
  }
  if (watched == nullptr) {
    int error = 0;
    auto poll = std::make_unique<Poll>(make_poll(loop, socket, this, error));
    if (!*poll) {
      if (HttpAsking* asking = asking_of(easy)) asking->fail(-error);
      return 0; // unwatched, it ends at its deadline, as our own failure
    }
    watched = poll.release();
    curl_multi_assign(multi.get(), socket, watched);
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(watched->get(), events, &Impl::on_ready);
  return 0;
}

void Http::Impl::on_ready(uv_poll_t* poll, int status, int ready) {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(poll), &fd);
  int events = ((ready & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) | ((ready & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
  if (status < 0) {
    // A socket with an error, which libuv stops watching. Told "error", curl would not look which one; reading and writing, it learns.
    uv_poll_start(poll, UV_READABLE, &Impl::on_ready);
    events = CURL_CSELECT_IN | CURL_CSELECT_OUT;
  }
  static_cast<Impl*>(poll->data)->act(fd, events);
}

int Http::Impl::on_timeout(long delay_ms) {
  if (delay_ms < 0)
    uv_timer_stop(timer.get());
  else
    start_at(*timer, Clock::now() + std::chrono::milliseconds{delay_ms},
             [](uv_timer_t* due) { static_cast<Impl*>(due->data)->act(CURL_SOCKET_TIMEOUT, 0); });
  return 0;
}

void Http::Impl::act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi.get(), socket, events, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    if (HttpAsking* asking = asking_of(message->easy_handle)) asking->finish(code);
  }
}

Http::Http(uv_loop_t* loop) : impl_(std::make_unique<Impl>(loop)) {}
Http::~Http() = default;

Asked Http::ask(const Question& question, Done done) {
  try {
    return std::make_unique<HttpAsking>(*impl_, question, std::move(done));
  } catch (const std::bad_alloc&) {
    return answer_from_errno(ENOMEM, {});
  } catch (const std::exception& failure) { // an option or a URL that this libcurl does not take
    return Answer{.outcome = Outcome::blind, .reason = Reason::local_error, .latency = {}, .detail = sanitized(failure.what())};
  }
}

void Http::set_questions(std::size_t count) {
  // curl counts connections in use, too, and throws kept ones away for them: room for a burst of every question.
  const std::size_t room = 4 * count + 16;
  curl_multi_setopt(impl_->multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(room));
}

} // namespace hanat::probes
