// Results as values: text of every enum value, errno and libcurl errors as reasons, HTTP responses, the lateness histogram.
#include <algorithm>
#include <cerrno>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "probes/kinds/http_answer.hpp"
#include "probes/result.hpp"
#include "probes/scheduling/scheduler.hpp"

namespace hanat::probes {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

std::vector<Reason> every_reason() {
  std::vector<Reason> reasons;
  for (int value = 0; value <= static_cast<int>(Reason::local_error); ++value) reasons.push_back(static_cast<Reason>(value));
  return reasons;
}

TEST(ProbeText, EveryReasonHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (const Reason reason : every_reason()) {
    EXPECT_NE(to_text(reason), "?");
    EXPECT_TRUE(words.insert(to_text(reason)).second) << to_text(reason);
    EXPECT_EQ(to_text(reason).find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string_view::npos) << to_text(reason);
  }
}

TEST(ProbeText, EveryReasonHasASentenceOfItsOwn) {
  std::set<std::string_view> sentences;
  for (const Reason reason : every_reason()) {
    EXPECT_GT(explain(reason).size(), 30U) << to_text(reason);
    EXPECT_TRUE(sentences.insert(explain(reason)).second) << to_text(reason);
  }
}

TEST(ProbeText, AnInvalidValueIsAQuestionMark) {
  EXPECT_EQ(to_text(static_cast<Reason>(200)), "?");
  EXPECT_EQ(explain(static_cast<Reason>(200)), "?");
}

TEST(ProbeText, KindsAndOutcomes) {
  EXPECT_EQ(to_text(Kind::tcp), "tcp");
  EXPECT_EQ(to_text(Kind::http), "http");
  EXPECT_EQ(to_text(Kind::https), "https");
  EXPECT_EQ(to_text(Outcome::pass), "pass");
  EXPECT_EQ(to_text(Outcome::fail), "fail");
  EXPECT_EQ(to_text(Outcome::inconclusive), "inconclusive");
}

TEST(ProbeText, TextOfAServerIsSanitized) {
  EXPECT_EQ(sanitized("OK \x1b]0;x\x07"), "OK ?]0;x?");
  EXPECT_EQ(sanitized("a\0b\xc3\xa4\n"s), "a?b???");
  EXPECT_EQ(sanitized(std::string(1000, 'x')).size(), 80U);
}

TEST(ProbeErrno, FailuresOfTheServerAreFails) {
  const std::pair<int, Reason> cases[] = {
      {ECONNREFUSED, Reason::refused},       {ENOPROTOOPT, Reason::refused},
      {ECONNRESET, Reason::reset},           {EPIPE, Reason::reset},
      {ETIMEDOUT, Reason::timeout},          {EHOSTUNREACH, Reason::host_unreachable},
      {EHOSTDOWN, Reason::host_unreachable}, {ENETUNREACH, Reason::net_unreachable},
      {ENETDOWN, Reason::net_unreachable},
  };
  for (const auto& [error, reason] : cases)
    EXPECT_EQ(result_from_errno(error, 3ms), (ProbeResult{Outcome::fail, reason, 3ms, ""})) << error;
}

TEST(ProbeErrno, LocalFailuresAreInconclusiveAndNameTheError) {
  const std::pair<int, Reason> cases[] = {
      {EMFILE, Reason::no_descriptors}, {ENFILE, Reason::no_descriptors},  {ENOBUFS, Reason::no_buffers},
      {ENOMEM, Reason::no_buffers},     {EADDRNOTAVAIL, Reason::no_ports}, {EADDRINUSE, Reason::no_ports},
      {EAGAIN, Reason::no_ports},       {EPERM, Reason::forbidden},        {EACCES, Reason::forbidden},
      {EINVAL, Reason::local_error},    {EBADF, Reason::local_error},      {EAFNOSUPPORT, Reason::local_error},
      {0, Reason::local_error},
  };
  for (const auto& [error, reason] : cases) {
    const ProbeResult result = result_from_errno(error, 3ms);
    EXPECT_EQ(result.outcome, Outcome::inconclusive) << error;
    EXPECT_EQ(result.reason, reason) << error;
    EXPECT_FALSE(result.detail.empty()) << error;
  }
}

TEST(ProbeErrno, ABlackholeRouteIsNoRoute) {
  EXPECT_EQ(result_from_connect(EINVAL, 3ms), (ProbeResult{Outcome::fail, Reason::net_unreachable, 3ms, "blackhole route"}));
  EXPECT_EQ(result_from_connect(EMFILE, 3ms), result_from_errno(EMFILE, 3ms));
}

TEST(PassResult, IsSlowOnlyAfterSlow) {
  ProbeSpec spec;
  EXPECT_EQ(pass_result(spec, Reason::connected, 400ms).reason, Reason::connected);
  spec.slow = 100ms;
  EXPECT_EQ(pass_result(spec, Reason::connected, 100ms).outcome, Outcome::pass);
  EXPECT_EQ(pass_result(spec, Reason::connected, 101ms), (ProbeResult{Outcome::pass, Reason::slow, 101ms, ""})) << "a warning";
  spec.critical = true;
  EXPECT_EQ(pass_result(spec, Reason::connected, 101ms), (ProbeResult{Outcome::fail, Reason::slow, 101ms, ""}));
}

TEST(PassResult, ACertificateThatExpiresIsAWarningUnlessTheProbeIsCritical) {
  ProbeSpec spec;
  const Verdict expires{Reason::certificate_expires, "expires in 9 days"};
  EXPECT_EQ(result_from_verdict(spec, expires, 1ms), (ProbeResult{Outcome::pass, Reason::certificate_expires, 1ms, "expires in 9 days"}));
  spec.critical = true;
  EXPECT_EQ(result_from_verdict(spec, expires, 1ms).outcome, Outcome::fail);
}

TEST(PassResult, AVerdictBecomesAResultWithASanitizedDetail) {
  EXPECT_EQ(result_from_verdict({}, {Reason::answered, "ignored"}, 1ms), (ProbeResult{Outcome::pass, Reason::answered, 1ms, ""}));
  EXPECT_EQ(result_from_verdict({}, {Reason::garbled, "\x1b]"}, 1ms), (ProbeResult{Outcome::fail, Reason::garbled, 1ms, "?]"}));
}

TEST(LatenessHistogram, AQuantileIsTheUpperEdgeOfItsStep) {
  LatenessHistogram lateness;
  EXPECT_EQ(lateness.quantile(0.99), 0ms);
  lateness.counts[0] = 98;
  lateness.counts[10] = 1;
  lateness.counts[1023] = 1;
  lateness.started = 100;
  EXPECT_EQ(lateness.quantile(0.5), 100us);
  EXPECT_EQ(lateness.quantile(0.99), 1100us);
  EXPECT_EQ(lateness.quantile(1.0), 102400us);
}

TEST(HttpStatusLine, AStrictOneIsRead) {
  EXPECT_EQ(parse_status_line("HTTP/1.1 200 OK\r\n"), 200U);
  EXPECT_EQ(parse_status_line("HTTP/1.0 503 \r\n"), 503U);
  EXPECT_EQ(parse_status_line("HTTP/1.1 100\n"), 100U);
  EXPECT_EQ(parse_status_line("HTTP/1.1 999"), 999U);
  EXPECT_EQ(parse_status_line("HTTP/2 200 \r\n"), 200U);
}

TEST(HttpStatusLine, AHostileOneIsNot) {
  for (const std::string& line : {""s,
                                  "HTTP/1.1aa200"s,
                                  "HTTP/1.1 -200 OK"s,
                                  "HTTP/1.1 9999 OK"s,
                                  "HTTP/1.1 20000000000000000000"s,
                                  "HTTP/1.1 20"s,
                                  "HTTP/1.1 2\0"s + "0"s,
                                  "HTTP/1.1 \0"s,
                                  "HTTP/1.1  200"s,
                                  "HTTP/1.1\t200 OK"s,
                                  "HTTP/11.1 200"s,
                                  "HTTP/1 200 OK    "s,
                                  "http/1.1 200 OK"s,
                                  "HTTP/2 20"s,
                                  "HTTP/2  200"s,
                                  "HTTP/2"s,
                                  "HTTP/3 200"s,
                                  " HTTP/1.1 200 OK"s,
                                  "HTTP/1.1 099 x"s,
                                  "HTTP/1.1 200OK"s,
                                  "ICY 200 OK      "s,
                                  std::string(100, 'A')})
    EXPECT_EQ(parse_status_line(line), std::nullopt) << line;
}

struct HttpResponseTest : testing::Test {
  HttpSpec spec;
  Reason reason(std::initializer_list<std::string_view> header, std::string_view body = {}) {
    HttpResponse response{spec};
    const bool read = std::ranges::all_of(header, [&](std::string_view line) { return response.header(line); });
    if (read && (body.empty() || response.body(body))) response.end();
    EXPECT_NE(response.verdict(), nullptr);
    return response.verdict() != nullptr ? response.verdict()->reason : Reason::local_error;
  }
};

TEST_F(HttpResponseTest, AStatusWithinTheRangesPasses) {
  spec.status = {{200, 204}, {401, 401}};
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "A: b\r\n", "\r\n"}), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 401 No\r\n", "\r\n"}), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 205 Reset\r\n", "\r\n"}), Reason::wrong_status);
}

TEST_F(HttpResponseTest, AWrongStatusIsKnownBeforeTheBody) {
  HttpResponse response{spec};
  EXPECT_TRUE(response.header("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_FALSE(response.header("\r\n"));
  ASSERT_TRUE(response.verdict());
  EXPECT_EQ(response.verdict()->reason, Reason::wrong_status);
  EXPECT_EQ(response.verdict()->detail, "503");
}

TEST_F(HttpResponseTest, AStatusMayMeanFull) {
  EXPECT_EQ(reason({"HTTP/1.1 503 Busy\r\n", "\r\n"}), Reason::wrong_status);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}), Reason::answered);
  spec.full = {{429, 429}, {503, 504}};
  for (const char* line : {"HTTP/1.1 429 Too Many Requests\r\n", "HTTP/1.1 503 Busy\r\n", "HTTP/1.1 504 x\r\n"})
    EXPECT_EQ(reason({line, "\r\n"}), Reason::full) << line;
  EXPECT_EQ(reason({"HTTP/1.1 500 x\r\n", "\r\n"}), Reason::wrong_status);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}), Reason::answered);
}

TEST_F(HttpResponseTest, InterimResponsesAreSkipped) {
  EXPECT_EQ(reason({"HTTP/1.1 100 Continue\r\n", "\r\n", "HTTP/1.1 103 Early\r\n", "X: y\r\n", "\r\n", "HTTP/1.1 200 OK\r\n", "\r\n"}),
            Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 100 Continue\r\n", "\r\n"}), Reason::garbled);
  EXPECT_EQ(reason({"HTTP/1.1 101 Switching\r\n", "\r\n"}), Reason::wrong_status);
}

TEST_F(HttpResponseTest, HttpOfTheOtherVersionIsGarbled) {
  EXPECT_EQ(reason({"HTTP/2 200 \r\n"}), Reason::garbled);
  spec.http2 = true;
  EXPECT_EQ(reason({"HTTP/2 200 \r\n", "\r\n"}), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n"}), Reason::garbled);
}

TEST_F(HttpResponseTest, AllHeaderLinesTogetherAreBounded) {
  HttpResponse response{spec};
  EXPECT_TRUE(response.header("HTTP/1.1 200 OK\r\n"));
  int lines = 0;
  while (response.header("X: 0123456789\r\n")) ASSERT_LT(++lines, 10'000);
  EXPECT_EQ(response.verdict()->reason, Reason::too_large);
  EXPECT_EQ(lines, (65536 - 17) / 15);
}

TEST_F(HttpResponseTest, TheBodyIsSearchedAcrossPiecesAndOnlyItsBeginning) {
  spec.body = Pattern::text("all well");
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}, "<p>all well</p>"), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}, "<p>all wrong</p>"), Reason::wrong_answer);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}), Reason::wrong_answer);
  HttpResponse response{spec};
  EXPECT_TRUE(response.header("HTTP/1.1 200 OK\r\n") && response.header("\r\n") && response.body("all ") && response.body("well"));
  response.end();
  EXPECT_EQ(response.verdict()->reason, Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}, std::string(65536, ' ') + "all well"), Reason::wrong_answer);
}

TEST_F(HttpResponseTest, AnEndlessBodyIsAborted) {
  HttpResponse response{spec};
  EXPECT_TRUE(response.header("HTTP/1.1 200 OK\r\n") && response.header("\r\n"));
  EXPECT_TRUE(response.body(std::string(65535, 'x')));
  EXPECT_FALSE(response.body(std::string(2, 'x')));
  EXPECT_EQ(response.verdict()->reason, Reason::answered);
}

TEST_F(HttpResponseTest, AnEmptyResponseIsGarbled) { EXPECT_EQ(reason({}), Reason::garbled); }

TEST(HttpFailure, LocalFailuresAreInconclusive) {
  EXPECT_EQ(result_from_curl({.code = CURLE_COULDNT_CONNECT, .error = EMFILE, .message = ""}, 1ms).reason, Reason::no_descriptors);
  EXPECT_EQ(result_from_curl({.code = CURLE_COULDNT_CONNECT, .error = 0, .message = "x"}, 1ms).outcome, Outcome::inconclusive);
  EXPECT_EQ(result_from_curl({.code = CURLE_OUT_OF_MEMORY, .message = ""}, 1ms).reason, Reason::no_buffers);
  EXPECT_EQ(result_from_curl({.code = CURLE_INTERFACE_FAILED, .message = ""}, 1ms).outcome, Outcome::inconclusive);
  EXPECT_EQ(result_from_curl({.code = CURLE_URL_MALFORMAT, .message = ""}, 1ms).outcome, Outcome::inconclusive);
  EXPECT_EQ(result_from_curl({.code = CURLE_UNSUPPORTED_PROTOCOL, .message = "no https"}, 1ms).outcome, Outcome::inconclusive);
  EXPECT_EQ(result_from_curl({.code = CURLE_SSL_CACERT_BADFILE, .message = "no bundle"}, 1ms).detail, "no bundle");
}

TEST(HttpFailure, ACodeThatNobodyKnowsIsTheServersFailureOnceItIsAsked) {
  constexpr auto unknown = static_cast<CURLcode>(120);
  const auto result = [](Phase phase, bool tls, bool attempted) {
    return result_from_curl({.code = unknown, .phase = phase, .tls = tls, .attempted = attempted, .message = "odd"}, 1ms);
  };
  for (const Phase phase : {Phase::waiting, Phase::receiving})
    EXPECT_EQ(result(phase, false, true), fail_result(Reason::garbled, 1ms, "odd"));
  EXPECT_EQ(result(Phase::tls, true, true), fail_result(Reason::tls_failed, 1ms, "odd"));
  EXPECT_EQ(result(Phase::connecting, true, true), fail_result(Reason::tls_failed, 1ms, "odd")) << "curl has no moment of the connection";
  EXPECT_EQ(result(Phase::connecting, true, false), inconclusive_result(Reason::local_error, 1ms, "odd"));
  EXPECT_EQ(result(Phase::connecting, false, true), inconclusive_result(Reason::local_error, 1ms, "odd"));
}

TEST(HttpFailure, AnIcmpErrorIsNotThisMachinesFirewall) {
  const auto reason = [](int error, bool attempted) {
    return result_from_curl({.code = CURLE_COULDNT_CONNECT, .error = error, .attempted = attempted, .message = ""}, 1ms).reason;
  };
  for (const int error : {EACCES, EPROTO, EMSGSIZE, EOPNOTSUPP}) EXPECT_EQ(reason(error, true), Reason::host_unreachable) << error;
  EXPECT_EQ(reason(EACCES, false), Reason::forbidden);
}

TEST(HttpFailure, FailuresOfTheServerAreFails) {
  const std::pair<Failure, Reason> cases[] = {
      {{.code = CURLE_COULDNT_CONNECT, .error = ECONNREFUSED, .message = ""}, Reason::refused},
      {{.code = CURLE_COULDNT_CONNECT, .error = ENETUNREACH, .message = ""}, Reason::net_unreachable},
      {{.code = CURLE_OPERATION_TIMEDOUT, .message = ""}, Reason::timeout},
      {{.code = CURLE_GOT_NOTHING, .message = ""}, Reason::closed},
      {{.code = CURLE_PARTIAL_FILE, .message = ""}, Reason::closed},
      {{.code = CURLE_RECV_ERROR, .error = ECONNRESET, .message = ""}, Reason::reset},
      {{.code = CURLE_RECV_ERROR, .message = "Recv failure: Connection reset by peer"}, Reason::reset},
      {{.code = CURLE_SEND_ERROR, .message = "Send failure: Broken pipe"}, Reason::reset},
      {{.code = CURLE_RECV_ERROR, .message = "Recv failure: No route to host"}, Reason::host_unreachable},
      {{.code = CURLE_RECV_ERROR, .message = "chunk hell"}, Reason::garbled},
      {{.code = CURLE_RECV_ERROR, .tls = true, .message = "OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading"},
       Reason::closed},
      {{.code = CURLE_RECV_ERROR, .tls = true, .message = "OpenSSL SSL_read: error:0A0000:SSL routines::bad record mac"},
       Reason::tls_failed},
      {{.code = CURLE_OUT_OF_MEMORY, .phase = Phase::waiting, .message = ""}, Reason::too_large},
      {{.code = static_cast<CURLcode>(100), .phase = Phase::waiting, .message = ""}, Reason::too_large}, // CURLE_TOO_LARGE
      {{.code = CURLE_UNSUPPORTED_PROTOCOL, .phase = Phase::waiting, .message = ""}, Reason::garbled},
      {{.code = CURLE_WRITE_ERROR, .phase = Phase::receiving, .message = ""}, Reason::garbled},
      {{.code = CURLE_SSL_CLIENTCERT, .message = ""}, Reason::tls_failed},
      {{.code = CURLE_WEIRD_SERVER_REPLY, .message = ""}, Reason::garbled},
      {{.code = CURLE_PEER_FAILED_VERIFICATION, .message = ""}, Reason::tls_failed},
      {{.code = CURLE_SSL_CONNECT_ERROR, .message = "OpenSSL SSL_connect: Connection reset by peer in connection to x:443"}, Reason::reset},
  };
  for (const auto& [failure, reason] : cases) {
    const ProbeResult result = result_from_curl(failure, 1ms);
    EXPECT_EQ(result.outcome, Outcome::fail) << failure.code << ' ' << failure.message;
    EXPECT_EQ(result.reason, reason) << failure.code << ' ' << failure.message;
  }
}

TEST(HttpFailure, TheDetailIsTheLastPartOfTheMessage) {
  const auto detail = [](std::string_view message) {
    return result_from_curl({.code = CURLE_SSL_CONNECT_ERROR, .tls = true, .message = message}, 1ms).detail;
  };
  EXPECT_EQ(detail("SSL certificate problem: self-signed certificate"),
            "self-signed certificate: name the authority that signed it: tls = { ca = \"/path.pem\" }");
  EXPECT_EQ(detail("OpenSSL/3.0.20: error:0A00010B:SSL routines::wrong version number"),
            "the server does not speak TLS on this port (wrong version number): probe without TLS, or another port");
  EXPECT_EQ(detail("OpenSSL/3.5.1: error:0A000102:SSL routines::unsupported protocol"),
            "the server speaks TLS 1.1 at most (unsupported protocol): let it speak TLS 1.2");
  EXPECT_EQ(detail("OpenSSL/3.0.19: error:0A00045C:SSL routines::tlsv13 alert certificate required, errno 0"),
            "the server wants a client certificate: write tls = { cert = \"...\", key = \"...\" } into the probe");
  EXPECT_EQ(detail(""), curl_easy_strerror(CURLE_SSL_CONNECT_ERROR));
}

TEST(HttpFailure, HasADetailWhereCurlHasNoMessage) {
  EXPECT_EQ(result_from_curl({.code = CURLE_RECV_ERROR, .error = ECONNRESET, .phase = Phase::waiting, .message = ""}, 1ms),
            fail_result(Reason::reset, 1ms, "connected, no reply"));
  for (const CURLcode code : {CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_RECV_ERROR, CURLE_WEIRD_SERVER_REPLY})
    EXPECT_EQ(result_from_curl({.code = code, .phase = Phase::waiting, .http2 = true, .message = ""}, 1ms).detail,
              curl_easy_strerror(code));
}

} // namespace
} // namespace hanat::probes
