// Kinds http and https with a real nginx: certificates, reused connections, a server that stops and restarts.
// Not here: hostile servers (http_test).
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tests/netns/lab/probing.hpp"
#include "tests/netns/lab/scripted.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Kind;
using probes::Outcome;
using probes::ProbeResult;
using probes::Reason;

/// nginx in the calling thread's namespace: http on 8080, https on 8443 (good), 8444 (expired), all with self-signed certificates; HTTP/2
/// on 8081 (without TLS) and 8445.
class Nginx {
public:
  Nginx() {
    make_certificate(folder_, "good", "-days 30");
    make_certificate(folder_, "old", "-startdate 20200101000000Z -enddate 20200201000000Z");
    write_config();
    start();
  }
  ~Nginx() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Nginx(const Nginx&) = delete;
  Nginx& operator=(const Nginx&) = delete;
  const TempFolder& folder() const { return folder_; }

private:
  void write_config() const;
  void start();

  TempFolder folder_;
  pid_t pid_ = -1;
};

void Nginx::write_config() const {
  folder_.write(
      "nginx.conf",
      fmt::format(
          "daemon off; master_process off; user root; pid {0}/pid; error_log {0}/error.log;\n"
          "events {{ worker_connections 1000; }}\n"
          "http {{ access_log {0}/access.log; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path "
          "{0}/u; "
          "scgi_temp_path {0}/s; default_type text/plain;\n"
          "server {{ listen 127.0.0.1:8080; listen 127.0.0.1:8443 ssl; listen 127.0.0.1:8081 http2; listen 127.0.0.1:8445 ssl http2; "
          "ssl_certificate {0}/good.crt; ssl_certificate_key {0}/good.key;\n"
          "location / {{ return 200 'hello $host $connection\\n'; }} location /sick {{ return 503; }} location /header {{ return 200 "
          "'probe "
          "$http_x_probe of $server_protocol'; }} }}\n"
          "server {{ listen 127.0.0.1:8444 ssl; ssl_certificate {0}/old.crt; ssl_certificate_key {0}/old.key; }} }}\n",
          folder_.path().string()));
}

void Nginx::start() {
  const auto config = folder_.file("nginx.conf");
  std::array<std::string, 4> words{"nginx", "-c", config, "-q"};
  std::array<char*, 5> arguments{words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  if (posix_spawnp(&pid_, "nginx", nullptr, nullptr, arguments.data(), environ) != 0) throw std::runtime_error("nginx does not start");
  Probing probing;
  probing.scheduler->add(tcp_probe(at("127.0.0.1", 8444)), {.interval = 20ms}, 0s);
  if (!probing.run_until([&] { return !probing.results.empty() && probing.results.back().result.outcome == Outcome::pass; }, 30s))
    throw std::runtime_error("nginx does not listen");
}

TEST(ProbeHttps, ARealServerResponds) {
  isolated([] {
    const Nginx nginx;
    for (const auto& [kind, port] : {std::pair<Kind, std::uint16_t>{Kind::http, 8080}, {Kind::https, 8443}}) {
      auto probe = http_probe(at("127.0.0.1", port), 1s, kind);
      probe.spec.edit<probes::HttpSpec>().host = "web.example";
      probe.spec.edit<probes::HttpSpec>().body = probes::Pattern::text("hello web.example");
      const ProbeResult result = probe_once(probe);
      EXPECT_EQ(result.reason, Reason::answered) << to_text(result.reason) << ' ' << result.detail;
      probe.spec.edit<probes::HttpSpec>().path = "/sick";
      EXPECT_EQ(probe_once(probe).detail, "503");
      probe.spec.edit<probes::HttpSpec>().status = {{503, 503}};
      probe.spec.edit<probes::HttpSpec>().body = {};
      EXPECT_EQ(probe_once(probe).outcome, Outcome::pass);
    }
    EXPECT_EQ(probe_once(http_probe(at("127.0.0.1", 8443), 1s, Kind::http)).detail, "400"); // plain HTTP on a TLS port
    EXPECT_EQ(probe_once(http_probe(at("127.0.0.1", 8080), 1s, Kind::https)).reason, Reason::tls_failed);
  });
}

TEST(ProbeHttps, VerifyChecksTheCertificate) {
  isolated([] {
    const Nginx nginx;
    const auto verified = [](std::uint16_t port, const char* host) {
      auto probe = http_probe(at("127.0.0.1", port), 1s, Kind::https);
      probe.spec.edit<probes::HttpSpec>().verify = true;
      probe.spec.edit<probes::HttpSpec>().host = host;
      return probe_once(probe);
    };
    const ProbeResult unknown = verified(8443, "web.example");
    EXPECT_EQ(unknown.reason, Reason::tls_failed);
    EXPECT_TRUE(unknown.detail.starts_with("self-signed certificate: ")) << unknown.detail;
    EXPECT_EQ(verified(8444, "web.example").reason, Reason::tls_failed);
  });
}

/// Makes the certificates in `file` the only CA certificates of this thread.
void trust_only(const std::filesystem::path& file) {
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(mount(file.c_str(), "/etc/ssl/certs/ca-certificates.crt", nullptr, MS_BIND, nullptr), 0);
}

TEST(ProbeHttps, VerifyTrustsTheSystemsCertificates) {
  isolated([] {
    const Nginx nginx;
    shell(fmt::format("cd {} && cat good.crt old.crt > both.crt", nginx.folder().path().string()));
    trust_only(nginx.folder().path() / "both.crt");
    auto probe = http_probe(at("127.0.0.1", 8443), 1s, Kind::https);
    probe.spec.edit<probes::HttpSpec>().verify = true;
    const ProbeResult by_address = probe_once(probe);
    EXPECT_EQ(by_address.reason, Reason::answered) << by_address.detail;
    probe.spec.edit<probes::HttpSpec>().host = "web.example";
    EXPECT_EQ(probe_once(probe).reason, Reason::answered);
    probe.spec.edit<probes::HttpSpec>().host = "other.example";
    const ProbeResult other = probe_once(probe);
    EXPECT_EQ(other.reason, Reason::tls_failed);
    EXPECT_NE(other.detail.find("other.example"), std::string::npos) << other.detail;
    probe.spec.edit<probes::HttpSpec>().host = "web.example";
    probe.server.port = 8444;
    EXPECT_TRUE(probe_once(probe).detail.starts_with("certificate has expired: "));
  });
}

TEST(ProbeHttps, ConnectionsAreReusedUntilTheServerStops) {
  isolated([] {
    auto nginx = std::make_unique<Nginx>();
    Probing probing;
    probing.scheduler->add(http_probe(at("127.0.0.1", 8443), 1s, Kind::https), {.interval = 20ms}, 0s);
    probing.scheduler->add(http_probe(at("127.0.0.1", 8080), 1s, Kind::http), {.interval = 20ms}, 0s);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() > 30; }));
    for (const auto& received : probing.results) EXPECT_EQ(received.result.reason, Reason::answered) << received.result.detail;
    shell("ss -Htn state established dport = :8443 | wc -l | grep -qx 1");
    shell("ss -Htan state time-wait | wc -l | grep -qx 0");
    nginx.reset();
    EXPECT_TRUE(probing.run_until([&] { return probing.results.back().result.reason == Reason::refused; }));
    probing.run_for(100ms); // a probe that was in flight
    probing.results.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 4; }));
    for (const auto& received : probing.results)
      EXPECT_EQ(received.result.reason, Reason::refused) << to_text(received.result.reason) << received.result.detail;
    nginx = std::make_unique<Nginx>();
    EXPECT_TRUE(probing.run_until([&] { return probing.results.back().result.reason == Reason::answered; }));
    probing.run_for(100ms); // likewise
    probing.results.clear();
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() >= 4; }));
    for (const auto& received : probing.results)
      EXPECT_EQ(received.result.reason, Reason::answered) << to_text(received.result.reason) << received.result.detail;
  });
}

/// The path shows the header X-Probe and the protocol.
probes::Probe http2_probe(std::uint16_t port, Kind kind, bool http2, const char* body) {
  auto probe = http_probe(at("127.0.0.1", port), 1s, kind);
  auto& http = probe.spec.edit<probes::HttpSpec>();
  http.path = "/header";
  http.headers = {"X-Probe: a b"};
  http.http2 = http2;
  http.body = probes::Pattern::expression(body);
  return probe;
}

TEST(ProbeHttps, Http2IsUsedWhereItIsConfigured) {
  isolated([] {
    const Nginx nginx;
    const char* two = "^probe a b of HTTP/2.0$";
    for (const auto& [port, kind] : {std::pair<std::uint16_t, Kind>{8081, Kind::http}, {8445, Kind::https}}) {
      const ProbeResult result = probe_once(http2_probe(port, kind, true, two));
      EXPECT_EQ(result.reason, Reason::answered) << port << to_text(result.reason) << result.detail;
    }
    EXPECT_EQ(probe_once(http2_probe(8443, Kind::https, false, "^probe a b of HTTP/1.1$")).reason, Reason::answered);
    EXPECT_EQ(probe_once(http2_probe(8445, Kind::https, false, two)).reason, Reason::wrong_answer);
    const ProbeResult old = probe_once(http2_probe(8443, Kind::https, true, two));
    EXPECT_EQ(old.reason, Reason::garbled) << to_text(old.reason);
    EXPECT_EQ(old.detail, "no HTTP/2");
    const ProbeResult plain = probe_once(http2_probe(8080, Kind::http, true, two));
    EXPECT_EQ(plain.reason, Reason::closed); // as libcurl reports it
    EXPECT_EQ(plain.detail, "no HTTP/2 response");
  });
}

TEST(ProbeHttps, ConnectionsOfTwoVersionsAreKeptApart) {
  isolated([] {
    const Nginx nginx;
    Probing probing;
    for (const bool two : {false, true})
      probing.scheduler->add(http2_probe(8445, Kind::https, two, two ? "HTTP/2.0$" : "HTTP/1.1$"), {.interval = 10ms}, 0s);
    EXPECT_TRUE(probing.run_until([&] { return probing.results.size() > 8; }));
    for (const auto& received : probing.results)
      EXPECT_EQ(received.result.reason, Reason::answered) << to_text(received.result.reason) << received.result.detail;
    shell("ss -Htn state established dport = :8445 | wc -l | grep -qx 2");
  });
}

TEST(ProbeHttps, ACertificateThatExpiresSoonIsSeenOnReusedConnectionsToo) {
  isolated([] {
    const Nginx nginx;
    const auto expiring = [](std::uint16_t port, int days) {
      auto probe = http_probe(at("127.0.0.1", port), 1s, Kind::https);
      probe.spec.edit<probes::HttpSpec>().expires_within = std::chrono::days{days};
      probe.spec.edit<probes::HttpSpec>().status = {{200, 404}};
      probe.spec.critical = days > 14;
      return probe;
    };
    EXPECT_EQ(probe_once(expiring(8444, 14)).outcome, Outcome::pass) << "a warning";
    EXPECT_EQ(probe_once(expiring(8443, 14)).reason, Reason::answered);
    EXPECT_EQ(probe_once(expiring(8444, 14)).reason, Reason::certificate_expires);
    EXPECT_EQ(probe_once(expiring(8444, 14)).detail.substr(0, 8), "expired ");
    Probing probing;
    probing.scheduler->add(expiring(8443, 40), {.interval = 10ms}, 0s);
    ASSERT_TRUE(probing.run_until([&] { return probing.results.size() == 5; }));
    for (const auto& received : probing.results) {
      EXPECT_EQ(received.result.outcome, Outcome::fail);
      EXPECT_EQ(received.result.reason, Reason::certificate_expires);
      EXPECT_EQ(received.result.detail.substr(0, 11), "expires in ");
    }
    shell("ss -Htn state established dport = :8443 | wc -l | grep -qx 1");
  });
}

} // namespace
} // namespace hanat::test
