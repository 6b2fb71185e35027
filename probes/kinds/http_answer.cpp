// Turns status line, header, body and curl's errors into a reason.
#include "probes/kinds/http_answer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "probes/io/socket.hpp"
#include "probes/kinds/tls_text.hpp"

namespace hanat::probes {
namespace {

constexpr std::size_t longest_tls_detail = 240; // with the remedy

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/// The last part of "SSL certificate problem: self-signed certificate" or "error:0A00010B:SSL routines::wrong version number".
std::string short_message(std::string_view message) {
  for (const std::string_view mark : {"SSL certificate problem: ", "SSL: ", "::"})
    if (const auto at = message.rfind(mark); at != std::string_view::npos) message.remove_prefix(at + mark.size());
  return sanitized(message);
}
std::string detail_of(const Failure& failure) {
  return short_message(failure.message.empty() ? curl_easy_strerror(failure.code) : failure.message);
}
std::string tls_detail_of(const Failure& failure) {
  const TlsCause cause = explain_tls(detail_of(failure));
  return sanitized(cause.remedy.empty() ? cause.detail : cause.detail + ": " + cause.remedy, longest_tls_detail);
}

/// curl keeps the errno of connect() alone; for recv() and send() only its message tells.
int errno_in(std::string_view message) {
  for (const int error : {ECONNRESET, EPIPE, ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, ENOBUFS, ENOMEM, EPERM})
    if (message.find(std::strerror(error)) != std::string_view::npos) return error;
  return 0;
}

/// The connection broke during the transfer. Without an errno, curl or the TLS library rejected what it read.
ProbeResult broken_off(const Failure& failure, Clock::duration latency) {
  if (const int error = failure.error != 0 ? failure.error : errno_in(failure.message); error != 0) {
    ProbeResult result = result_from_errno(error, latency);
    if (result.outcome == Outcome::fail) result.detail = to_text(failure.phase);
    return result;
  }
  if (failure.tls && failure.message.find("SSL") != std::string_view::npos) {
    const bool early_end = failure.message.find("unexpected eof") != std::string_view::npos;
    return fail_result(early_end ? Reason::closed : Reason::tls_failed, latency, tls_detail_of(failure));
  }
  return fail_result(Reason::garbled, latency, detail_of(failure));
}

ProbeResult local_failure(const Failure& failure, Clock::duration latency) {
  return inconclusive_result(Reason::local_error, latency, detail_of(failure));
}

ProbeResult no_connection(const Failure& failure, Clock::duration latency) {
  if (failure.error == 0) return local_failure(failure, latency);
  return result_from_connect(failure.attempted ? error_of_network(failure.error) : failure.error, latency);
}

/// curl 7.88 reports a header line that exceeds its buffer as out of memory.
ProbeResult out_of_memory(const Failure& failure, Clock::duration latency) {
  if (failure.phase >= Phase::waiting) return fail_result(Reason::too_large, latency);
  return inconclusive_result(Reason::no_buffers, latency, detail_of(failure));
}

ProbeResult tls_failed(const Failure& failure, Clock::duration latency) {
  if (errno_in(failure.message) == ECONNRESET) return fail_result(Reason::reset, latency, "during the TLS handshake");
  return fail_result(Reason::tls_failed, latency, tls_detail_of(failure));
}

/// A code that is not listed, perhaps of a libcurl that is newer than this program. What happens once the connection is being made is the
/// server's doing: a server that can provoke such a code must not be inconclusive for ever. A connection that cannot be made has a code.
ProbeResult other_failure(const Failure& failure, Clock::duration latency) {
  if (failure.phase >= Phase::waiting) return fail_result(Reason::garbled, latency, detail_of(failure));
  if (failure.phase == Phase::tls || (failure.tls && failure.attempted)) return tls_failed(failure, latency);
  return local_failure(failure, latency);
}

} // namespace

std::optional<unsigned> parse_status_line(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  constexpr std::string_view two = "HTTP/2 ", one = "HTTP/1.1 ";
  const bool dotted =
      line.size() >= one.size() && line.starts_with("HTTP/") && is_digit(line[5]) && line[6] == '.' && is_digit(line[7]) && line[8] == ' ';
  if (!dotted && !line.starts_with(two)) return std::nullopt;
  line.remove_prefix(dotted ? one.size() : two.size());
  const std::string_view code = line.substr(0, 3);
  if (code.size() < 3 || !std::ranges::all_of(code, is_digit) || code[0] == '0') return std::nullopt;
  if (line.size() > 3 && line[3] != ' ') return std::nullopt;
  unsigned status = 0;
  for (const char digit : code) status = status * 10 + static_cast<unsigned>(digit - '0');
  return status;
}

bool matches(const std::vector<StatusRange>& ranges, unsigned status) {
  if (ranges.empty()) return StatusRange{}.first <= status && status <= StatusRange{}.last;
  return std::ranges::any_of(ranges, [status](const StatusRange& range) { return status >= range.first && status <= range.last; });
}

std::string_view to_text(Phase phase) {
  switch (phase) {
  case Phase::connecting: return "no connection";
  case Phase::tls: return "connected, TLS handshake incomplete";
  case Phase::waiting: return "connected, no reply";
  case Phase::receiving: return "incomplete reply";
  }
  return "?";
}

bool HttpReader::decide(Reason reason, std::string_view detail) {
  verdict_ = Verdict{.reason = reason, .detail = sanitized(detail)};
  return false;
}

bool HttpResponse::header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > longest_header) return decide(Reason::too_large, {});
  if (status_line_next_) {
    const auto status = parse_status_line(line);
    const bool two = line.starts_with("HTTP/2 ");
    if (!status || (two && !spec_.http2)) return decide(Reason::garbled, line.substr(0, line.find_first_of("\r\n")));
    if (spec_.http2 && !two) return decide(Reason::garbled, "no HTTP/2");
    status_ = *status;
    status_line_next_ = false;
    return true;
  }
  if (line != "\r\n" && line != "\n") return true;
  return header_complete_ || end_of_header(); // true: the end of trailers
}

bool HttpResponse::end_of_header() {
  // A final response follows 1xx, except 101, which is never requested.
  if (status_ < 200 && status_ != 101) {
    status_line_next_ = true;
    return true;
  }
  header_complete_ = true;
  if (!spec_.full.empty() && matches(spec_.full, status_)) return decide(Reason::full, fmt::format("{}", status_));
  if (!matches(spec_.status, status_)) return decide(Reason::wrong_status, fmt::format("{}", status_));
  return true;
}

bool HttpResponse::body(std::string_view piece) {
  piece = piece.substr(0, longest_body - body_bytes_);
  body_bytes_ += piece.size();
  if (!spec_.body.empty()) text_.append(piece);
  return body_bytes_ < longest_body || judge_body();
}

bool HttpResponse::judge_body() {
  const bool found = spec_.body.empty() || spec_.body.found_in(text_);
  return decide(found ? Reason::answered : Reason::wrong_answer, fmt::format("{}", status_));
}

void HttpResponse::end() {
  if (verdict() != nullptr) return;
  if (!header_complete_)
    decide(Reason::garbled, "no status line");
  else
    judge_body();
}

ProbeResult result_from_curl(const Failure& failure, Clock::duration latency) {
  constexpr auto too_large = static_cast<CURLcode>(100); // CURLE_TOO_LARGE of libcurl 8.6
  if (failure.code == too_large) return out_of_memory(failure, latency);
  switch (failure.code) { // curl has a hundred codes
  case CURLE_COULDNT_CONNECT: return no_connection(failure, latency);
  case CURLE_OPERATION_TIMEDOUT: return fail_result(Reason::timeout, latency, std::string{to_text(failure.phase)});
  case CURLE_GOT_NOTHING: return fail_result(Reason::closed, latency, failure.http2 ? "no HTTP/2 response" : "no response");
  case CURLE_PARTIAL_FILE: return fail_result(Reason::closed, latency, "incomplete reply");
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR: return broken_off(failure, latency);
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_CLIENTCERT:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_INVALIDCERTSTATUS: return tls_failed(failure, latency);
  case CURLE_UNSUPPORTED_PROTOCOL: // also "Received HTTP/0.9 when not allowed"
    return failure.phase < Phase::waiting ? local_failure(failure, latency) : other_failure(failure, latency);
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM: return fail_result(Reason::garbled, latency, detail_of(failure));
  case CURLE_OUT_OF_MEMORY: return out_of_memory(failure, latency);
  case CURLE_INTERFACE_FAILED: return inconclusive_result(Reason::no_ports, latency, detail_of(failure));
  // What no server can cause: the set-up of curl, the request, and files of this machine.
  case CURLE_FAILED_INIT:
  case CURLE_URL_MALFORMAT:
  case CURLE_NOT_BUILT_IN:
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_READ_ERROR:
  case CURLE_ABORTED_BY_CALLBACK:
  case CURLE_BAD_FUNCTION_ARGUMENT:
  case CURLE_UNKNOWN_OPTION:
  case CURLE_SSL_ENGINE_NOTFOUND:
  case CURLE_SSL_ENGINE_SETFAILED:
  case CURLE_SSL_ENGINE_INITFAILED:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CRL_BADFILE:
  case CURLE_NO_CONNECTION_AVAILABLE:
  case CURLE_UNRECOVERABLE_POLL: return local_failure(failure, latency);
  default: return other_failure(failure, latency);
  }
}

} // namespace hanat::probes
