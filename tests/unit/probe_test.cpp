// The pure parts of probes: words of every value, errno and libcurl errors sorted, HTTP answers judged.
#include <algorithm>
#include <cerrno>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "probes/asking.hpp"
#include "probes/engine.hpp"
#include "probes/http_answer.hpp"
#include "probes/probe.hpp"

namespace hanat::probes {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

std::vector<Reason> every_reason() {
  std::vector<Reason> reasons;
  for (int value = 0; value <= static_cast<int>(Reason::local_error); ++value) reasons.push_back(static_cast<Reason>(value));
  return reasons;
}

TEST(ProbeWords, EveryReasonHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (const Reason reason : every_reason()) {
    EXPECT_NE(to_text(reason), "?");
    EXPECT_TRUE(words.insert(to_text(reason)).second) << to_text(reason);
    EXPECT_EQ(to_text(reason).find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string_view::npos) << to_text(reason);
  }
}

TEST(ProbeWords, EveryReasonHasASentenceOfItsOwn) {
  std::set<std::string_view> sentences;
  for (const Reason reason : every_reason()) {
    EXPECT_GT(explain(reason).size(), 30U) << to_text(reason);
    EXPECT_TRUE(sentences.insert(explain(reason)).second) << to_text(reason);
  }
}

TEST(ProbeWords, AValueOutsideTheListHasAQuestionMark) {
  EXPECT_EQ(to_text(static_cast<Reason>(200)), "?");
  EXPECT_EQ(explain(static_cast<Reason>(200)), "?");
}

TEST(ProbeWords, KindsAndOutcomes) {
  EXPECT_EQ(to_text(Kind::tcp), "tcp");
  EXPECT_EQ(to_text(Kind::http), "http");
  EXPECT_EQ(to_text(Kind::https), "https");
  EXPECT_EQ(to_text(Outcome::normal), "normal");
  EXPECT_EQ(to_text(Outcome::abnormal), "abnormal");
  EXPECT_EQ(to_text(Outcome::blind), "blind");
}

TEST(ProbeWords, TextOfAServerCannotSteerATerminal) {
  EXPECT_EQ(sanitized("OK \x1b]0;x\x07"), "OK ?]0;x?");
  EXPECT_EQ(sanitized("a\0b\xc3\xa4\n"s), "a?b???");
  EXPECT_EQ(sanitized(std::string(1000, 'x')).size(), 80U);
}

TEST(ProbeErrno, TheServersFailuresAreAbnormal) {
  const std::pair<int, Reason> cases[] = {
      {ECONNREFUSED, Reason::refused},       {ENOPROTOOPT, Reason::refused},
      {ECONNRESET, Reason::reset},           {EPIPE, Reason::reset},
      {ETIMEDOUT, Reason::timeout},          {EHOSTUNREACH, Reason::host_unreachable},
      {EHOSTDOWN, Reason::host_unreachable}, {ENETUNREACH, Reason::net_unreachable},
      {ENETDOWN, Reason::net_unreachable},
  };
  for (const auto& [error, reason] : cases) EXPECT_EQ(answer_from_errno(error, 3ms), (Answer{Outcome::abnormal, reason, 3ms, ""})) << error;
}

TEST(ProbeErrno, OurOwnFailuresAreBlindAndSayWhichCallFailed) {
  const std::pair<int, Reason> cases[] = {
      {EMFILE, Reason::no_descriptors}, {ENFILE, Reason::no_descriptors},  {ENOBUFS, Reason::no_buffers},
      {ENOMEM, Reason::no_buffers},     {EADDRNOTAVAIL, Reason::no_ports}, {EADDRINUSE, Reason::no_ports},
      {EAGAIN, Reason::no_ports},       {EPERM, Reason::forbidden},        {EACCES, Reason::forbidden},
      {EINVAL, Reason::local_error},    {EBADF, Reason::local_error},      {EAFNOSUPPORT, Reason::local_error},
      {0, Reason::local_error},
  };
  for (const auto& [error, reason] : cases) {
    const Answer answer = answer_from_errno(error, 3ms);
    EXPECT_EQ(answer.outcome, Outcome::blind) << error;
    EXPECT_EQ(answer.reason, reason) << error;
    EXPECT_FALSE(answer.detail.empty()) << error;
  }
}

TEST(ProbeErrno, ConnectSaysInvalidOfABlackholeRoute) {
  EXPECT_EQ(answer_from_connect(EINVAL, 3ms), (Answer{Outcome::abnormal, Reason::net_unreachable, 3ms, "blackhole route"}));
  EXPECT_EQ(answer_from_connect(EMFILE, 3ms), answer_from_errno(EMFILE, 3ms));
}

TEST(ProbeAnswer, ARightAnswerIsSlowOnlyAfterSlow) {
  Spec spec;
  EXPECT_EQ(right_answer(spec, Reason::connected, 400ms).reason, Reason::connected);
  spec.slow = 100ms;
  EXPECT_EQ(right_answer(spec, Reason::connected, 100ms).outcome, Outcome::normal);
  EXPECT_EQ(right_answer(spec, Reason::connected, 101ms), (Answer{Outcome::abnormal, Reason::slow, 101ms, ""}));
}

TEST(ProbeLateness, AQuantileIsTheUpperEdgeOfItsStep) {
  Lateness lateness;
  EXPECT_EQ(lateness.quantile(0.99), 0ms);
  lateness.counts[0] = 98;
  lateness.counts[10] = 1;
  lateness.counts[1023] = 1;
  lateness.asked = 100;
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

struct HttpJudged : testing::Test {
  HttpSpec spec;
  Reason reason(std::initializer_list<std::string_view> header, std::string_view body = {}) {
    HttpAnswer answer{spec};
    const bool read = std::ranges::all_of(header, [&](std::string_view line) { return answer.header(line); });
    if (read && (body.empty() || answer.body(body))) answer.end();
    EXPECT_NE(answer.verdict(), nullptr);
    return answer.verdict() != nullptr ? answer.verdict()->reason : Reason::local_error;
  }
};

TEST_F(HttpJudged, StatusWithinTheRangesIsRight) {
  spec.status = {{200, 204}, {401, 401}};
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "A: b\r\n", "\r\n"}), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 401 No\r\n", "\r\n"}), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 205 Reset\r\n", "\r\n"}), Reason::wrong_status);
}

TEST_F(HttpJudged, AWrongStatusIsKnownBeforeTheBody) {
  HttpAnswer answer{spec};
  EXPECT_TRUE(answer.header("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_FALSE(answer.header("\r\n"));
  ASSERT_TRUE(answer.verdict());
  EXPECT_EQ(answer.verdict()->reason, Reason::wrong_status);
  EXPECT_EQ(answer.verdict()->detail, "503");
}

TEST_F(HttpJudged, InterimAnswersAreSkipped) {
  EXPECT_EQ(reason({"HTTP/1.1 100 Continue\r\n", "\r\n", "HTTP/1.1 103 Early\r\n", "X: y\r\n", "\r\n", "HTTP/1.1 200 OK\r\n", "\r\n"}),
            Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 100 Continue\r\n", "\r\n"}), Reason::garbled);
  EXPECT_EQ(reason({"HTTP/1.1 101 Switching\r\n", "\r\n"}), Reason::wrong_status);
}

TEST_F(HttpJudged, WhereHttp2IsWantedHttp1IsGarbledAndTheOtherWayRound) {
  EXPECT_EQ(reason({"HTTP/2 200 \r\n"}), Reason::garbled);
  spec.http2 = true;
  EXPECT_EQ(reason({"HTTP/2 200 \r\n", "\r\n"}), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n"}), Reason::garbled);
}

TEST_F(HttpJudged, AllHeaderLinesTogetherAreBounded) {
  HttpAnswer answer{spec};
  EXPECT_TRUE(answer.header("HTTP/1.1 200 OK\r\n"));
  int lines = 0;
  while (answer.header("X: 0123456789\r\n")) ASSERT_LT(++lines, 10'000);
  EXPECT_EQ(answer.verdict()->reason, Reason::too_large);
  EXPECT_EQ(lines, (65536 - 17) / 15);
}

TEST_F(HttpJudged, TheBodyIsSearchedAcrossPiecesAndOnlyItsBeginning) {
  spec.body = Pattern::text("all well");
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}, "<p>all well</p>"), Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}, "<p>all wrong</p>"), Reason::wrong_answer);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}), Reason::wrong_answer);
  HttpAnswer answer{spec};
  EXPECT_TRUE(answer.header("HTTP/1.1 200 OK\r\n") && answer.header("\r\n") && answer.body("all ") && answer.body("well"));
  answer.end();
  EXPECT_EQ(answer.verdict()->reason, Reason::answered);
  EXPECT_EQ(reason({"HTTP/1.1 200 OK\r\n", "\r\n"}, std::string(65536, ' ') + "all well"), Reason::wrong_answer);
}

TEST_F(HttpJudged, AnEndlessBodyIsBrokenOff) {
  HttpAnswer answer{spec};
  EXPECT_TRUE(answer.header("HTTP/1.1 200 OK\r\n") && answer.header("\r\n"));
  EXPECT_TRUE(answer.body(std::string(65535, 'x')));
  EXPECT_FALSE(answer.body(std::string(2, 'x')));
  EXPECT_EQ(answer.verdict()->reason, Reason::answered);
}

TEST_F(HttpJudged, NoAnswerAtAllIsGarbled) { EXPECT_EQ(reason({}), Reason::garbled); }

TEST(HttpFailure, OurOwnAreBlind) {
  EXPECT_EQ(answer_from_curl({.code = CURLE_COULDNT_CONNECT, .error = EMFILE, .words = ""}, 1ms).reason, Reason::no_descriptors);
  EXPECT_EQ(answer_from_curl({.code = CURLE_COULDNT_CONNECT, .error = 0, .words = "x"}, 1ms).outcome, Outcome::blind);
  EXPECT_EQ(answer_from_curl({.code = CURLE_OUT_OF_MEMORY, .words = ""}, 1ms).reason, Reason::no_buffers);
  EXPECT_EQ(answer_from_curl({.code = CURLE_INTERFACE_FAILED, .words = ""}, 1ms).outcome, Outcome::blind);
  EXPECT_EQ(answer_from_curl({.code = CURLE_URL_MALFORMAT, .words = ""}, 1ms).outcome, Outcome::blind);
  EXPECT_EQ(answer_from_curl({.code = CURLE_UNSUPPORTED_PROTOCOL, .words = "no https"}, 1ms).outcome, Outcome::blind);
  EXPECT_EQ(answer_from_curl({.code = CURLE_SSL_CACERT_BADFILE, .words = "no bundle"}, 1ms).detail, "no bundle");
}

TEST(HttpFailure, TheServersAreAbnormal) {
  const std::pair<Failure, Reason> cases[] = {
      {{.code = CURLE_COULDNT_CONNECT, .error = ECONNREFUSED, .words = ""}, Reason::refused},
      {{.code = CURLE_COULDNT_CONNECT, .error = ENETUNREACH, .words = ""}, Reason::net_unreachable},
      {{.code = CURLE_OPERATION_TIMEDOUT, .words = ""}, Reason::timeout},
      {{.code = CURLE_GOT_NOTHING, .words = ""}, Reason::closed},
      {{.code = CURLE_PARTIAL_FILE, .words = ""}, Reason::closed},
      {{.code = CURLE_RECV_ERROR, .error = ECONNRESET, .words = ""}, Reason::reset},
      {{.code = CURLE_RECV_ERROR, .words = "Recv failure: Connection reset by peer"}, Reason::reset},
      {{.code = CURLE_SEND_ERROR, .words = "Send failure: Broken pipe"}, Reason::reset},
      {{.code = CURLE_RECV_ERROR, .words = "Recv failure: No route to host"}, Reason::host_unreachable},
      {{.code = CURLE_RECV_ERROR, .words = "chunk hell"}, Reason::garbled},
      {{.code = CURLE_RECV_ERROR, .tls = true, .words = "OpenSSL SSL_read: error:0A000126:SSL routines::unexpected eof while reading"},
       Reason::closed},
      {{.code = CURLE_RECV_ERROR, .tls = true, .words = "OpenSSL SSL_read: error:0A0000:SSL routines::bad record mac"}, Reason::tls_failed},
      {{.code = CURLE_OUT_OF_MEMORY, .phase = Phase::waiting, .words = ""}, Reason::too_large},
      {{.code = CURLE_UNSUPPORTED_PROTOCOL, .phase = Phase::waiting, .words = ""}, Reason::garbled},
      {{.code = CURLE_WEIRD_SERVER_REPLY, .words = ""}, Reason::garbled},
      {{.code = CURLE_PEER_FAILED_VERIFICATION, .words = ""}, Reason::tls_failed},
      {{.code = CURLE_SSL_CONNECT_ERROR, .words = "OpenSSL SSL_connect: Connection reset by peer in connection to x:443"}, Reason::reset},
  };
  for (const auto& [failure, reason] : cases) {
    const Answer answer = answer_from_curl(failure, 1ms);
    EXPECT_EQ(answer.outcome, Outcome::abnormal) << failure.code << ' ' << failure.words;
    EXPECT_EQ(answer.reason, reason) << failure.code << ' ' << failure.words;
  }
}

TEST(HttpFailure, TheDetailIsTheNewsAlone) {
  const auto detail = [](std::string_view words) {
    return answer_from_curl({.code = CURLE_SSL_CONNECT_ERROR, .tls = true, .words = words}, 1ms).detail;
  };
  EXPECT_EQ(detail("SSL certificate problem: self-signed certificate"), "self-signed certificate");
  EXPECT_EQ(detail("OpenSSL/3.0.20: error:0A00010B:SSL routines::wrong version number"), "wrong version number");
}

} // namespace
} // namespace hanat::probes
