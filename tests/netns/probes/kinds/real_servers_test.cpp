// Kinds over TCP with real servers from Debian's packages, each in the test's own namespace: a healthy one, one in the wrong role, and one
// that is stopped. Not here: TLS and passwords (secured_servers_test), hostile servers (tcp_session_test), https (https_test).
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/netns/lab/real_server.hpp"

namespace hanat::test {
namespace {

using namespace std::chrono_literals;
using probes::Kind;
using probes::Probe;

template <class Details> Probe kind_probe(Kind kind, std::uint16_t port, Details details) {
  auto probe = tcp_probe(at("127.0.0.1", port), 2s);
  probe.spec.kind = kind;
  probe.spec.edit<Details>() = std::move(details);
  return probe;
}

TEST(RealServers, Redis) {
  isolated([] {
    const TempFolder folder;
    const auto start = [&](unsigned port, const std::string& more) {
      return fmt::format("redis-server --port {} --bind 127.0.0.1 --dir {} --save '' {}", port, folder.path().string(), more);
    };
    RealServer master{folder, start(6379, "")};
    RealServer replica{folder, start(6380, "--replicaof 127.0.0.1 6379")};
    RealServer secret{folder, start(6381, "--requirepass s")};
    RealServer orphan{folder, start(6382, "--replicaof 127.0.0.1 1 --replica-serve-stale-data no")};
    const auto probe_of = [](std::uint16_t port, bool role) { return kind_probe(Kind::redis, port, probes::RedisSpec{.master = role}); };
    for (const std::uint16_t port : std::array<std::uint16_t, 3>{6379, 6380, 6381}) EXPECT_TRUE(comes_up(probe_of(port, false)));
    EXPECT_EQ(reason_of(probe_of(6379, true)), "answered");
    EXPECT_TRUE(becomes(probe_of(6380, true), "wrong-answer: role is slave"));
    EXPECT_EQ(reason_of(configured_probe(6380, R"(type = "redis", role = "replica")")), "answered");
    EXPECT_TRUE(comes_up(configured_probe(6380, R"(type = "redis", master_link_status = "up")")));
    EXPECT_EQ(reason_of(configured_probe(6379, R"(type = "redis", role = "replica")")), "wrong-answer: role is master");
    EXPECT_TRUE(becomes(configured_probe(6382, R"(type = "redis", master_link_status = "up")"),
                        "wrong-answer: MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."));
    EXPECT_EQ(reason_of(probe_of(6381, true)), "wrong-answer: NOAUTH Authentication required.: write password_file");
    EXPECT_TRUE(
        becomes(probe_of(6382, false), "wrong-answer: MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."));
    EXPECT_EQ(
        reason_of(kind_probe(Kind::tcp, 6379, probes::SendExpectSpec{.send = "PING\r\n", .expect = probes::Pattern::text("+PONG\r\n")})),
        "answered");
    master.stop();
    EXPECT_EQ(reason_of(probe_of(6379, false)), "refused");
  });
}

// It answers before it is asked, with one line of 1,067 bytes.
TEST(RealServers, RedisInProtectedMode) {
  isolated([] {
    shell("ip address add 198.18.0.1/32 dev lo");
    const TempFolder folder;
    RealServer server{folder, fmt::format("redis-server --bind 0.0.0.0 --protected-mode yes --dir {} --save ''", folder.path().string())};
    auto probe = kind_probe(Kind::redis, 6379, probes::RedisSpec{});
    probe.server.address = *Address::parse("198.18.0.1");
    EXPECT_TRUE(becomes(probe, "wrong-answer: DENIED Redis is running in protected mode because protected mode is enabled and "));
  });
}

TEST(RealServers, Postgres) {
  isolated([] {
    const TempFolder folder;
    shell("chown nobody:nogroup " + folder.path().string());
    const std::string data = folder.file("data");
    shell(fmt::format("cd / && {}{}/initdb -D {} --no-sync --wal-segsize=1 -A trust -U boss -E SQL_ASCII --locale=C >/dev/null", as_nobody,
                      pg_bin, data));
    folder.write("data/pg_hba.conf", "host all boss 127.0.0.1/32 trust\nhost all hanat 127.0.0.1/32 scram-sha-256\n");
    const auto start = fmt::format("{}{}/postgres -F -D {} -k {} -c listen_addresses=127.0.0.1 -c log_min_messages=log", as_nobody, pg_bin,
                                   data, folder.path().string());
    const auto probe_of = [](const char* user, bool writable, const char* database = "postgres") {
      return kind_probe(Kind::postgres, 5432, probes::SqlSpec{.writable = writable, .user = user, .database = database});
    };
    {
      RealServer primary{folder, start};
      ASSERT_TRUE(comes_up(probe_of("boss", true))) << folder.read("log");
      EXPECT_EQ(reason_of(probe_of("", false, "")), "answered");            // a password is requested
      EXPECT_EQ(reason_of(probe_of("stranger", false)), "answered");        // no entry in pg_hba.conf
      EXPECT_EQ(reason_of(probe_of("boss", false, "missing")), "answered"); // no such database
      EXPECT_EQ(reason_of(probe_of("hanat", true)), "wrong-answer: the server requires a password: write password_file");
      for (const char* key : {"in_recovery = false", "max_lag = \"10s\""})
        EXPECT_EQ(reason_of(configured_probe(5432, fmt::format(R"(type = "postgres", user = "boss", database = "postgres", {})", key))),
                  "answered");
      EXPECT_EQ(reason_of(probe_of("boss", true, "missing")), "wrong-answer: 3D000 database \"missing\" does not exist");
      primary.stop(SIGINT);
      EXPECT_EQ(reason_of(probe_of("boss", false)), "refused");
    }
    folder.write("data/standby.signal", "");
    RealServer standby{folder, start};
    ASSERT_TRUE(comes_up(probe_of("boss", false))) << folder.read("log");
    EXPECT_EQ(reason_of(probe_of("boss", true)), "wrong-answer: in recovery: a standby");
    const auto judged = [](const char* key) {
      return reason_of(configured_probe(5432, fmt::format(R"(type = "postgres", user = "boss", database = "postgres", {})", key)));
    };
    EXPECT_EQ(judged("in_recovery = true"), "answered");
    EXPECT_EQ(judged("in_recovery = false"), "wrong-answer: in recovery: a standby");
    EXPECT_EQ(judged("max_lag = \"10s\""), "wrong-answer: nothing has been replayed yet");
    standby.stop(SIGINT);
    EXPECT_EQ(folder.read("log").find("could not receive data"), std::string::npos) << folder.read("log"); // the probe closes with FIN
  });
}

/// Gives 198.18.0.2 a name, which makes MariaDB count the connection errors of that host.
void name_the_gateway(const TempFolder& folder) {
  shell("ip addr add 198.18.0.1/32 dev lo && ip addr add 198.18.0.2/32 dev lo");
  folder.write("hosts", "127.0.0.1 localhost\n198.18.0.2 gateway.example\n");
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(mount(folder.file("hosts").c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr), 0);
}

TEST(RealServers, Mysql) {
  isolated([] {
    const TempFolder folder;
    shell("chown nobody:nogroup " + folder.path().string());
    name_the_gateway(folder);
    const std::string data = folder.file("data");
    // No sync and a small log save seconds on a busy disk.
    const auto options = fmt::format(
        "--no-defaults --user=nobody --datadir={} --debug-no-sync --innodb-flush-method=nosync --innodb-log-file-size=4M", data);
    shell(fmt::format("mariadb-install-db {} --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1", options));
    folder.write("users", "CREATE USER gw@'%';\nCREATE USER other@'%' IDENTIFIED BY 'x';\n");
    RealServer server{
        folder, fmt::format("mariadbd {0} --socket={1}/s --port=3306 --bind-address=0.0.0.0 --init-file={1}/users --max-connect-errors=3",
                            options, folder.path().string())};
    const auto probe_of = [](const char* user, bool writable) {
      auto probe = kind_probe(Kind::mysql, 3306, probes::SqlSpec{.writable = writable, .user = user, .database = {}});
      probe.server = at("198.18.0.1", 3306);
      probe.spec.source = Address::parse("198.18.0.2");
      return probe;
    };
    ASSERT_TRUE(comes_up(probe_of("gw", true))) << folder.read("log");
    for (int i = 0; i < 8; ++i) EXPECT_EQ(reason_of(probe_of("", false)), "answered"); // more than max_connect_errors: no host is blocked
    EXPECT_EQ(reason_of(probe_of("gw", false)), "answered");
    EXPECT_EQ(reason_of(probe_of("other", false)), "answered");
    EXPECT_EQ(reason_of(probe_of("other", true)),
              "wrong-answer: 1045 Access denied for user 'other'@'gateway.example' (using password: NO)");
    shell(fmt::format("mariadb --no-defaults -S {}/s -uroot -e 'SET GLOBAL read_only = 1'", folder.path().string()));
    EXPECT_EQ(reason_of(probe_of("gw", true)), "wrong-answer: read_only is 1");
    EXPECT_EQ(reason_of(probe_of("gw", false)), "answered");
    EXPECT_EQ(reason_of(configured_probe(3306, R"(type = "mysql", user = "gw", wsrep_ready = true)")), "wrong-answer: wsrep_ready is OFF");
    server.stop(SIGKILL);
    EXPECT_EQ(reason_of(probe_of("gw", false)), "refused");
  });
}

TEST(RealServers, Smtp) {
  isolated([] {
    const TempFolder folder;
    // Debian 12's Python has it; a later one does not.
    RealServer server{folder, "/usr/bin/python3 -W ignore -m smtpd -n -c DebuggingServer 127.0.0.1:2525"};
    const auto probe = kind_probe(Kind::smtp, 2525, probes::SmtpSpec{.hello = "gw.example"});
    EXPECT_TRUE(comes_up(probe)) << folder.read("log");
    server.stop(SIGKILL);
    EXPECT_EQ(reason_of(probe), "refused");
  });
}

TEST(RealServers, Tls) {
  isolated([] {
    const TempFolder folder;
    make_certificate(folder, "good", "-enddate $(date -u -d '+9 days +12 hours' +%Y%m%d%H%M%SZ)");
    make_certificate(folder, "old", "-startdate 20200101000000Z -enddate 20200201000000Z");
    shell(fmt::format("cd {} && cat good.crt old.crt > both.crt", folder.path().string()));
    setenv("SSL_CERT_FILE", folder.file("both.crt").c_str(), 1); // what this thread trusts
    const auto serve = [&](const char* name, unsigned port) {
      return fmt::format("openssl s_server -www -quiet -accept 127.0.0.1:{0} -cert {1}/{2}.crt -key {1}/{2}.key", port,
                         folder.path().string(), name);
    };
    RealServer good{folder, serve("good", 8443)};
    RealServer old{folder, serve("old", 8444)};
    const auto probe_of = [](std::uint16_t port, const char* host, bool verify, int days = 0) {
      return kind_probe(Kind::tls, port, probes::TlsSpec{.host = host, .verify = verify, .expires_within = std::chrono::days{days}});
    };
    EXPECT_TRUE(comes_up(probe_of(8443, "", false))) << folder.read("log");
    EXPECT_TRUE(comes_up(probe_of(8444, "", false))) << folder.read("log");
    EXPECT_EQ(reason_of(probe_of(8443, "web.example", true)), "answered");
    EXPECT_EQ(reason_of(probe_of(8443, "", true)), "answered"); // by its address
    EXPECT_EQ(reason_of(probe_of(8443, "other.example", true)), "tls-failed: certificate is for web.example, 127.0.0.1, not for "
                                                                "other.example: write the name that it has as host, or as name in tls");
    auto own_name = probe_of(8443, "", true);
    own_name.name = "web.example"; // a server that is configured by its name
    EXPECT_EQ(reason_of(own_name), "answered");
    own_name.name = "db1.lan";
    EXPECT_TRUE(reason_of(own_name).starts_with("tls-failed: certificate is for web.example, 127.0.0.1, not for db1.lan: "));
    own_name.spec.edit<probes::TlsSpec>().host = "web.example";
    own_name.spec.tls = probes::TlsOptions{.verify = true, .name = "web.example"};
    EXPECT_EQ(reason_of(own_name), "answered");
    EXPECT_TRUE(reason_of(probe_of(8444, "web.example", true)).starts_with("tls-failed: certificate has expired (expired "));
    EXPECT_EQ(reason_of(probe_of(8443, "web.example", true, 5)), "answered");
    EXPECT_EQ(reason_of(probe_of(8443, "web.example", true, 14)), "certificate-expires: expires in 9 days");
    EXPECT_TRUE(reason_of(probe_of(8444, "", false, 14)).ends_with(" days ago"));
    good.stop(SIGKILL);
    EXPECT_EQ(reason_of(probe_of(8443, "", false)), "refused");
    unsetenv("SSL_CERT_FILE");
  });
  isolated([] { // another thread reads the CA certificates again
    const TempFolder folder;
    make_certificate(folder, "good", "-enddate $(date -u -d '+9 days +12 hours' +%Y%m%d%H%M%SZ)");
    RealServer server{folder, fmt::format("openssl s_server -www -quiet -accept 127.0.0.1:8443 -cert {0}/good.crt -key {0}/good.key",
                                          folder.path().string())};
    EXPECT_TRUE(comes_up(kind_probe(Kind::tls, 8443, probes::TlsSpec{})));
    EXPECT_EQ(reason_of(kind_probe(Kind::tls, 8443, probes::TlsSpec{.host = "web.example", .verify = true, .expires_within = {}})),
              "tls-failed: self-signed certificate: name the authority that signed it: tls = { ca = \"/path.pem\" }");
  });
}

TEST(RealServers, ATlsServerThatRefusesTheHandshakeHasACause) {
  isolated([] {
    const TempFolder folder;
    make_certificate(folder, "good", "-days 9");
    const auto serve = [&](unsigned port, const char* more) {
      return fmt::format("openssl s_server -www -quiet -accept 127.0.0.1:{0} -cert {1}/good.crt -key {1}/good.key {2}", port,
                         folder.path().string(), more);
    };
    RealServer wants12{folder, serve(8443, "-tls1_2 -Verify 1 -verify_return_error")};
    RealServer wants13{folder, serve(8444, "-tls1_3 -Verify 1 -verify_return_error")};
    RealServer old{folder, serve(8445, "-tls1_1 -cipher DEFAULT@SECLEVEL=0")};
    for (const std::uint16_t port : std::array<std::uint16_t, 3>{8443, 8444, 8445})
      EXPECT_TRUE(becomes(tcp_probe(at("127.0.0.1", port)), "connected")) << folder.read("log");
    const auto tls_of = [](std::uint16_t port) { return reason_of(kind_probe(Kind::tls, port, probes::TlsSpec{})); };
    const auto https_of = [](std::uint16_t port) { return reason_of(http_probe(at("127.0.0.1", port), 2s, Kind::https)); };
    const char* wants = "tls-failed: the server wants a client certificate: write tls = { cert = \"...\", key = \"...\" } into the probe";
    EXPECT_EQ(tls_of(8443), wants);
    EXPECT_EQ(tls_of(8444), "answered"); // with TLS 1.3 the handshake is complete before the server sees that there is none
    EXPECT_EQ(https_of(8444), wants);
    EXPECT_TRUE(tls_of(8445).starts_with("tls-failed: the server speaks TLS 1.1 at most (")) << tls_of(8445);
    EXPECT_TRUE(https_of(8445).starts_with("tls-failed: the server speaks TLS 1.1 at most (")) << https_of(8445);
  });
}

} // namespace
} // namespace hanat::test
