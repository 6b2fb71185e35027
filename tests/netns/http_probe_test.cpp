// The http and https kinds against hostile, hanging and real servers.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <thread>

#include <csignal>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

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
ScriptedServer::Serve drip(std::string first, std::string again, std::chrono::milliseconds pause) {
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
    question.spec.body = "well";
    EXPECT_EQ(ask_once(question).reason, Reason::answered);
    question.spec.body = "sick";
    EXPECT_EQ(ask_once(question).reason, Reason::wrong_answer);
    ScriptedServer endless{drip("HTTP/1.1 200 OK\r\n\r\n", std::string(65536, 'y'), 0ms)};
    question.server = endless.endpoint();
    EXPECT_EQ(ask_once(question).reason, Reason::wrong_answer);
  });
}

TEST(ProbeHttp, TheRequestIsWhatTheSpecSays) {
  isolated([] {
    const auto request_of = [](const std::function<void(probes::Question&)>& change) {
      std::promise<std::string> request;
      ScriptedServer server{[&](Client& client) {
        std::string text;
        client.read_request(&text);
        request.set_value(text);
        client.send("HTTP/1.1 200 OK\r\n\r\n");
      }};
      auto question = http_question(server.endpoint());
      change(question);
      EXPECT_EQ(ask_once(question).reason, Reason::answered);
      return request.get_future().get();
    };
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    const auto named = request_of([](auto& question) { question.spec.host = "www.example.com", question.spec.path = "/a/../b?c"; });
    unsetenv("http_proxy");
    EXPECT_EQ(named, "GET /a/../b?c HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: hanat\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    const auto plain = request_of([](auto& question) { question.spec.method = "HEAD"; });
    EXPECT_TRUE(plain.starts_with("HEAD / HTTP/1.1\r\nHost: 127.0.0.1:")) << plain;
    EXPECT_TRUE(request_of([](auto& question) { question.spec.method = "POST"; }).find("Content-Length: 0\r\n") != std::string::npos);
    EXPECT_TRUE(request_of([](auto& question) { question.spec.method = "OPTIONS"; }).starts_with("OPTIONS / HTTP/1.1\r\n"));
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

/// nginx in the calling thread's namespace: http on 8080, https on 8443 (good), 8444 (expired), all with self-signed certificates.
class Nginx {
public:
  Nginx() {
    std::string name = (std::filesystem::temp_directory_path() / "hanat-nginx-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    make_certificate("good", "-days 30");
    make_certificate("old", "-not_before 20200101000000Z -not_after 20200201000000Z");
    write_config();
    start();
  }
  ~Nginx() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
    std::filesystem::remove_all(folder_);
  }
  Nginx(const Nginx&) = delete;
  Nginx& operator=(const Nginx&) = delete;
  const std::filesystem::path& folder() const { return folder_; }

private:
  void make_certificate(const std::string& name, const std::string& life) const;
  void write_config() const;
  void start();

  std::filesystem::path folder_;
  pid_t pid_ = -1;
};

void Nginx::make_certificate(const std::string& name, const std::string& life) const {
  const auto path = (folder_ / name).string();
  shell(fmt::format(
      "cd {0} && openssl ecparam -name prime256v1 -genkey -noout -out {1}.key && openssl req -new -key {1}.key -subj "
      "/CN=web.example -out {1}.csr 2>/dev/null && touch {1}.index && "
      "printf '[ca]\\ndefault_ca=c\\n[c]\\ndatabase={1}.index\\nnew_certs_dir=.\\nrand_serial=yes\\ndefault_md=sha256\\npolicy=p\\n"
      "unique_subject=no\\n[p]\\ncommonName=supplied\\n[x]\\nsubjectAltName=DNS:web.example,IP:127.0.0.1\\nbasicConstraints=critical,CA:"
      "TRUE\\n"
      "' > {1}.cnf && openssl ca -batch -config {1}.cnf -selfsign -keyfile {1}.key -in {1}.csr -extensions x -notext -out {1}.crt {2} "
      "2>/dev/null",
      folder_.string(), name, life.starts_with("-days") ? "-days 30" : "-startdate 20200101000000Z -enddate 20200201000000Z"));
  if (!std::filesystem::exists(path + ".crt")) throw std::runtime_error("openssl made no certificate");
}

void Nginx::write_config() const {
  std::ofstream{folder_ / "nginx.conf"} << fmt::format(
      "daemon off; master_process off; user root; pid {0}/pid; error_log {0}/error.log;\n"
      "events {{ worker_connections 1000; }}\n"
      "http {{ access_log {0}/access.log; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path "
      "{0}/u; "
      "scgi_temp_path {0}/s; default_type text/plain;\n"
      "server {{ listen 127.0.0.1:8080; listen 127.0.0.1:8443 ssl; ssl_certificate {0}/good.crt; ssl_certificate_key {0}/good.key;\n"
      "location / {{ return 200 'hello $host $connection\\n'; }} location /sick {{ return 503; }} }}\n"
      "server {{ listen 127.0.0.1:8444 ssl; ssl_certificate {0}/old.crt; ssl_certificate_key {0}/old.key; }} }}\n",
      folder_.string());
}

void Nginx::start() {
  const auto config = (folder_ / "nginx.conf").string();
  std::array<std::string, 4> words{"nginx", "-c", config, "-q"};
  std::array<char*, 5> arguments{words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  if (posix_spawnp(&pid_, "nginx", nullptr, nullptr, arguments.data(), environ) != 0) throw std::runtime_error("nginx does not start");
  for (int tries = 0; tries < 100; ++tries) {
    if (ask_once(tcp_question(at("127.0.0.1", 8444))).outcome == Outcome::normal) return;
    std::this_thread::sleep_for(50ms);
  }
  throw std::runtime_error("nginx does not listen");
}

TEST(ProbeHttps, ARealServerIsAsked) {
  isolated([] {
    const Nginx nginx;
    for (const auto& [kind, port] : {std::pair<Kind, std::uint16_t>{Kind::http, 8080}, {Kind::https, 8443}}) {
      auto question = http_question(at("127.0.0.1", port), 1s, kind);
      question.spec.host = "web.example";
      question.spec.body = "hello web.example";
      const Answer answer = ask_once(question);
      EXPECT_EQ(answer.reason, Reason::answered) << to_text(answer.reason) << ' ' << answer.detail;
      question.spec.path = "/sick";
      EXPECT_EQ(ask_once(question).detail, "503");
      question.spec.status = {{503, 503}};
      question.spec.body.clear();
      EXPECT_EQ(ask_once(question).outcome, Outcome::normal);
    }
    EXPECT_EQ(ask_once(http_question(at("127.0.0.1", 8443), 1s, Kind::http)).detail, "400"); // plain HTTP on a TLS port
    EXPECT_EQ(ask_once(http_question(at("127.0.0.1", 8080), 1s, Kind::https)).reason, Reason::tls_failed);
  });
}

TEST(ProbeHttps, VerifyLooksAtTheCertificate) {
  isolated([] {
    const Nginx nginx;
    const auto verified = [](std::uint16_t port, const char* host) {
      auto question = http_question(at("127.0.0.1", port), 1s, Kind::https);
      question.spec.verify = true;
      question.spec.host = host;
      return ask_once(question);
    };
    const Answer unknown = verified(8443, "web.example");
    EXPECT_EQ(unknown.reason, Reason::tls_failed);
    EXPECT_EQ(unknown.detail, "self-signed certificate");
    EXPECT_EQ(verified(8444, "web.example").reason, Reason::tls_failed);
  });
}

TEST(ProbeHttps, ConnectionsAreKeptAndReplacedWhenTheServerIsGone) {
  isolated([] {
    auto nginx = std::make_unique<Nginx>();
    Probing probing;
    probing.engine->add(http_question(at("127.0.0.1", 8443), 1s, Kind::https), {.interval = 20ms}, 0s);
    probing.engine->add(http_question(at("127.0.0.1", 8080), 1s, Kind::http), {.interval = 20ms}, 0s);
    probing.run_for(600ms);
    for (const auto& heard : probing.heard) EXPECT_EQ(heard.answer.reason, Reason::answered) << heard.answer.detail;
    EXPECT_GT(probing.heard.size(), 30U);
    shell("ss -Htn state established dport = :8443 | wc -l | grep -qx 1");
    shell("ss -Htan state time-wait | wc -l | grep -qx 0");
    nginx.reset();
    probing.heard.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() >= 4; }));
    for (const auto& heard : probing.heard)
      EXPECT_EQ(heard.answer.reason, Reason::refused) << to_text(heard.answer.reason) << heard.answer.detail;
    nginx = std::make_unique<Nginx>();
    probing.heard.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() >= 4; }));
    for (const auto& heard : probing.heard)
      EXPECT_EQ(heard.answer.reason, Reason::answered) << to_text(heard.answer.reason) << heard.answer.detail;
  });
}

} // namespace
} // namespace hanat::test
