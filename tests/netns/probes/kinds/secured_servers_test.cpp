// Servers that take nothing but TLS and a password, from Debian's packages: with what is right, wrong and expired, each with its cause. The
// probes are those of a configuration. Not here: the same servers without TLS (real_servers_test).
#include <csignal>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/netns/lab/authority.hpp"
#include "tests/netns/lab/isolated.hpp"
#include "tests/netns/lab/real_server.hpp"

namespace hanat::test {
namespace {

constexpr const char* untrusted = "name the authority that signed it: tls = { ca = \"/path.pem\" }";

/// Certificates and passwords in a folder that a server of `owner` may read: "good", "old" (expired), "card" of a client.
class Keyring {
public:
  explicit Keyring(const char* owner) : authority_(folder_, "ca"), other_(folder_, "other") {
    shell("chmod 755 " + folder_.path().string());
    authority_.issue("good", "-days 9", owner);
    authority_.issue("old", "-startdate 20200101000000Z -enddate 20200201000000Z", owner);
    authority_.issue("card");
    other_.issue("alien");
    password("right", "pencil");
    password("wrong", "eraser");
  }

  const TempFolder& folder() const { return folder_; }
  std::string file(const char* name) const { return folder_.file(name); }
  /// The key `tls` with this authority and these keys more.
  std::string tls(const char* ca = "ca", const std::string& more = "") const {
    return fmt::format("tls = {{ ca = \"{}.crt\", name = \"db.example\"{}{} }}", file(ca), more.empty() ? "" : ", ", more);
  }
  std::string card(const char* name = "card") const { return fmt::format("cert = \"{0}.crt\", key = \"{0}.key\"", file(name)); }
  std::string login(const char* user, const char* password = "right") const {
    return fmt::format("user = \"{}\", password_file = \"{}\"", user, file(password));
  }

private:
  void password(const char* name, const char* text) const {
    folder_.write(name, std::string{text} + "\n");
    chmod(file(name).c_str(), 0600);
  }

  TempFolder folder_;
  Authority authority_, other_;
};

/// What every type says of a server with a good certificate; of one with a bad one: see expect_expired().
void expect_causes(const Keyring& own, std::uint16_t port, const std::string& keys) {
  const auto with = [&](const std::string& tls) { return reason_of(configured_probe(port, keys + ", " + tls)); };
  EXPECT_EQ(with(own.tls()), "answered");
  EXPECT_EQ(with("tls = true"), "answered"); // verifies nothing
  for (const std::string& tls : {std::string{"tls = { verify = true }"}, own.tls("other")}) {
    const std::string reason = with(tls); // OpenSSL's words depend on whether the server sends its authority, too
    EXPECT_TRUE(reason.starts_with("tls-failed: ") && reason.ends_with(untrusted)) << reason;
  }
  EXPECT_EQ(
      with(fmt::format("tls = {{ ca = \"{}\", name = \"shop.example\" }}", own.file("ca.crt"))),
      "tls-failed: certificate is for db.example, 127.0.0.1, not for shop.example: write the name that it has as host, or as name in tls");
  EXPECT_EQ(with(fmt::format("tls = {{ ca = \"{}\" }}", own.file("ca.crt"))), "answered") << "by its address";
}

void expect_expired(const Keyring& own, std::uint16_t port, const std::string& keys) {
  const auto probe = configured_probe(port, keys + ", " + own.tls());
  std::string reason;
  for (int i = 0; i < 200 && !(reason = reason_of(probe)).starts_with("tls-failed: "); ++i) usleep(50'000); // the server takes it up
  EXPECT_TRUE(reason.starts_with("tls-failed: certificate has expired (expired ")) << reason;
  EXPECT_TRUE(reason.ends_with(" days ago): renew it, and make the server load it")) << reason;
  EXPECT_EQ(reason_of(configured_probe(port, keys + ", tls = true")), "answered");
}

TEST(SecuredServers, Postgres) {
  isolated([] {
    const Keyring own{"nobody"};
    const TempFolder& folder = own.folder();
    shell("chown nobody:nogroup " + folder.path().string());
    const std::string data = folder.file("data");
    shell(fmt::format("cd / && {}{}/initdb -D {} --no-sync --wal-segsize=1 -A trust -U boss -E SQL_ASCII --locale=C >/dev/null", as_nobody,
                      pg_bin, data));
    folder.write("users", "CREATE ROLE hanat LOGIN PASSWORD 'pencil'; CREATE ROLE carded LOGIN PASSWORD 'pencil'; CREATE ROLE old LOGIN "
                          "PASSWORD 'pencil' VALID UNTIL '2001-01-01'; SET password_encryption = 'md5'; CREATE ROLE elder LOGIN PASSWORD "
                          "'pencil'; CREATE ROLE plain LOGIN PASSWORD 'pencil';\n");
    shell(fmt::format("cd / && {}{}/postgres --single -D {} postgres <{} >/dev/null", as_nobody, pg_bin, data, folder.file("users")));
    folder.write("data/pg_hba.conf",
                 "hostssl all carded 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\nhostssl all elder 127.0.0.1/32 md5\n"
                 "hostssl all plain 127.0.0.1/32 password\nhostssl all all 127.0.0.1/32 scram-sha-256\n");
    RealServer server{folder, fmt::format("{}{}/postgres -F -D {} -k {} -c listen_addresses=127.0.0.1 -c ssl=on -c ssl_ca_file={} "
                                          "-c ssl_cert_file={}/good.crt -c ssl_key_file={}/good.key",
                                          as_nobody, pg_bin, data, folder.path().string(), own.file("ca.crt"), folder.path().string(),
                                          folder.path().string())};
    const auto judged = [&](const std::string& login, const std::string& tls) {
      return reason_of(configured_probe(5432, fmt::format(R"(type = "postgres", database = "postgres", {}, {})", login, tls)));
    };
    const std::string writable = R"(type = "postgres", database = "postgres", writable = true, )" + own.login("hanat");
    ASSERT_TRUE(comes_up(configured_probe(5432, writable + ", " + own.tls()))) << folder.read("log");
    expect_causes(own, 5432, writable);
    const std::string rejected = ": check user and password_file, and whether the password has expired (VALID UNTIL)";
    EXPECT_EQ(judged(own.login("hanat", "wrong"), own.tls()),
              "wrong-answer: 28P01 password authentication failed for user \"hanat\"" + rejected);
    EXPECT_EQ(judged(own.login("old"), own.tls()), "wrong-answer: 28P01 password authentication failed for user \"old\"" + rejected);
    EXPECT_EQ(judged(own.login("elder"), own.tls()), "answered");
    EXPECT_EQ(judged(own.login("plain"), own.tls()), "answered");
    EXPECT_TRUE(judged(own.login("hanat"), "tls = false").ends_with(": it wants TLS here: write tls = true"))
        << judged(own.login("hanat"), "tls = false");
    EXPECT_EQ(judged(own.login("carded"), own.tls()), "wrong-answer: 28000 connection requires a valid client certificate");
    EXPECT_EQ(judged(own.login("carded"), own.tls("ca", own.card())), "answered");
    EXPECT_EQ(
        judged(own.login("carded"), own.tls("ca", own.card("alien"))),
        "tls-failed: the server does not trust the authority of our client certificate: let that authority sign it which the server asks "
        "for");
    EXPECT_EQ(judged("user = \"hanat\"", own.tls()), "answered") << "without a password a request for one will do";
    shell(fmt::format("cd {0} && cp old.crt good.crt && cp -p old.key good.key && kill -HUP {1}", folder.path().string(),
                      server.process().pid()));
    expect_expired(own, 5432, writable);
    server.stop(SIGINT);
    EXPECT_EQ(folder.read("log").find("could not receive data"), std::string::npos) << folder.read("log");
  });
}

TEST(SecuredServers, Redis) {
  isolated([] {
    const Keyring own{"root"};
    const auto start = [&](unsigned port, const char* certificate, const char* clients) {
      return fmt::format("redis-server --port 0 --tls-port {0} --bind 127.0.0.1 --dir {1} --save '' --tls-cert-file {1}/{2}.crt "
                         "--tls-key-file {1}/{2}.key --tls-ca-cert-file {1}/ca.crt --tls-auth-clients {3} "
                         "--user default off --user hanat on '>pencil' +ping +role --user idle off '>pencil'",
                         port, own.folder().path().string(), certificate, clients);
    };
    RealServer server{own.folder(), start(6379, "good", "no")};
    RealServer strict{own.folder(), start(6380, "good", "yes")};
    RealServer old{own.folder(), start(6381, "old", "no")};
    const std::string right = R"(type = "redis", role = "master", )" + own.login("hanat");
    ASSERT_TRUE(comes_up(configured_probe(6379, right + ", " + own.tls()))) << own.folder().read("log");
    const auto judged = [&](std::uint16_t port, const std::string& login, const std::string& tls) {
      return reason_of(configured_probe(port, R"(type = "redis", )" + login + ", " + tls));
    };
    expect_causes(own, 6379, right);
    const std::string rejected =
        "wrong-answer: WRONGPASS invalid username-password pair or user is disabled.: check user and password_file";
    EXPECT_EQ(judged(6379, own.login("hanat", "wrong"), own.tls()), rejected);
    EXPECT_EQ(judged(6379, own.login("idle"), own.tls()), rejected);
    EXPECT_EQ(judged(6379, R"(role = "master")", own.tls()), "wrong-answer: NOAUTH Authentication required.: write password_file");
    ASSERT_TRUE(comes_up(configured_probe(6380, right + ", " + own.tls("ca", own.card())))) << own.folder().read("log");
    EXPECT_EQ(judged(6380, own.login("hanat"), own.tls()),
              "tls-failed: the server wants a client certificate: write tls = { cert = \"...\", key = \"...\" } into the probe");
    EXPECT_TRUE(judged(6380, own.login("hanat"), own.tls("ca", own.card("old")))
                    .starts_with("tls-failed: the server says that our client "
                                 "certificate has expired"));
    expect_expired(own, 6381, right);
    EXPECT_EQ(reason_of(configured_probe(6379, R"(type = "tcp", send = "PING\r\n", expect = "NOAUTH", )" + own.tls())), "answered");
    EXPECT_EQ(reason_of(configured_probe(6379, R"(type = "tcp", )" + own.tls())), "answered"); // the handshake
  });
}

TEST(SecuredServers, Mysql) {
  isolated([] {
    const Keyring own{"nobody"};
    const TempFolder& folder = own.folder();
    shell("chown nobody:nogroup " + folder.path().string());
    const auto options = fmt::format("--no-defaults --user=nobody --datadir={} --debug-no-sync --innodb-flush-method=nosync "
                                     "--innodb-log-file-size=4M",
                                     folder.file("data"));
    shell(fmt::format("mariadb-install-db {} --auth-root-authentication-method=normal --skip-test-db >/dev/null 2>&1", options));
    folder.write("users", "CREATE USER hanat@'%' IDENTIFIED BY 'pencil';\nCREATE USER old@'%' IDENTIFIED BY 'pencil' PASSWORD EXPIRE;\n"
                          "CREATE USER locked@'%' IDENTIFIED BY 'pencil' ACCOUNT LOCK;\n"
                          "CREATE USER carded@'%' IDENTIFIED BY 'pencil' REQUIRE X509;\n"
                          "CREATE USER other@'%' IDENTIFIED VIA unix_socket;\nINSTALL SONAME 'auth_ed25519';\n"
                          "CREATE USER curved@'%' IDENTIFIED VIA ed25519 USING PASSWORD('pencil');\n");
    RealServer server{folder, fmt::format("mariadbd {0} --socket={1}/s --port=3306 --bind-address=127.0.0.1 --init-file={1}/users "
                                          "--skip-name-resolve --require-secure-transport --ssl-ca={1}/ca.crt --ssl-cert={1}/good.crt "
                                          "--ssl-key={1}/good.key",
                                          options, folder.path().string())};
    const std::string right = R"(type = "mysql", writable = true, )" + own.login("hanat");
    ASSERT_TRUE(comes_up(configured_probe(3306, right + ", " + own.tls()))) << folder.read("log");
    const auto judged = [&](const std::string& login, const std::string& tls) {
      return reason_of(configured_probe(3306, R"(type = "mysql", writable = true, )" + login + ", " + tls));
    };
    expect_causes(own, 3306, right);
    EXPECT_EQ(judged(own.login("hanat", "wrong"), own.tls()),
              "wrong-answer: 1045 Access denied for user 'hanat'@'127.0.0.1' (using password: YES): check user and password_file");
    EXPECT_TRUE(judged(own.login("old"), own.tls())
                    .ends_with(": the password has expired: renew it (ALTER USER), and write it into "
                               "password_file"))
        << judged(own.login("old"), own.tls());
    EXPECT_TRUE(judged(own.login("locked"), own.tls()).ends_with(": the user is locked: ALTER USER ... ACCOUNT UNLOCK"));
    EXPECT_TRUE(judged(own.login("hanat"), "tls = false").ends_with(": check user and password_file, and whether the user must use TLS"))
        << judged(own.login("hanat"), "tls = false");
    EXPECT_TRUE(judged(own.login("carded"), own.tls()).starts_with("wrong-answer: 1045 ")) << judged(own.login("carded"), own.tls());
    EXPECT_EQ(judged(own.login("carded"), own.tls("ca", own.card())), "answered");
    EXPECT_EQ(judged(own.login("curved"), own.tls()), "answered");
    EXPECT_TRUE(judged(own.login("curved", "wrong"), own.tls()).starts_with("wrong-answer: 1045 "));
    EXPECT_TRUE(judged(own.login("other"), own.tls()).starts_with("wrong-answer: ")) << judged(own.login("other"), own.tls());
    EXPECT_EQ(reason_of(configured_probe(3306, R"(type = "mysql", )" + own.tls())), "answered") << "without a password a refusal will do";
    shell(fmt::format("cd {0} && cp old.crt good.crt && cp -p old.key good.key && mariadb --no-defaults -S s -uroot -e 'FLUSH SSL'",
                      folder.path().string()));
    expect_expired(own, 3306, right);
    server.stop(SIGKILL);
  });
}

TEST(SecuredServers, Postfix) {
  isolated([] {
    const Keyring own{"root"};
    const TempFolder& folder = own.folder();
    shell(fmt::format("cd {0} && mkdir c q d && chown postfix d && for name in good old; do cat $name.key $name.crt >$name.pem; chmod 600 "
                      "$name.pem; done",
                      folder.path().string()));
    folder.write("c/main.cf",
                 fmt::format("compatibility_level = 3.6\nqueue_directory = {0}/q\ndata_directory = {0}/d\nmaillog_file = "
                             "/dev/stdout\ninet_interfaces = 127.0.0.1\nmyhostname = mx.example\nmydestination =\nalias_maps "
                             "=\nlocal_recipient_maps =\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = {0}/good.pem\n",
                             folder.path().string()));
    folder.write("c/master.cf", fmt::format("2525 inet n - n - - smtpd\n2526 inet n - n - - smtpd -o smtpd_tls_security_level=none\n"
                                            "2527 inet n - n - - smtpd -o smtpd_tls_chain_files={}/old.pem\n"
                                            "2528 inet n - n - - smtpd -o smtpd_tls_mandatory_protocols=<=TLSv1.2 -o "
                                            "smtpd_tls_protocols=<=TLSv1.2\n"
                                            "postlog unix-dgram n - n - 1 postlogd\ntlsmgr unix - - n 1000? 1 tlsmgr\n"
                                            "anvil unix - - n - 1 anvil\n",
                                            folder.path().string()));
    shell(fmt::format("postfix -c {}/c check 2>/dev/null", folder.path().string()));
    RealServer server{folder, fmt::format("/usr/lib/postfix/sbin/master -c {}/c -d", folder.path().string())};
    const std::string smtp = R"(type = "smtp", hello = "gw.example")";
    ASSERT_TRUE(comes_up(configured_probe(2525, smtp + ", " + own.tls()))) << folder.read("log");
    expect_causes(own, 2525, smtp);
    EXPECT_EQ(reason_of(configured_probe(2525, smtp)), "answered");
    EXPECT_EQ(reason_of(configured_probe(2526, smtp + ", tls = true")),
              "tls-failed: the server offers no STARTTLS: set it up there, or remove tls here");
    expect_expired(own, 2527, smtp);
    EXPECT_EQ(reason_of(configured_probe(2528, smtp + ", tls = { min = \"1.2\" }")), "answered");
    EXPECT_TRUE(reason_of(configured_probe(2528, smtp + ", tls = { min = \"1.3\" }"))
                    .starts_with("tls-failed: the server does not speak TLS "
                                 "1.3 ("));
  });
}

} // namespace
} // namespace hanat::test
