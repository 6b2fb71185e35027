// The http and https kinds against a real nginx: certificates, kept connections, a server that goes and comes back.
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/netns/probing.hpp"
#include "tests/netns/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Answer;
using probes::Kind;
using probes::Outcome;
using probes::Reason;

/// nginx in the calling thread's namespace: http on 8080, https on 8443 (good), 8444 (expired), all with self-signed certificates; HTTP/2
/// on 8081 (without TLS) and 8445.
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
      "server {{ listen 127.0.0.1:8080; listen 127.0.0.1:8443 ssl; listen 127.0.0.1:8081 http2; listen 127.0.0.1:8445 ssl http2; "
      "ssl_certificate {0}/good.crt; ssl_certificate_key {0}/good.key;\n"
      "location / {{ return 200 'hello $host $connection\\n'; }} location /sick {{ return 503; }} location /header {{ return 200 'probe "
      "$http_x_probe of $server_protocol'; }} }}\n"
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
      question.spec.edit<probes::HttpSpec>().host = "web.example";
      question.spec.edit<probes::HttpSpec>().body = probes::Pattern::text("hello web.example");
      const Answer answer = ask_once(question);
      EXPECT_EQ(answer.reason, Reason::answered) << to_text(answer.reason) << ' ' << answer.detail;
      question.spec.edit<probes::HttpSpec>().path = "/sick";
      EXPECT_EQ(ask_once(question).detail, "503");
      question.spec.edit<probes::HttpSpec>().status = {{503, 503}};
      question.spec.edit<probes::HttpSpec>().body = {};
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
      question.spec.edit<probes::HttpSpec>().verify = true;
      question.spec.edit<probes::HttpSpec>().host = host;
      return ask_once(question);
    };
    const Answer unknown = verified(8443, "web.example");
    EXPECT_EQ(unknown.reason, Reason::tls_failed);
    EXPECT_EQ(unknown.detail, "self-signed certificate");
    EXPECT_EQ(verified(8444, "web.example").reason, Reason::tls_failed);
  });
}

/// Makes the certificate in `file` the only authority that this thread knows.
void trust(const std::filesystem::path& file) {
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(mount(file.c_str(), "/etc/ssl/certs/ca-certificates.crt", nullptr, MS_BIND, nullptr), 0);
}

TEST(ProbeHttps, VerifyTrustsTheSystemsAuthorities) {
  isolated([] {
    const Nginx nginx;
    shell(fmt::format("cd {} && cat good.crt old.crt > both.crt", nginx.folder().string()));
    trust(nginx.folder() / "both.crt");
    auto question = http_question(at("127.0.0.1", 8443), 1s, Kind::https);
    question.spec.edit<probes::HttpSpec>().verify = true;
    const Answer by_address = ask_once(question);
    EXPECT_EQ(by_address.reason, Reason::answered) << by_address.detail;
    question.spec.edit<probes::HttpSpec>().host = "web.example";
    EXPECT_EQ(ask_once(question).reason, Reason::answered);
    question.spec.edit<probes::HttpSpec>().host = "other.example";
    const Answer other = ask_once(question);
    EXPECT_EQ(other.reason, Reason::tls_failed);
    EXPECT_NE(other.detail.find("other.example"), std::string::npos) << other.detail;
    question.spec.edit<probes::HttpSpec>().host = "web.example";
    question.server.port = 8444;
    EXPECT_EQ(ask_once(question).detail, "certificate has expired");
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
    probing.run_for(100ms); // an answer that was under way already
    probing.heard.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() >= 4; }));
    for (const auto& heard : probing.heard)
      EXPECT_EQ(heard.answer.reason, Reason::refused) << to_text(heard.answer.reason) << heard.answer.detail;
    nginx = std::make_unique<Nginx>();
    probing.run_for(100ms); // likewise a refusal
    probing.heard.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() >= 4; }));
    for (const auto& heard : probing.heard)
      EXPECT_EQ(heard.answer.reason, Reason::answered) << to_text(heard.answer.reason) << heard.answer.detail;
  });
}

/// The path shows the header X-Probe and the protocol.
probes::Question http2_question(std::uint16_t port, Kind kind, bool http2, const char* body) {
  auto question = http_question(at("127.0.0.1", port), 1s, kind);
  auto& http = question.spec.edit<probes::HttpSpec>();
  http.path = "/header";
  http.headers = {"X-Probe: a b"};
  http.http2 = http2;
  http.body = probes::Pattern::expression(body);
  return question;
}

TEST(ProbeHttps, Http2IsSpokenWhereItIsWanted) {
  isolated([] {
    const Nginx nginx;
    const char* two = "^probe a b of HTTP/2.0$";
    for (const auto& [port, kind] : {std::pair<std::uint16_t, Kind>{8081, Kind::http}, {8445, Kind::https}}) {
      const Answer answer = ask_once(http2_question(port, kind, true, two));
      EXPECT_EQ(answer.reason, Reason::answered) << port << to_text(answer.reason) << answer.detail;
    }
    EXPECT_EQ(ask_once(http2_question(8443, Kind::https, false, "^probe a b of HTTP/1.1$")).reason, Reason::answered);
    EXPECT_EQ(ask_once(http2_question(8445, Kind::https, false, two)).reason, Reason::wrong_answer);
    const Answer old = ask_once(http2_question(8443, Kind::https, true, two));
    EXPECT_EQ(old.reason, Reason::garbled) << to_text(old.reason);
    EXPECT_EQ(old.detail, "no HTTP/2");
    const Answer plain = ask_once(http2_question(8080, Kind::http, true, two));
    EXPECT_EQ(plain.reason, Reason::closed); // so libcurl tells it
    EXPECT_EQ(plain.detail, "no HTTP/2 answer");
  });
}

TEST(ProbeHttps, ConnectionsOfTwoVersionsAreKeptApart) {
  isolated([] {
    const Nginx nginx;
    Probing probing;
    for (const bool two : {false, true})
      probing.engine->add(http2_question(8445, Kind::https, two, two ? "HTTP/2.0$" : "HTTP/1.1$"), {.interval = 10ms}, 0s);
    probing.run_for(200ms);
    for (const auto& heard : probing.heard)
      EXPECT_EQ(heard.answer.reason, Reason::answered) << to_text(heard.answer.reason) << heard.answer.detail;
    EXPECT_GT(probing.heard.size(), 8U);
    shell("ss -Htn state established dport = :8445 | wc -l | grep -qx 2");
  });
}

TEST(ProbeHttps, ACertificateThatEndsSoonIsToldOnKeptConnectionsToo) {
  isolated([] {
    const Nginx nginx;
    const auto expiring = [](std::uint16_t port, int days) {
      auto question = http_question(at("127.0.0.1", port), 1s, Kind::https);
      question.spec.edit<probes::HttpSpec>().expires_within = std::chrono::days{days};
      question.spec.edit<probes::HttpSpec>().status = {{200, 404}};
      return question;
    };
    EXPECT_EQ(ask_once(expiring(8443, 14)).reason, Reason::answered);
    EXPECT_EQ(ask_once(expiring(8444, 14)).reason, Reason::certificate_expires);
    EXPECT_EQ(ask_once(expiring(8444, 14)).detail.substr(0, 6), "ended ");
    Probing probing;
    probing.engine->add(expiring(8443, 40), {.interval = 10ms}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.heard.size() == 5; }));
    for (const auto& heard : probing.heard) {
      EXPECT_EQ(heard.answer.outcome, Outcome::abnormal);
      EXPECT_EQ(heard.answer.reason, Reason::certificate_expires);
      EXPECT_EQ(heard.answer.detail.substr(0, 8), "ends in ");
    }
    shell("ss -Htn state established dport = :8443 | wc -l | grep -qx 1");
  });
}

} // namespace
} // namespace hanat::test
