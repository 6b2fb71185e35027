// One transfer of libcurl for each probe.
#include "probes/kinds/http.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
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

#include "probes/io/curl_multi.hpp"
#include "probes/io/probe_deadline.hpp"
#include "probes/io/socket.hpp"
#include "probes/io/timers.hpp"
#include "probes/kinds/certificate.hpp"
#include "probes/kinds/grpc_answer.hpp"
#include "probes/kinds/http_answer.hpp"
#include "probes/kinds/http_request.hpp"

namespace hanat::probes {

struct Http::Impl {
  explicit Impl(Timers& on) : timers(on), multi(on.loop()) {}

  Timers& timers;
  CurlMulti multi;
};

namespace {

std::unique_ptr<HttpReader> reader_for(const ProbeSpec& spec) {
  if (spec.kind == Kind::grpc) return std::make_unique<GrpcResponse>();
  return std::make_unique<HttpResponse>(spec.of<HttpSpec>());
}

class PendingHttp final : public PendingProbe, public CurlTransfer {
public:
  PendingHttp(Http::Impl& http, const Probe& probe, OnResult on_result);
  ~PendingHttp() override { http_.multi.remove(request_.easy()); }

  /// A local errno in a callback of curl, which would only report that there is no connection.
  void set_local_error(int error) { local_error_ = error; }
  void on_attempt() override { attempted_ = true; }
  void on_unwatched(int error) override { set_local_error(error); }
  void on_done(CURLcode code) override;

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
  std::optional<std::chrono::seconds> certificate_left_; // nullopt: without TLS, or not read yet
  int local_error_ = 0;
  bool attempted_ = false;
  int socket_ = -1; // owned by curl and open during the transfer; -1: a reused connection
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  HttpRequest request_;
  ProbeDeadline deadline_;
};

PendingHttp::PendingHttp(Http::Impl& http, const Probe& probe, OnResult on_result)
    : PendingProbe(Clock::now(), std::move(on_result)), http_(http), probe_(probe), response_(reader_for(probe.spec)), request_(probe),
      deadline_(http.timers, start(), probe.spec.timeout, [this] { expire(); }) {
  set_callbacks();
  http.multi.add(request_.easy(), *this);
}

void PendingHttp::set_callbacks() {
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
  if (certificate_left_ || !uses_tls(probe_.spec)) return;
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
    const auto certificate = verdict->reason == Reason::answered ? judge_certificate(latency) : std::nullopt;
    ProbeResult result = certificate ? *certificate : result_from_verdict(probe_.spec, *verdict, latency);
    result.certificate_left = certificate_left_;
    return result;
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

} // namespace

Http::Http(Timers& timers) : impl_(std::make_unique<Impl>(timers)) {}
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
  impl_->multi.set_connections(connections);
}

} // namespace hanat::probes
