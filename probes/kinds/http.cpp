// libcurl's multi interface on libuv: curl names the sockets and the time it waits for, and the loop calls it back.
#include "probes/kinds/http.hpp"

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

#include "probes/io/socket.hpp"
#include "probes/io/uv.hpp"
#include "probes/kinds/certificate.hpp"
#include "probes/kinds/grpc_answer.hpp"
#include "probes/kinds/http_answer.hpp"
#include "probes/kinds/http_request.hpp"

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
      throw std::runtime_error(fmt::format("cannot initialize libcurl: {}", curl_easy_strerror(code)));
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

  int on_socket(CURL* easy, curl_socket_t socket, int what, Poll* poll);
  static void on_ready(uv_poll_t* poll, int status, int ready);
  int on_timeout(long delay_ms);
  void act(curl_socket_t socket, int events);

  uv_loop_t* loop;
  Timer timer;
  Multi multi;
};

namespace {

std::unique_ptr<HttpReader> reader_for(const ProbeSpec& spec) {
  if (spec.kind == Kind::grpc) return std::make_unique<GrpcResponse>();
  return std::make_unique<HttpResponse>(spec.of<HttpSpec>());
}

class PendingHttp final : public PendingProbe {
public:
  PendingHttp(Http::Impl& http, const Probe& probe, OnResult on_result);
  ~PendingHttp() override { curl_multi_remove_handle(http_.multi.get(), request_.easy()); }

  /// A local errno in a callback of curl, which would only report that there is no connection.
  void set_local_error(int error) { local_error_ = error; }
  /// connect() has begun, and curl waits for its socket.
  void set_attempted() { attempted_ = true; }
  void on_done(CURLcode code);

private:
  void set_callbacks();
  void read_certificate();
  void expire();
  ProbeResult judge(CURLcode code, Clock::duration latency) const;
  std::optional<ProbeResult> judge_certificate(Clock::duration latency) const;
  Phase phase() const;
  Phase current_phase() const;

  Http::Impl& http_;
  const Probe& probe_;
  std::unique_ptr<HttpReader> response_;
  std::optional<std::chrono::seconds> certificate_left_; // read only with `expires_within`
  int local_error_ = 0;
  bool attempted_ = false;
  int socket_ = -1; // owned by curl and open during the transfer; -1: a reused connection
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  HttpRequest request_;
  Deadline deadline_;
};

PendingHttp::PendingHttp(Http::Impl& http, const Probe& probe, OnResult on_result)
    : PendingProbe(Clock::now(), std::move(on_result)), http_(http), probe_(probe), response_(reader_for(probe.spec)), request_(probe),
      deadline_(http.loop, start(), probe.spec.timeout, [this] { expire(); }) {
  set_callbacks();
  if (const CURLMcode code = curl_multi_add_handle(http.multi.get(), request_.easy()); code != CURLM_OK)
    throw std::runtime_error(curl_multi_strerror(code));
}

void PendingHttp::set_callbacks() {
  request_.set(CURLOPT_PRIVATE, this);
  request_.set(CURLOPT_ERRORBUFFER, error_text_.data());
  request_.set(CURLOPT_OPENSOCKETDATA, this);
  request_.set(
      CURLOPT_OPENSOCKETFUNCTION, +[](void* self, curlsocktype, curl_sockaddr*) -> curl_socket_t {
        auto& pending = *static_cast<PendingHttp*>(self);
        auto opened = open_probe_socket(pending.probe_);
        if (auto* socket = std::get_if<Fd>(&opened)) return pending.socket_ = socket->release();
        pending.set_local_error(std::get<int>(opened));
        return CURL_SOCKET_BAD;
      });
  request_.set(CURLOPT_HEADERDATA, this);
  request_.set(
      CURLOPT_HEADERFUNCTION, +[](char* bytes, std::size_t, std::size_t count, void* self) -> std::size_t {
        auto& pending = *static_cast<PendingHttp*>(self);
        pending.read_certificate();
        return pending.response_->header({bytes, count}) ? count : CURL_WRITEFUNC_ERROR;
      });
  request_.set(CURLOPT_WRITEDATA, response_.get());
  request_.set(
      CURLOPT_WRITEFUNCTION, +[](char* bytes, std::size_t, std::size_t count, void* response) -> std::size_t {
        return static_cast<HttpReader*>(response)->body({bytes, count}) ? count : CURL_WRITEFUNC_ERROR;
      });
}

/// Of the connection, new or reused, on which the response arrives.
void PendingHttp::read_certificate() {
  if (probe_.spec.of<HttpSpec>().expires_within == std::chrono::days{0} || certificate_left_) return;
  curl_tlssessioninfo* tls = nullptr;
  if (curl_easy_getinfo(request_.easy(), CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || tls == nullptr) return;
  if (tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals != nullptr)
    certificate_left_ = certificate_time_left(static_cast<const SSL*>(tls->internals));
}

Phase PendingHttp::phase() const {
  const auto reached = [this](CURLINFO info) {
    curl_off_t moment = 0;
    return curl_easy_getinfo(request_.easy(), info, &moment) == CURLE_OK && moment > 0;
  };
  if (reached(CURLINFO_STARTTRANSFER_TIME_T)) return Phase::receiving;
  if (reached(CURLINFO_PRETRANSFER_TIME_T)) return Phase::waiting;
  return reached(CURLINFO_CONNECT_TIME_T) ? Phase::tls : Phase::connecting;
}

/// curl reports the connection only after the TLS handshake.
Phase PendingHttp::current_phase() const {
  const Phase known = phase();
  if (known != Phase::connecting || !uses_tls(probe_.spec) || socket_ < 0) return known;
  tcp_info info{};
  socklen_t length = sizeof info;
  const bool established = getsockopt(socket_, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_ESTABLISHED;
  return established ? Phase::tls : Phase::connecting;
}

/// nullopt: nothing is wrong with the certificate.
std::optional<ProbeResult> PendingHttp::judge_certificate(Clock::duration latency) const {
  const auto expires_within = probe_.spec.of<HttpSpec>().expires_within;
  if (expires_within == std::chrono::days{0}) return std::nullopt;
  if (!certificate_left_) // a libcurl without OpenSSL
    return inconclusive_result(Reason::local_error, latency, "this libcurl does not expose certificates");
  if (*certificate_left_ > expires_within) return std::nullopt;
  return warning_result(probe_.spec, Reason::certificate_expires, latency, expiry_text(*certificate_left_));
}

ProbeResult PendingHttp::judge(CURLcode code, Clock::duration latency) const {
  if (local_error_ != 0) return result_from_errno(local_error_, latency);
  if (const auto* verdict = response_->verdict()) {
    auto certificate = verdict->reason == Reason::answered ? judge_certificate(latency) : std::nullopt;
    return certificate ? *std::move(certificate) : result_from_verdict(probe_.spec, *verdict, latency);
  }
  long error = 0;
  curl_easy_getinfo(request_.easy(), CURLINFO_OS_ERRNO, &error);
  return result_from_curl({.code = code,
                           .error = static_cast<int>(error),
                           .phase = phase(),
                           .tls = uses_tls(probe_.spec),
                           .http2 = uses_http2(probe_.spec),
                           .attempted = attempted_,
                           .message = error_text_.data()},
                          latency);
}

void PendingHttp::on_done(CURLcode code) {
  const auto now = Clock::now();
  if (code == CURLE_OK) response_->end();
  finish(deadline_.checked(judge(code, elapsed(now)), now));
}

void PendingHttp::expire() {
  if (local_error_ != 0) return finish(result_from_errno(local_error_, elapsed()));
  const Phase reached = current_phase();
  const bool is_new = socket_ >= 0; // the handshake of a reused connection was some time ago
  finish(timeout_result(elapsed(), std::string{to_text(reached)}, is_new && reached != Phase::connecting));
}

PendingHttp* pending_of(CURL* easy) {
  void* pending = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &pending);
  return static_cast<PendingHttp*>(pending);
}

} // namespace

Http::Impl::Impl(uv_loop_t* uv_loop) : loop(uv_loop), timer(make_timer(uv_loop, this)), multi((prepare_process(), curl_multi_init())) {
  if (!multi) throw std::bad_alloc{};
  curl_multi_setopt(multi.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi.get(), CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(
      multi.get(), CURLMOPT_SOCKETFUNCTION, +[](CURL* easy, curl_socket_t socket, int what, void* self, void* poll) {
        return static_cast<Impl*>(self)->on_socket(easy, socket, what, static_cast<Poll*>(poll));
      });
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(
      multi.get(), CURLMOPT_TIMERFUNCTION,
      +[](CURLM*, long delay_ms, void* self) { return static_cast<Impl*>(self)->on_timeout(delay_ms); });
}

Http::Impl::~Impl() {
  curl_multi_setopt(multi.get(), CURLMOPT_TIMERFUNCTION, nullptr);
  multi.reset(); // may still call on_socket() for sockets that it closes
}

/// `poll` is what curl_multi_assign() attached to the socket: our poll handle, or null.
int Http::Impl::on_socket(CURL* easy, curl_socket_t socket, int what, Poll* poll) {
  if (what == CURL_POLL_REMOVE) {
    std::default_delete<Poll>{}(poll);
    curl_multi_assign(multi.get(), socket, nullptr);
    return 0;
  }
  PendingHttp* pending = pending_of(easy);
  if (pending != nullptr) pending->set_attempted();
  if (poll == nullptr) {
    int error = 0;
    auto made = std::make_unique<Poll>(try_poll(loop, socket, error));
    if (!*made) {
      if (pending != nullptr) pending->set_local_error(-error);
      return 0; // not watched: it ends at its deadline, as a local failure
    }
    (*made)->data = this;
    poll = made.release();
    curl_multi_assign(multi.get(), socket, poll);
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(poll->get(), events, &Impl::on_ready);
  return 0;
}

void Http::Impl::on_ready(uv_poll_t* poll, int status, int ready) {
  uv_os_fd_t fd = -1;
  uv_fileno(reinterpret_cast<uv_handle_t*>(poll), &fd);
  int events = ((ready & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) | ((ready & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
  if (status < 0) {
    // The socket has an error, and libuv stops watching it. Passed "error", curl would not read the errno; reading and writing, it does.
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
    if (PendingHttp* pending = pending_of(message->easy_handle)) pending->on_done(code);
  }
}

Http::Http(uv_loop_t* loop) : impl_(std::make_unique<Impl>(loop)) {}
Http::~Http() = default;

StartResult Http::start(const Probe& probe, OnResult on_result) {
  try {
    return std::make_unique<PendingHttp>(*impl_, probe, std::move(on_result));
  } catch (const std::bad_alloc&) {
    return result_from_errno(ENOMEM, {});
  } catch (const std::exception& failure) { // an option or a URL that this libcurl rejects
    return inconclusive_result(Reason::local_error, {}, sanitized(failure.what()));
  }
}

void Http::set_probes(std::size_t count) {
  // curl counts connections in use, too, and closes idle ones for them: leave room for a burst of every probe.
  const std::size_t connections = 4 * count + 16;
  curl_multi_setopt(impl_->multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(connections));
}

} // namespace hanat::probes
