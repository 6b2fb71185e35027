// The http and https kinds against hostile, hanging and real servers.
#include <cstdlib>
#include <future>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/netns/probing.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using probes::Answer;
using probes::Kind;
using probes::Outcome;
using probes::Reason;

/// Answers every request with the same bytes, then keeps or closes the connection.
ScriptedServer::Serve say(std::string bytes, bool then_hold = false) {
  return [bytes = std::move(bytes), then_hold](Client& client) {
    if (client.read_request() && client.send(bytes) && then_hold) client.hold();
  };
}

/// Says `first`, then `again` every `pause`, for ever.
ScriptedServer::Serve drip(const std::string& first, const std::string& again, std::chrono::milliseconds pause) {
  return [=](Client& client) {
    if (!client.read_request() || !client.send(first)) return;
    while (client.send(again))
      if (pause > 0ms) client.hold(pause);
  };
}

Answer ask(const ScriptedServer& server, Kind kind = Kind::http, std::chrono::milliseconds timeout = 300ms) {
  return ask_once(http_question(server.endpoint(), timeout, kind));
}

struct Case {
  const char* name;
  std::string bytes;
  Reason reason;
  std::string detail;
};

TEST(ProbeHttp, WhatAServerSaysBeforeItClosesIsJudged) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const Case cases[] = {
      {"right", ok + "Content-Length: 2\r\n\r\nok", Reason::answered, ""},
      {"right, no length", ok + "\r\nok", Reason::answered, ""},
      {"right, old", "HTTP/1.0 204 No Content\r\n\r\n", Reason::answered, ""},
      {"chunked", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Reason::answered, ""},
      {"after 1xx", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "\r\n", Reason::answered, ""},
      {"503", "HTTP/1.1 503 \x1b]0;x\r\n\r\n", Reason::wrong_status, "503"},
      {"101", "HTTP/1.1 101 Switching Protocols\r\n\r\n", Reason::wrong_status, "101"},
      {"redirect to itself", "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", Reason::wrong_status, "301"},
      {"nothing", "", Reason::closed, "no answer"},
      {"half a header", ok + "Content-Le", Reason::garbled, "*"},
      {"half a body", ok + "Content-Length: 20\r\n\r\nok", Reason::closed, "answer not complete"},
      {"half a chunk", ok + "Transfer-Encoding: chunked\r\n\r\n20\r\nok", Reason::closed, "answer not complete"},
      {"bad chunk", ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nok", Reason::garbled, "*"},
      {"bad length", ok + "Content-Length: -5\r\n\r\nok", Reason::garbled, "*"},
      {"letters", std::string(100'000, 'A'), Reason::garbled, "*"},
      {"noise", "\x00\xff\x7f\x80\r\n\r\n\x01"s, Reason::garbled, "*"},
      {"a status line without spaces", "HTTP/1.1aa200\r\n\r\n", Reason::garbled, "*"},
      {"a negative status", "HTTP/1.1 -200 OK\r\n\r\n", Reason::garbled, "*"},
      {"status 9999", "HTTP/1.1 9999 OK\r\n\r\n", Reason::garbled, "*"},
      {"status of 20 digits", "HTTP/1.1 20000000000000000000 OK\r\n\r\n", Reason::garbled, "*"},
      {"status 20", "HTTP/1.1 20\r\n\r\n", Reason::garbled, "*"},
      {"a NUL in the status line", "HTTP/1.1 2\0"s + "00 OK\r\n\r\n", Reason::garbled, "*"},
      {"a NUL in a header", ok + "A: b\0c\r\n\r\n"s, Reason::garbled, "*"},
      {"another protocol", "SSH-2.0-OpenSSH_9.2p1\r\n", Reason::garbled, "*"},
      {"an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Reason::garbled, "*"},
      {"HTTP/2 status", "HTTP/2 200\r\n\r\n", Reason::garbled, "*"},
      {"a TLS alert", "\x15\x03\x01\x00\x02\x02\x28"s, Reason::garbled, "*"},
      {"a header line of 1 MB", ok + "X: " + std::string(1'000'000, 'x') + "\r\n\r\n", Reason::too_large, ""},
      {"a status line of 1 MB", "HTTP/1.1 200 " + std::string(1'000'000, 'x') + "\r\n\r\n", Reason::too_large, ""},
  };
  isolated([&] {
    for (const Case& one : cases) {
      ScriptedServer server{say(one.bytes)};
      const Answer answer = ask(server, Kind::http, 2s);
      EXPECT_EQ(answer.reason, one.reason) << one.name << ": " << to_text(answer.reason) << ' ' << answer.detail;
      EXPECT_EQ(answer.outcome, one.reason == Reason::answered ? Outcome::normal : Outcome::abnormal) << one.name;
      EXPECT_TRUE(one.detail == "*" || one.detail == answer.detail) << one.name << ": " << answer.detail;
      EXPECT_LE(answer.detail.size(), 80U) << one.name;
      EXPECT_EQ(answer.detail, probes::sanitized(answer.detail)) << one.name;
      EXPECT_LT(answer.latency, 1s) << one.name;
      EXPECT_EQ(server.connections(), 1U) << one.name; // no redirect, no second try
    }
  });
}

TEST(ProbeHttp, WhateverTakesForEverIsJudgedAtTheDeadline) {
  const std::pair<const char*, ScriptedServer::Serve> cases[] = {
      {"silent before the request", [](Client& client) { client.hold(); }},
      {"silent after the request", [](Client& client) { client.read_request(), client.hold(); }},
      {"one byte of the status line at a time", drip("HTTP/1.1 200 ", "x", 50ms)},
      {"one byte of the body at a time", drip("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x", 50ms)},
      {"one header line at a time", drip("HTTP/1.1 200 OK\r\n", "X: y\r\n", 20ms)},
      {"one interim answer at a time", drip("", "HTTP/1.1 100 Continue\r\n\r\n", 20ms)},
      {"a chunk size without end", drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x", 5ms)},
      {"a header that does not end", say("HTTP/1.1 200 OK\r\nA: b\r\n", true)},
  };
  isolated([&] {
    for (const auto& [name, serve] : cases) {
      ScriptedServer server{serve};
      const Answer answer = ask(server);
      EXPECT_EQ(answer.outcome, Outcome::abnormal) << name;
      EXPECT_EQ(answer.reason, Reason::timeout) << name << ' ' << to_text(answer.reason) << ' ' << answer.detail;
      EXPECT_TRUE(at_deadline(answer.latency, 300ms)) << name;
    }
  });
}

TEST(ProbeHttp, TheDetailOfATimeoutSaysHowFarItCame) {
  isolated([] {
    ScriptedServer silent{[](Client& client) { client.hold(); }};
    ScriptedServer half{say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", true)};
    EXPECT_EQ(ask(silent).detail, "connected, no answer");
    EXPECT_EQ(ask(half).detail, "answer not complete");
    EXPECT_EQ(ask(silent, Kind::https).detail, "connected, TLS handshake not done");
    shell(fmt::format(
        "nft 'add table inet t; add chain inet t c {{ type filter hook input priority 0; }}; add rule inet t c tcp dport {} drop'",
        silent.endpoint().port));
    EXPECT_EQ(ask(silent).detail, "no connection");
  });
}

TEST(ProbeHttp, FloodsAreBrokenOff) {
  const std::tuple<const char*, ScriptedServer::Serve, Reason> cases[] = {
      {"100,000 header lines", drip("HTTP/1.1 200 OK\r\n", "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n", 0ms),
       Reason::too_large},
      {"a header line without end", drip("HTTP/1.1 200 OK\r\nX: ", std::string(4096, 'x'), 0ms), Reason::too_large},
      {"interim answers without end", drip("", "HTTP/1.1 100 Continue\r\n\r\n", 0ms), Reason::too_large},
      {"a body without end", drip("HTTP/1.1 200 OK\r\n\r\n", std::string(65536, 'y'), 0ms), Reason::answered},
      {"chunks without end",
       drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n" + std::string(4096, 'y') + "\r\n", 0ms), Reason::answered},
      {"trailers without end", drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n", 0ms), Reason::too_large},
  };
  isolated([&] {
    for (const auto& [name, serve, reason] : cases) {
      ScriptedServer server{serve};
      const Answer answer = ask(server, Kind::http, 3s);
      EXPECT_EQ(answer.reason, reason) << name << ' ' << to_text(answer.reason) << ' ' << answer.detail;
      EXPECT_LT(answer.latency, 1s) << name;
    }
  });
}

TEST(ProbeHttp, TheBodyIsLookedAt) {
  isolated([] {
    ScriptedServer server{say("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well")};
    auto question = http_question(server.endpoint());
    question.spec.edit<probes::HttpSpec>().body = probes::Pattern::text("well");
    EXPECT_EQ(ask_once(question).reason, Reason::answered);
    question.spec.edit<probes::HttpSpec>().body = probes::Pattern::text("sick");
    EXPECT_EQ(ask_once(question).reason, Reason::wrong_answer);
    ScriptedServer endless{drip("HTTP/1.1 200 OK\r\n\r\n", std::string(65536, 'y'), 0ms)};
    question.server = endless.endpoint();
    EXPECT_EQ(ask_once(question).reason, Reason::wrong_answer);
  });
}

TEST(ProbeHttp, TheRequestIsWhatTheSpecSays) {
  isolated([] {
    const auto request_of = [](const std::function<void(probes::HttpSpec&)>& change) {
      std::promise<std::string> request;
      ScriptedServer server{[&](Client& client) {
        std::string text;
        client.read_request(&text);
        request.set_value(text);
        client.send("HTTP/1.1 200 OK\r\n\r\n");
      }};
      auto question = http_question(server.endpoint());
      change(question.spec.edit<probes::HttpSpec>());
      EXPECT_EQ(ask_once(question).reason, Reason::answered);
      return request.get_future().get();
    };
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    const auto named = request_of([](probes::HttpSpec& http) { http.host = "www.example.com", http.path = "/a/../b?c"; });
    unsetenv("http_proxy");
    EXPECT_EQ(named, "GET /a/../b?c HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: hanat\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    const auto plain = request_of([](probes::HttpSpec& http) { http.method = "HEAD"; });
    EXPECT_TRUE(plain.starts_with("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:")) << plain;
    EXPECT_TRUE(request_of([](probes::HttpSpec& http) { http.method = "POST"; }).find("Content-Length: 0\r\n") != std::string::npos);
    EXPECT_TRUE(request_of([](probes::HttpSpec& http) { http.method = "OPTIONS"; }).starts_with("OPTIONS / HTTP/1.1\r\n"));
  });
}

TEST(ProbeHttp, TheWayToTheServerIsJudgedAsForTcp) {
  isolated([] {
    EXPECT_EQ(ask_once(http_question(at("127.0.0.1", 9))).reason, Reason::refused);
    EXPECT_EQ(ask_once(http_question(at("::1", 9))).reason, Reason::refused);
    EXPECT_EQ(ask_once(http_question(at("198.18.0.1", 80))).reason, Reason::net_unreachable);
    auto foreign = http_question(at("127.0.0.1", 9));
    foreign.spec.source = Address::parse("198.18.0.77");
    const Answer answer = ask_once(foreign);
    EXPECT_EQ(answer.outcome, Outcome::blind);
    EXPECT_EQ(answer.reason, Reason::no_ports);
  });
}

TEST(ProbeHttp, AResetIsTheServers) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      client.read_request();
      client.leave_by_reset();
    }};
    const Answer answer = ask(server);
    EXPECT_EQ(answer.reason, Reason::reset) << to_text(answer.reason) << ' ' << answer.detail;
  });
}

TEST(ProbeHttp, RunningOutOfDescriptorsIsBlindAndPasses) {
  isolated([] {
    ScriptedServer server{say("HTTP/1.1 200 OK\r\n\r\n")};
    Probing probing;
    for (const Kind kind : {Kind::http, Kind::https})
      probing.engine->add(http_question(server.endpoint(), 300ms, kind), {.interval = 20ms}, 0s);
    probing.run_until([&] { return probing.heard.size() >= 4; });
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    probing.run_for(100ms);
    probing.heard.clear();
    probing.run_until([&] { return probing.heard.size() >= 4; });
    setrlimit(RLIMIT_NOFILE, &before);
    for (const auto& heard : probing.heard) EXPECT_EQ(heard.answer.reason, Reason::no_descriptors) << to_text(heard.answer.reason);
    probing.run_for(100ms);
    probing.heard.clear();
    EXPECT_TRUE(probing.run_until([&] { return !probing.heard.empty() && probing.heard.back().answer.outcome == Outcome::normal; }));
  });
}

TEST(ProbeHttp, AStandstillOverTheDeadlineIsBlind) {
  isolated([] {
    ScriptedServer server{say("HTTP/1.1 200 OK\r\n\r\n")};
    Probing probing;
    probing.engine->add(http_question(server.endpoint(), 200ms), {.interval = 60s}, 0s);
    probing.stand_still(700ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.heard.empty(); }));
    EXPECT_EQ(probing.heard[0].answer.outcome, Outcome::blind);
    EXPECT_EQ(probing.heard[0].answer.reason, Reason::stalled);
  });
}

TEST(ProbeHttps, APortWithoutTlsFailsTheHandshake) {
  isolated([] {
    ScriptedServer plain{say("HTTP/1.1 400 Bad Request\r\n\r\n")};
    ScriptedServer talker{[](Client& client) { client.send("HTTP/1.1 400 Bad Request\r\n\r\n"); }};
    ScriptedServer alert{[](Client& client) { client.send("\x15\x03\x01\x00\x02\x02\x28"s), client.hold(); }};
    ScriptedServer closing{{}};
    const Answer wrong = ask(talker, Kind::https);
    EXPECT_EQ(wrong.reason, Reason::tls_failed);
    EXPECT_EQ(wrong.detail, "wrong version number");
    EXPECT_EQ(ask(alert, Kind::https).reason, Reason::tls_failed);
    EXPECT_EQ(ask(plain, Kind::https).reason, Reason::timeout); // it waits for the end of a request
    const Reason closed = ask(closing, Kind::https).reason;
    EXPECT_TRUE(closed == Reason::closed || closed == Reason::reset || closed == Reason::tls_failed) << to_text(closed);
  });
}

} // namespace
} // namespace hanat::test
