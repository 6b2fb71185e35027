// Kinds http and https with hostile and hanging servers. Not here: real servers (https_test).
#include <cstdlib>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using probes::Kind;
using probes::Outcome;
using probes::ProbeResult;
using probes::Reason;

/// Replies to every request with the same bytes, then keeps or closes the connection.
ScriptedServer::Serve send(std::string bytes, bool then_hold = false) {
  return [bytes = std::move(bytes), then_hold](Client& client) {
    if (client.read_request() && client.send(bytes) && then_hold) client.hold();
  };
}

/// Sends `first`, then `again` every `pause`, forever.
ScriptedServer::Serve drip(const std::string& first, const std::string& again, std::chrono::milliseconds pause) {
  return [=](Client& client) {
    if (!client.read_request() || !client.send(first)) return;
    while (client.send(again))
      if (pause > 0ms) client.hold(pause);
  };
}

ProbeResult probe_server(const ScriptedServer& server, Kind kind = Kind::http, std::chrono::milliseconds timeout = 300ms) {
  return probe_once(http_probe(server.endpoint(), timeout, kind));
}

struct Case {
  const char* name;
  std::string bytes;
  Reason reason;
  std::string detail;
};

TEST(ProbeHttp, EveryResponseHasAReason) {
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
      {"nothing", "", Reason::closed, "no response"},
      {"half a header", ok + "Content-Le", Reason::garbled, "*"},
      {"half a body", ok + "Content-Length: 20\r\n\r\nok", Reason::closed, "incomplete reply"},
      {"half a chunk", ok + "Transfer-Encoding: chunked\r\n\r\n20\r\nok", Reason::closed, "incomplete reply"},
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
      ScriptedServer server{send(one.bytes)};
      const ProbeResult result = probe_server(server, Kind::http, 2s);
      EXPECT_EQ(result.reason, one.reason) << one.name << ": " << to_text(result.reason) << ' ' << result.detail;
      EXPECT_EQ(result.outcome, one.reason == Reason::answered ? Outcome::pass : Outcome::fail) << one.name;
      EXPECT_TRUE(one.detail == "*" || one.detail == result.detail) << one.name << ": " << result.detail;
      EXPECT_LE(result.detail.size(), 80U) << one.name;
      EXPECT_EQ(result.detail, probes::sanitized(result.detail)) << one.name;
      EXPECT_LT(result.latency, 1s) << one.name;
      EXPECT_EQ(server.connections(), 1U) << one.name; // no redirect, no second try
    }
  });
}

TEST(ProbeHttp, AnIncompleteResponseTimesOutAtTheDeadline) {
  const std::pair<const char*, ScriptedServer::Serve> cases[] = {
      {"silent before the request", [](Client& client) { client.hold(); }},
      {"silent after the request", [](Client& client) { client.read_request(), client.hold(); }},
      {"one byte of the status line at a time", drip("HTTP/1.1 200 ", "x", 50ms)},
      {"one byte of the body at a time", drip("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "x", 50ms)},
      {"one header line at a time", drip("HTTP/1.1 200 OK\r\n", "X: y\r\n", 20ms)},
      {"one interim response at a time", drip("", "HTTP/1.1 100 Continue\r\n\r\n", 20ms)},
      {"a chunk size without end", drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x", 5ms)},
      {"a header that does not end", send("HTTP/1.1 200 OK\r\nA: b\r\n", true)},
  };
  isolated([&] {
    for (const auto& [name, serve] : cases) {
      ScriptedServer server{serve};
      const ProbeResult result = probe_server(server);
      EXPECT_EQ(result.outcome, Outcome::fail) << name;
      EXPECT_EQ(result.reason, Reason::timeout) << name << ' ' << to_text(result.reason) << ' ' << result.detail;
      EXPECT_TRUE(at_deadline(result.latency, 300ms)) << name;
    }
  });
}

TEST(ProbeHttp, TheDetailOfATimeoutIsItsStage) {
  isolated([] {
    ScriptedServer silent{[](Client& client) { client.hold(); }};
    ScriptedServer half{send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", true)};
    EXPECT_EQ(probe_server(silent).detail, "connected, no reply");
    EXPECT_EQ(probe_server(half).detail, "incomplete reply");
    EXPECT_EQ(probe_server(silent, Kind::https).detail, "connected, TLS handshake incomplete");
    shell(fmt::format(
        "nft 'add table inet t; add chain inet t c {{ type filter hook input priority 0; }}; add rule inet t c tcp dport {} drop'",
        silent.endpoint().port));
    EXPECT_EQ(probe_server(silent).detail, "no connection");
  });
}

TEST(ProbeHttp, FloodsAreAborted) {
  const std::tuple<const char*, ScriptedServer::Serve, Reason> cases[] = {
      {"100,000 header lines", drip("HTTP/1.1 200 OK\r\n", "X: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\nX: y\r\n", 0ms),
       Reason::too_large},
      {"a header line without end", drip("HTTP/1.1 200 OK\r\nX: ", std::string(4096, 'x'), 0ms), Reason::too_large},
      {"endless interim responses", drip("", "HTTP/1.1 100 Continue\r\n\r\n", 0ms), Reason::too_large},
      {"a body without end", drip("HTTP/1.1 200 OK\r\n\r\n", std::string(65536, 'y'), 0ms), Reason::answered},
      {"chunks without end",
       drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n" + std::string(4096, 'y') + "\r\n", 0ms), Reason::answered},
      {"trailers without end", drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n", 0ms), Reason::too_large},
  };
  isolated([&] {
    for (const auto& [name, serve, reason] : cases) {
      ScriptedServer server{serve};
      const ProbeResult result = probe_server(server, Kind::http, 3s);
      EXPECT_EQ(result.reason, reason) << name << ' ' << to_text(result.reason) << ' ' << result.detail;
      EXPECT_LT(result.latency, 1s) << name;
    }
  });
}

TEST(ProbeHttp, TheBodyIsChecked) {
  isolated([] {
    ScriptedServer server{send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nall well")};
    auto probe = http_probe(server.endpoint());
    probe.spec.edit<probes::HttpSpec>().body = probes::Pattern::text("well");
    EXPECT_EQ(probe_once(probe).reason, Reason::answered);
    probe.spec.edit<probes::HttpSpec>().body = probes::Pattern::text("sick");
    EXPECT_EQ(probe_once(probe).reason, Reason::wrong_answer);
    ScriptedServer endless{drip("HTTP/1.1 200 OK\r\n\r\n", std::string(65536, 'y'), 0ms)};
    probe.server = endless.endpoint();
    EXPECT_EQ(probe_once(probe).reason, Reason::wrong_answer);
  });
}

/// What a server gets of this probe. Its answer is 200.
std::string request_of(const std::function<void(probes::Probe&, probes::HttpSpec&)>& change) {
  std::promise<std::string> request;
  ScriptedServer server{[&](Client& client) {
    std::string text;
    client.read_request(&text);
    request.set_value(text);
    client.send("HTTP/1.1 200 OK\r\n\r\n");
  }};
  auto probe = http_probe(server.endpoint());
  change(probe, probe.spec.edit<probes::HttpSpec>());
  EXPECT_EQ(probe_once(probe).reason, Reason::answered);
  return request.get_future().get();
}

TEST(ProbeHttp, TheRequestIsWhatTheSpecSays) {
  isolated([] {
    const auto with = [](const std::function<void(probes::HttpSpec&)>& change) {
      return request_of([&](probes::Probe&, probes::HttpSpec& http) { change(http); });
    };
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    const auto named = with([](probes::HttpSpec& http) { http.host = "www.example.com", http.path = "/a/../b?c"; });
    unsetenv("http_proxy");
    EXPECT_EQ(named, "GET /a/../b?c HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: hanat\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    const auto plain = with([](probes::HttpSpec& http) { http.method = "HEAD"; });
    EXPECT_TRUE(plain.starts_with("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:")) << plain;
    EXPECT_TRUE(with([](probes::HttpSpec& http) { http.method = "OPTIONS"; }).starts_with("OPTIONS / HTTP/1.1\r\n"));
  });
}

TEST(ProbeHttp, TheBodyOfTheRequestIsSentWithItsLengthAndTheHeadersThatAreConfigured) {
  isolated([] {
    const auto with_body = [](const char* method, const std::string& body, std::vector<std::string> headers = {}) {
      return request_of([&](probes::Probe& probe, probes::HttpSpec& http) {
        probe.name = "web.lan";
        http.method = method, http.request_body = body, http.headers = std::move(headers);
      });
    };
    const std::string text = with_body("POST", "{\"ping\": 1}\n", {"content-type: application/json"});
    const auto body = text.find("\r\n\r\n");
    ASSERT_NE(body, std::string::npos);
    EXPECT_EQ(text.substr(body + 4), "{\"ping\": 1}\n");
    const auto port = text.substr(text.find("web.lan:") + 8, text.find("\r\nUser-Agent") - text.find("web.lan:") - 8);
    EXPECT_EQ(text.substr(0, body), "POST / HTTP/1.1\r\nHost: web.lan:" + port +
                                        "\r\nUser-Agent: hanat\r\nAccept: */*\r\nConnection: close\r\n"
                                        "content-type: application/json\r\nContent-Length: 12");
    const std::string bytes = with_body("REPORT", "a\0b"s);
    EXPECT_TRUE(bytes.starts_with("REPORT / HTTP/1.1\r\n") && bytes.ends_with("Content-Length: 3\r\n\r\na\0b"s)) << bytes;
    EXPECT_EQ(bytes.find("Content-Type"), std::string::npos) << bytes;
    const std::string large(3'000, 'x'); // no "Expect: 100-continue", for which this server would let it wait
    EXPECT_NE(with_body("PUT", large).find("Content-Length: 3000\r\n\r\nx"), std::string::npos);
    for (const char* method : {"POST", "PUT", "PATCH"}) {
      const std::string empty = with_body(method, "");
      EXPECT_TRUE(empty.starts_with(method) && empty.ends_with("Content-Length: 0\r\n\r\n")) << empty;
    }
  });
}

TEST(ProbeHttp, AServersNameIsTheHostUnlessTheProbeNamesOne) {
  isolated([] {
    const auto host_of = [](const char* name, const char* host) {
      const auto text = request_of([&](probes::Probe& probe, probes::HttpSpec& http) { probe.name = name, http.host = host; });
      return text.substr(text.find("Host: ") + 6, text.find_first_of(":\r", text.find("Host: ") + 6) - text.find("Host: ") - 6);
    };
    EXPECT_EQ(host_of("db1.lan", ""), "db1.lan");
    EXPECT_EQ(host_of("db1.lan", "www.example.com"), "www.example.com");
    EXPECT_EQ(host_of("", ""), "127.0.0.1");
  });
}

TEST(ProbeHttp, ConnectionFailuresAreJudgedAsForTcp) {
  isolated([] {
    EXPECT_EQ(probe_once(http_probe(at("127.0.0.1", 9))).reason, Reason::refused);
    EXPECT_EQ(probe_once(http_probe(at("::1", 9))).reason, Reason::refused);
    EXPECT_EQ(probe_once(http_probe(at("198.18.0.1", 80))).reason, Reason::net_unreachable);
    auto foreign = http_probe(at("127.0.0.1", 9));
    foreign.spec.source = Address::parse("198.18.0.77");
    const ProbeResult result = probe_once(foreign);
    EXPECT_EQ(result.outcome, Outcome::inconclusive);
    EXPECT_EQ(result.reason, Reason::no_ports);
  });
}

TEST(ProbeHttp, AnIcmpErrorIsAFailAndAProhibitRouteOfOurOwnInconclusive) {
  isolated([] {
    shell("ip route add prohibit 198.18.3.0/24 && nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; add "
          "rule inet t c tcp dport 83 reject with icmpv6 type admin-prohibited'");
    EXPECT_EQ(probe_once(http_probe(at("::1", 83), 2s)).reason, Reason::host_unreachable); // on loopback after the second SYN
    const ProbeResult prohibited = probe_once(http_probe(at("198.18.3.1", 80)));
    EXPECT_EQ(prohibited.outcome, Outcome::inconclusive);
    EXPECT_EQ(prohibited.reason, Reason::forbidden);
  });
}

TEST(ProbeHttp, AServerThatEndsItsHttp2ConnectionFailsWithADetail) {
  const std::string settings = "\0\0\0\4\0\0\0\0\0"s, no_streams = "\0\0\x8\7\0\0\0\0\0"s + std::string(8, '\0'); // GOAWAY
  const std::string reset_stream = "\0\0\4\3\0\0\0\0\1"s + "\0\0\0\7"s;                                           // refused
  isolated([&] {
    for (const std::string& bytes : {settings + no_streams, settings, settings + reset_stream, settings + reset_stream + no_streams}) {
      ScriptedServer server{send(bytes)};
      auto probe = http_probe(server.endpoint());
      probe.spec.edit<probes::HttpSpec>().http2 = true;
      const ProbeResult result = probe_once(probe);
      EXPECT_EQ(result.outcome, Outcome::fail) << to_text(result.reason);
      EXPECT_NE(result.detail, "") << to_text(result.reason);
    }
  });
}

TEST(ProbeHttp, AResetIsAFail) {
  isolated([] {
    ScriptedServer server{[](Client& client) {
      client.read_request();
      client.close_with_reset();
    }};
    const ProbeResult result = probe_server(server);
    EXPECT_EQ(result.reason, Reason::reset) << to_text(result.reason) << ' ' << result.detail;
  });
}

TEST(ProbeHttp, RunningOutOfDescriptorsIsInconclusiveUntilThereAreSome) {
  isolated([] {
    ScriptedServer server{send("HTTP/1.1 200 OK\r\n\r\n")};
    Probing probing;
    for (const Kind kind : {Kind::http, Kind::https})
      probing.scheduler->add(http_probe(server.endpoint(), 300ms, kind), {.interval = 20ms}, 0s);
    probing.run_until([&] { return probing.results.size() >= 4; });
    {
      const NoDescriptors none;
      EXPECT_TRUE(probing.run_until([&] { return probing.results.back().result.reason == Reason::no_descriptors; }));
      probing.run_for(100ms); // probes that were in flight finish
      probing.results.clear();
      EXPECT_TRUE(probing.run_until([&] { return probing.results.size() >= 4; }));
    }
    for (const auto& received : probing.results)
      EXPECT_EQ(received.result.reason, Reason::no_descriptors) << to_text(received.result.reason);
    probing.run_for(100ms);
    probing.results.clear();
    EXPECT_TRUE(probing.run_until([&] { return !probing.results.empty() && probing.results.back().result.outcome == Outcome::pass; }));
  });
}

TEST(ProbeHttp, ASuspensionPastTheDeadlineIsInconclusive) {
  isolated([] {
    ScriptedServer server{send("HTTP/1.1 200 OK\r\n\r\n")};
    Probing probing;
    probing.scheduler->add(http_probe(server.endpoint(), 200ms), {.interval = 60s}, 0s);
    probing.block_loop(700ms);
    ASSERT_TRUE(probing.run_until([&] { return !probing.results.empty(); }));
    EXPECT_EQ(probing.results[0].result.outcome, Outcome::inconclusive);
    EXPECT_EQ(probing.results[0].result.reason, Reason::stalled);
  });
}

TEST(ProbeHttps, APortWithoutTlsFailsTheHandshake) {
  isolated([] {
    ScriptedServer plain{send("HTTP/1.1 400 Bad Request\r\n\r\n")};
    ScriptedServer eager{[](Client& client) { client.send("HTTP/1.1 400 Bad Request\r\n\r\n"); }};
    ScriptedServer alert{[](Client& client) { client.send("\x15\x03\x01\x00\x02\x02\x28"s), client.hold(); }};
    ScriptedServer closing{{}};
    const ProbeResult wrong = probe_server(eager, Kind::https);
    EXPECT_EQ(wrong.reason, Reason::tls_failed);
    EXPECT_EQ(wrong.detail, "the server does not speak TLS on this port (wrong version number): probe without TLS, or another port");
    EXPECT_EQ(probe_server(alert, Kind::https).reason, Reason::tls_failed);
    EXPECT_EQ(probe_server(plain, Kind::https).reason, Reason::timeout); // it waits for the end of a request
    const Reason closed = probe_server(closing, Kind::https).reason;
    EXPECT_TRUE(closed == Reason::closed || closed == Reason::reset || closed == Reason::tls_failed) << to_text(closed);
  });
}

} // namespace
} // namespace hanat::test
