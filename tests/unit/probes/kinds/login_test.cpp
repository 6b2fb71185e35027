// Clients that log in with a password and start TLS, up to where the handshake begins: each message whole and byte by byte.
// Not here: without a password (protocol_test), real servers (tests/netns/probes/kinds/secured_servers_test).
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "probes/kinds/mysql_login.hpp"
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

using namespace std::string_literals;
using Client = std::unique_ptr<ProtocolClient>;

const Password pencil{.file = "/etc/hanat/password", .secret = Secret{"pencil"}};

/// What has been sent, and " | " and the verdict or what is begun.
std::string played(const Client& client, const std::string& text, std::size_t piece) {
  Step step = client->begin();
  std::string sent = step.send;
  for (std::size_t at = 0; at < text.size() && !step.verdict && !step.start_tls; at += piece) {
    step = client->on_data(std::string_view{text}.substr(at, piece));
    if (step.work) {
      sent += step.send;
      step.work();
      step = client->on_worked();
    }
    sent += step.send;
  }
  if (step.start_tls) return sent + " | TLS";
  if (!step.verdict) return sent + " | -";
  const Verdict& verdict = *step.verdict;
  return sent + " | " + std::string{to_text(verdict.reason)} + (verdict.detail.empty() ? "" : ": " + verdict.detail) +
         (verdict.remedy.empty() ? "" : ": " + verdict.remedy);
}

template <class Make> std::string play(const Make& make, const std::string& text) {
  const std::string whole = played(make(), text, text.size() + 1);
  if (!text.starts_with('S')) { // not where bytes behind the permission matter
    EXPECT_EQ(played(make(), text, 1), whole);
  }
  return whole;
}

std::string pg_bytes(char type, const std::string& body) {
  return std::string{type} + "\0\0\0"s + static_cast<char>(body.size() + 4) + body;
}
std::string pg_refusal(const std::string& state, const std::string& text) { return pg_bytes('E', "C"s + state + "\0M"s + text + "\0\0"s); }
/// What the client says behind the startup message.
std::string pg_says(const std::string& text, bool tls = false) {
  const auto make = [tls] { return postgres({.user = "u", .password = pencil}, tls); };
  const std::string all = play(make, text), startup = make()->begin().send;
  return all.substr(startup.size());
}

TEST(LoginPostgres, TlsIsAskedForFirst) {
  EXPECT_EQ(postgres({.user = "u"}, true)->begin().send, "\0\0\0\x08\x04\xd2\x16\x2f"s);
  EXPECT_EQ(pg_says("S", true), " | TLS");
  EXPECT_EQ(pg_says("N", true), " | tls-failed: the server has no TLS: set ssl = on there, or remove tls here");
  EXPECT_EQ(pg_says("SR", true), " | garbled: data in front of the TLS handshake"); // an attacker's, who is not inside TLS
  EXPECT_EQ(pg_says(pg_refusal("53300", "sorry, too many clients already"), true), " | full: 53300 sorry, too many clients already");
}

TEST(LoginPostgres, ThePasswordIsProvenInTheWayThatTheServerWants) {
  EXPECT_EQ(pg_says(pg_bytes('R', "\0\0\0\5salt"s)), pg_bytes('p', "md54bd2d52e77c4a37f2b21d8f10d53a176\0"s) + " | -");
  EXPECT_EQ(pg_says(pg_bytes('R', "\0\0\0\3"s)),
            " | wrong-answer: the server wants the password in the clear: write tls = true, or let it use scram-sha-256");
  EXPECT_EQ(pg_says(pg_bytes('R', "\0\0\0\x07"s)),
            " | wrong-answer: the server wants another kind of login (number 7): let it use scram-sha-256 for "
            "this user in pg_hba.conf");
  EXPECT_EQ(pg_says(pg_bytes('R', "\0\0\0\x0aSCRAM-SHA-1\0\0"s)), " | wrong-answer: the server offers no login by SCRAM-SHA-256");
  EXPECT_EQ(pg_says(pg_bytes('R', "\0\0\0\x0b"s)), " | garbled: login: no SCRAM message");
  EXPECT_EQ(pg_says(pg_bytes('R', "\0\0\0\x0c"s)), " | wrong-answer: the server does not know the password: perhaps it is another one");
  EXPECT_EQ(pg_says(pg_bytes('R', "\0\0\0\0"s) + pg_bytes('Z', "I")),
            pg_bytes('X', "") + " | answered"); // trusted: no password is asked for
}

TEST(LoginPostgres, AScramExchangeNeedsTheServersProof) {
  const auto client = postgres({.user = "u", .password = pencil});
  (void)client->begin();
  const std::string first = client->on_data(pg_bytes('R', "\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s)).send;
  ASSERT_EQ(first.substr(5, 14), "SCRAM-SHA-256\0"s);
  EXPECT_EQ(first.substr(23, 8), "n,,n=,r=");
  Step step = client->on_data(pg_bytes('R', "\0\0\0\x0br="s + first.substr(31) + "x,s=QUJD,i=3"));
  ASSERT_TRUE(step.work);
  step.work();
  EXPECT_TRUE(client->on_worked().send.starts_with("p\0\0\0"s));
  EXPECT_EQ(client->on_data(pg_bytes('R', "\0\0\0\0"s)).verdict,
            (Verdict{Reason::wrong_answer, "the server did not prove that it knows the password"}));
}

TEST(LoginPostgres, ARefusalNamesItsRemedy) {
  EXPECT_EQ(
      pg_says(pg_refusal("28P01", "password authentication failed for user \"u\"")),
      " | wrong-answer: 28P01 password authentication failed for user \"u\": check user and password_file, and whether the password has "
      "expired (VALID UNTIL)");
  EXPECT_EQ(
      pg_says(pg_refusal("28000", "no pg_hba.conf entry for host \"192.0.2.1\", user \"u\", database \"u\", no encryption")),
      " | wrong-answer: 28000 no pg_hba.conf entry for host \"192.0.2.1\", user \"u\", database \"u\", no encryption: it wants TLS here: "
      "write tls = true");
}

TEST(LoginPostgres, AStandbyMayLagSoFar) {
  const auto make = [] { return postgres({.user = "u", .max_lag = std::chrono::seconds{10}}); };
  const std::string in = pg_bytes('R', "\0\0\0\0"s) + pg_bytes('S', "in_hot_standby\0on\0"s) + pg_bytes('Z', "I");
  const auto lag = [&](const std::string& value) {
    const std::string row = pg_bytes('D', "\0\1\0\0\0"s + static_cast<char>(value.size()) + value);
    const std::string all = play(make, in + row + pg_bytes('Z', "I"));
    return all.substr(all.find(" | ") + 3);
  };
  EXPECT_EQ(lag("primary"), "answered");
  EXPECT_EQ(lag("0"), "answered");
  EXPECT_EQ(lag("9.999999"), "answered");
  EXPECT_EQ(lag("12.345678"), "wrong-answer: 12.3 s behind the primary, more than 10.0 s");
  EXPECT_EQ(lag("-1"), "wrong-answer: nothing has been replayed yet");
  EXPECT_EQ(lag("x").substr(0, 7), "garbled");
}

TEST(LoginRedis, AuthComesFirst) {
  const auto make = [](const char* user) { return [user] { return redis({.user = user, .password = pencil}); }; };
  EXPECT_EQ(play(make("u"), "+OK\r\n+PONG\r\n"), "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$6\r\npencil\r\n*1\r\n$4\r\nPING\r\n | answered");
  EXPECT_EQ(play(make(""), "+OK\r\n+PONG\r\n"), "*2\r\n$4\r\nAUTH\r\n$6\r\npencil\r\n*1\r\n$4\r\nPING\r\n | answered");
  const auto says = [&](const char* text) {
    const std::string all = play(make("u"), text);
    return all.substr(all.find(" | ") + 3);
  };
  EXPECT_EQ(says("-WRONGPASS invalid username-password pair\r\n-NOAUTH x\r\n"),
            "wrong-answer: WRONGPASS invalid username-password pair: check user and password_file");
  EXPECT_EQ(
      says("-ERR AUTH <password> called without any password configured for the default user\r\n+PONG\r\n"),
      "wrong-answer: ERR AUTH <password> called without any password configured for the default user: the server has no password: remove "
      "password_file");
  EXPECT_EQ(says("+OK\r\n-NOAUTH Authentication required.\r\n"), "wrong-answer: NOAUTH Authentication required.: write password_file");
  EXPECT_EQ(says("+PONG\r\n"), "garbled: +PONG");
}

TEST(LoginRedis, AReplicaHasALink) {
  const auto make = [] { return redis({.replica = true, .linked = true}); };
  const auto says = [&](const std::string& text) {
    const std::string all = play(make, "+PONG\r\n" + text);
    return all.substr(all.find(" | ") + 3);
  };
  const std::string replica = "*5\r\n$5\r\nslave\r\n$9\r\n192.0.2.1\r\n:6379\r\n";
  EXPECT_EQ(says(replica + "$9\r\nconnected\r\n:0\r\n"), "answered");
  EXPECT_EQ(says(replica + "$10\r\nconnecting\r\n:0\r\n"), "wrong-answer: the link to the master is not up (connecting)");
  EXPECT_EQ(says("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), "wrong-answer: role is master");
  EXPECT_EQ(says("*5\r\n$5\r\nslave\r\n:9\r\n"), "garbled: :9");
}

TEST(LoginSmtp, StarttlsFollowsTheFirstEhloAndIsFollowedByAnother) {
  const auto make = [] { return smtp({.hello = "gw.example"}, true); };
  const std::string hello = "220 mx\r\n250-mx\r\n250-StartTLS\r\n250 HELP\r\n";
  EXPECT_EQ(play(make, hello + "220 go\r\n"), "EHLO gw.example\r\nSTARTTLS\r\n | TLS");
  EXPECT_EQ(play(make, "220 mx\r\n250-mx\r\n250 HELP\r\n"),
            "EHLO gw.example\r\nQUIT\r\n | tls-failed: the server offers no STARTTLS: set it up there, or remove tls here");
  EXPECT_EQ(play(make, hello + "454 not available\r\n"), "EHLO gw.example\r\nSTARTTLS\r\nQUIT\r\n | wrong-answer: 454 not available");
  const auto client = make();
  (void)client->begin();
  EXPECT_EQ(client->on_data(hello + "220 go\r\n250 injected\r\n").verdict,
            (Verdict{Reason::garbled, "data in front of the TLS handshake"}));
}

std::string my_packet(unsigned char sequence, const std::string& payload) {
  return std::string{static_cast<char>(payload.size())} + "\0\0"s + static_cast<char>(sequence) + payload;
}
std::string my_hello(const std::string& plugin, char high = '\xff') {
  return my_packet(0, "\x0a"
                      "8.0\0\1\0\0\0saltsalt\0\xff"s +
                          high + "\x08\2\0\xff\xff\x15"s + std::string(10, '\0') + "saltsaltsalt\0"s + plugin + '\0');
}
std::string to_hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}
const std::string native_bytes = "\xb4\x56\xec\xe6\xf0\x25\x05\xd3\x43\xdf\x1a\x9f\x84\x18\x18\x32\xdf\x15\x20\x63"s;

std::string my_says(const std::string& text, bool tls = false) {
  return play([tls] { return mysql({.user = "u", .password = pencil}, tls); }, text);
}

TEST(LoginMysql, ThePasswordIsProvenByThePluginOfTheGreeting) {
  const std::string login = my_says(my_hello("mysql_native_password"));
  EXPECT_NE(login.find("u\0\x14"s + native_bytes + "mysql_native_password\0"s), std::string::npos);
  const std::string unknown = my_says(my_hello("auth_gssapi_client"));
  EXPECT_NE(unknown.find("mysql_native_password\0"s), std::string::npos);
  const std::string after = my_says(my_hello("x") + my_packet(2, "\xfemysql_native_password\0saltsaltsaltsaltsalt\0"s));
  EXPECT_TRUE(after.ends_with(my_packet(3, native_bytes) + " | -"));
  EXPECT_TRUE(my_says(my_hello("x") + my_packet(2, "\xfe"
                                                   "auth_gssapi_client\0salt"s))
                  .ends_with(" | wrong-answer: the server wants the plugin auth_gssapi_client for this "
                             "user: let the user log in by caching_sha2_password, client_ed25519 or mysql_native_password"));
}

TEST(LoginMysql, EachPluginHasItsProofAndACacheMayNeedThePasswordItself) {
  MysqlLogin login{"u", Secret{"pencil"}};
  const std::string proof =
      "\xbb\x58\xdd\xf3\x2d\xa0\xde\x48\x96\x7e\xdb\x6f\xb3\x27\xdd\x04\x64\x0a\x25\x10\x9c\x7d\x69\x65\xe0\x3d\xf3\x00\x92\x63\x53\x6a"s;
  EXPECT_EQ(login.proof(caching_sha2, "01234567890123456789\0"s), proof);
  EXPECT_EQ(
      to_hex(login.proof(ed25519, "0123456789abcdef0123456789abcdef").value_or("")),
      "ab8686a767e3378a13a6b70d13d31863720f55038dce47154bd6f6bed86089947d60c10198e2da3fb14a4be0a13c345e3d737d4958f7c60a2f49d8d237230b0d");
  EXPECT_EQ(login.reply("\3"), "");
  EXPECT_EQ(login.reply("\4"), std::nullopt);
  EXPECT_EQ(login.why_not().detail, "the password is wrong, or the server's cache lacks it (caching_sha2_password)");
  EXPECT_EQ(login.why_not().remedy, "write tls = true");
  login.secured();
  EXPECT_EQ(login.reply("\4"), "pencil\0"s);
  EXPECT_EQ(login.reply("\7"), std::nullopt);
  EXPECT_EQ(login.proof("mysql_clear_password", ""), "pencil\0"s);
}

TEST(LoginMysql, TlsBeginsBehindTheGreeting) {
  const std::string request = my_packet(1, "\0\x8a\x08\0\0\0\0\1\x08"s + std::string(23, '\0'));
  EXPECT_EQ(my_says(my_hello("mysql_native_password"), true), request + " | TLS");
  EXPECT_EQ(my_says(my_hello("mysql_native_password", '\xf7'), true),
            " | tls-failed: the server has no TLS: set ssl_cert and ssl_key there, or remove tls here");
}

} // namespace
} // namespace hanat::probes
