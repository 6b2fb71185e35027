// Protocol clients: every reply whole, byte by byte, and split in two at every byte, always with the same verdict.
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include <gtest/gtest.h>

#include "probes/kinds/certificate.hpp"
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

using namespace std::string_literals;
using namespace std::chrono_literals;
using Make = std::function<std::unique_ptr<ProtocolClient>()>;

/// The outcome of a session: all bytes sent, and the verdict.
struct Session {
  std::string sent;
  std::optional<Verdict> verdict;
  /// The detail of garbled bytes depends on how many have arrived.
  bool operator==(const Session& other) const {
    const bool both_garbled = verdict && other.verdict && verdict->reason == Reason::garbled && other.verdict->reason == Reason::garbled;
    return sent == other.sent && (both_garbled || verdict == other.verdict);
  }
};
std::ostream& operator<<(std::ostream& stream, const Session& session) {
  if (!session.verdict) return stream << testing::PrintToString(session.sent);
  return stream << testing::PrintToString(session.sent) << ' ' << to_text(session.verdict->reason) << ": " << session.verdict->detail;
}

Session run_pieces(const Make& make, std::initializer_list<std::string_view> pieces, std::size_t size) {
  const auto client = make();
  Step step = client->begin();
  Session session{.sent = step.send, .verdict = step.verdict};
  for (const std::string_view piece : pieces)
    for (std::size_t at = 0; at < piece.size() && !session.verdict; at += size) {
      step = client->on_data(piece.substr(at, size));
      session.sent += step.send;
      session.verdict = step.verdict;
    }
  return session;
}

Session run_session(const Make& make, const std::string& text) {
  const Session whole = run_pieces(make, {text}, text.size() + 1);
  EXPECT_EQ(run_pieces(make, {text}, 1), whole) << text;
  const std::string_view view{text};
  for (std::size_t cut = 1; cut < text.size(); ++cut)
    EXPECT_EQ(run_pieces(make, {view.substr(0, cut), view.substr(cut)}, text.size()), whole) << text << " split at " << cut;
  return whole;
}

/// "wrong-answer: LOADING", "answered", or "-" while nothing is decided.
std::string judged(const Make& make, const std::string& text) {
  const auto verdict = run_session(make, text).verdict;
  if (!verdict) return "-";
  return std::string{to_text(verdict->reason)} + (verdict->detail.empty() ? "" : ": " + verdict->detail);
}

Make send_and_expect(std::string send, Pattern expect) {
  return [spec = SendExpectSpec{.send = std::move(send), .expect = std::move(expect)}] { return send_expect(spec); };
}

TEST(ProtocolSendExpect, SendsAndFindsTheExpectedTextWhereverItIsSplit) {
  EXPECT_EQ(run_session(send_and_expect("HELO\r\n", Pattern::text("OK")), "well, OK."), (Session{"HELO\r\n", Verdict{}}));
  EXPECT_EQ(judged(send_and_expect("", Pattern::text("OK")), "KO, NO"), "-");
  EXPECT_EQ(judged(send_and_expect("", Pattern::expression("^v[0-9]+\\n")), "v42\n"), "answered");
  EXPECT_EQ(judged(send_and_expect("", Pattern::text("\0\xff"s)), "a\0\xff"s), "answered");
}

TEST(ProtocolSendExpect, Reads64KiBAndNotAByteMore) {
  const auto client = send_and_expect("", Pattern::text("OK"))();
  EXPECT_FALSE(client->on_data(std::string(65'535, 'x')).verdict);
  EXPECT_EQ(client->closed().reason, Reason::closed);
  const auto verdict = client->on_data("xOK").verdict;
  ASSERT_TRUE(verdict);
  EXPECT_EQ(*verdict, (Verdict{Reason::wrong_answer, "64 KiB received without the expected text"}));
  EXPECT_EQ(send_and_expect("", Pattern::text("OK"))()->on_data(std::string(65'534, 'x') + "OK").verdict, Verdict{});
}

Make redis_client(bool master = false) {
  return [master] { return redis({.master = master}); };
}

TEST(ProtocolRedis, AServerThatRepliesToPingPasses) {
  EXPECT_EQ(run_session(redis_client(), "+PONG\r\n"), (Session{"*1\r\n$4\r\nPING\r\n", Verdict{}}));
  EXPECT_EQ(judged(redis_client(), "-NOAUTH Authentication required.\r\n"), "answered");
  EXPECT_EQ(judged(redis_client(), "-NOPERM this user has no permissions\r\n"), "answered");
}

TEST(ProtocolRedis, AnErrorIsTheDetail) {
  EXPECT_EQ(judged(redis_client(), "-LOADING Redis is loading the dataset in memory\r\n"),
            "wrong-answer: LOADING Redis is loading the dataset in memory");
  EXPECT_EQ(judged(redis_client(), "-MASTERDOWN Link with MASTER is down\r\n"), "wrong-answer: MASTERDOWN Link with MASTER is down");
  EXPECT_EQ(judged(redis_client(), "-BUSY Redis is busy\r\n"), "wrong-answer: BUSY Redis is busy");
  EXPECT_EQ(judged(redis_client(), "+PANG\r\n"), "wrong-answer: +PANG");
  EXPECT_EQ(judged(redis_client(), "HTTP/1.1 400 Bad Request\r\n"), "garbled: HTTP/1.1 400 Bad Request");
  EXPECT_EQ(judged(redis_client(), "+PONG"), "-");
  const std::string protected_mode = "-DENIED Redis is running in protected mode" + std::string(1'024, '.'); // a line of 1,067 bytes
  EXPECT_TRUE(judged(redis_client(), protected_mode + "\r\n").starts_with("wrong-answer: DENIED Redis is running in protected mode..."));
  EXPECT_EQ(run_pieces(redis_client(), {std::string(4'097, 'x')}, 512).verdict.value_or(Verdict{}).reason, Reason::garbled);
}

TEST(ProtocolRedis, AServerWithTooManyClientsIsFullWhateverIsAsked) {
  for (const bool master : {false, true})
    EXPECT_EQ(judged(redis_client(master), "-ERR max number of clients reached\r\n"), "full: ERR max number of clients reached");
  EXPECT_EQ(judged(redis_client(), "-ERR max number of databases\r\n"), "wrong-answer: ERR max number of databases");
}

TEST(ProtocolRedis, TheMasterIsKnownByItsRole) {
  EXPECT_EQ(judged(redis_client(true), "+PONG\r\n*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), "answered");
  EXPECT_EQ(judged(redis_client(true), "+PONG\r\n*5\r\n$5\r\nslave\r\n"), "wrong-answer: role is slave");
  EXPECT_EQ(judged(redis_client(true), "-LOADING x\r\n*3\r\n$6\r\nmaster\r\n"), "wrong-answer: LOADING x");
  EXPECT_EQ(judged(redis_client(true), "-NOAUTH a\r\n-NOAUTH Authentication required.\r\n"),
            "wrong-answer: NOAUTH Authentication required.");
  EXPECT_EQ(judged(redis_client(true), "+PONG\r\n"), "-");
  EXPECT_EQ(judged(redis_client(true), "+PONG\r\n:1\r\n"), "garbled: :1");
  EXPECT_EQ(judged(redis_client(true), "+PONG\r\n*1\r\n:1\r\n"), "garbled: :1");
}

std::string pg(char type, const std::string& body) {
  const auto length = static_cast<unsigned char>(body.size() + 4);
  return std::string{type} + "\0\0\0"s + static_cast<char>(length) + body;
}
const std::string pg_in = pg('R', "\0\0\0\0"s);
const std::string pg_ready = pg('Z', "I");
std::string pg_parameter(const std::string& name, const std::string& value) { return pg('S', name + '\0' + value + '\0'); }
std::string pg_error(const std::string& state, const std::string& words) {
  return pg('E', "SFATAL\0C"s + state + "\0M"s + words + "\0\0"s);
}

Make postgres_client(bool writable = false) {
  return [writable] { return postgres({.writable = writable, .user = writable ? "u" : "", .database = writable ? "d" : ""}); };
}

TEST(ProtocolPostgres, AServerThatRequestsAuthenticationPasses) {
  EXPECT_EQ(judged(postgres_client(), pg('R', "\0\0\0\5salt"s)), "answered");
  EXPECT_EQ(judged(postgres_client(), pg_error("28000", "no pg_hba.conf entry")), "answered");
  EXPECT_EQ(judged(postgres_client(), pg_error("28P01", "password authentication failed")), "answered");
  EXPECT_EQ(judged(postgres_client(), pg_error("3D000", "database \"x\" does not exist")), "answered");
  EXPECT_EQ(judged(postgres_client(), pg_in), "-"); // whether a slot is free shows later
  const Session in = run_session(postgres_client(), pg_in + pg_parameter("in_hot_standby", "on") + pg_ready);
  EXPECT_EQ(in.verdict, Verdict{});
  EXPECT_TRUE(in.sent.ends_with("X\0\0\0\4"s));
}

TEST(ProtocolPostgres, TheFirstMessageIsAStartupMessage) {
  EXPECT_EQ(postgres({.writable = true, .user = "u", .database = "d"})->begin().send,
            "\0\0\0\x32\0\3\0\0user\0u\0database\0d\0application_name\0hanat\0\0"s);
}

TEST(ProtocolPostgres, AServerThatAcceptsNoClientFails) {
  EXPECT_EQ(judged(postgres_client(), pg_error("57P03", "the database system is starting up")),
            "wrong-answer: 57P03 the database system is starting up");
  EXPECT_EQ(judged(postgres_client(), pg_in + pg_error("53400", "a limit")), "wrong-answer: 53400 a limit");
  EXPECT_EQ(judged(postgres_client(), "Ecould not fork new process: out of memory\n\0"s),
            "wrong-answer: could not fork new process: out of memory");
}

TEST(ProtocolPostgres, AServerWithTooManyClientsIsFullWhateverIsAsked) {
  for (const bool writable : {false, true}) {
    EXPECT_EQ(judged(postgres_client(writable), pg_error("53300", "sorry, too many clients already")),
              "full: 53300 sorry, too many clients already");
    EXPECT_EQ(judged(postgres_client(writable), pg_in + pg_error("53300", "reserved")), "full: 53300 reserved") << "after the login";
  }
}

TEST(ProtocolPostgres, WritableMeansNotInRecovery) {
  const auto on = [](const std::string& parameters, const std::string& rest = {}) {
    return judged(postgres_client(true), pg_in + parameters + pg_ready + rest);
  };
  EXPECT_EQ(on(pg_parameter("in_hot_standby", "off")), "answered");
  EXPECT_EQ(on(pg_parameter("in_hot_standby", "on")), "wrong-answer: in recovery: a standby");
  EXPECT_EQ(on(pg_parameter("in_hot_standby", "off") + pg_parameter("default_transaction_read_only", "on")),
            "wrong-answer: default_transaction_read_only is on");
  const auto row = [](char value) { return pg('T', "x") + pg('D', "\0\1\0\0\0\1"s + value) + pg('C', "SELECT 1\0"s) + pg_ready; };
  EXPECT_EQ(on("", row('f')), "answered"); // before version 14
  EXPECT_EQ(on("", row('t')), "wrong-answer: in recovery: a standby");
  EXPECT_EQ(on("", row('x')).substr(0, 7), "garbled");
  EXPECT_EQ(on("", pg('D', "\0\1\xff\xff\xff\xff"s)).substr(0, 7), "garbled");
  EXPECT_EQ(on("", pg_ready), "garbled: no reply to pg_is_in_recovery()");
  EXPECT_EQ(on("", pg_error("42501", "permission denied")), "wrong-answer: 42501 permission denied");
  EXPECT_TRUE(run_session(postgres_client(true), pg_in + pg_ready).sent.ends_with("Q\0\0\0\x1fSELECT pg_is_in_recovery()\0"s));
  EXPECT_EQ(judged(postgres_client(true), pg('R', "\0\0\0\12"s)), "wrong-answer: the server requires a password");
  EXPECT_EQ(judged(postgres_client(true), pg_error("28000", "no entry")), "wrong-answer: 28000 no entry");
}

TEST(ProtocolPostgres, AnInvalidMessageIsGarbled) {
  EXPECT_EQ(judged(postgres_client(), "HTTP/1.1 400").substr(0, 7), "garbled");
  EXPECT_EQ(judged(postgres_client(), "SSH-2.0").substr(0, 7), "garbled"); // "S" and an invalid length
  EXPECT_EQ(judged(postgres_client(), "\x16").substr(0, 7), "garbled");
  EXPECT_EQ(judged(postgres_client(), pg('R', "\0"s)).substr(0, 7), "garbled");
  EXPECT_EQ(judged(postgres_client(), pg('E', "\0"s)).substr(0, 7), "garbled");
  EXPECT_EQ(judged(postgres_client(), "R\0\0\0\3"s).substr(0, 7), "garbled");
}

std::string my(unsigned char sequence, const std::string& payload) {
  return std::string{static_cast<char>(payload.size())} + "\0\0"s + static_cast<char>(sequence) + payload;
}
const std::string my_greeting = my(0, "\x0a" + "5.5.5-10.11\0"s + "\1\0\0\0saltsalt\0"s + "\xff\xff\x08\2\0\xff\xff\x15"s +
                                          std::string(10, '\0') + "saltsaltsalt\0"s + "mysql_native_password\0"s);
const std::string my_ok = my(2, "\0\0\0\2\0\0\0"s);
std::string my_error(unsigned char sequence, unsigned code, const std::string& words) {
  return my(sequence, "\xff"s + static_cast<char>(code & 0xff) + static_cast<char>(code >> 8) + words);
}
std::string my_result(const std::string& value) {
  return my(1, "\1") + my(2, "\3def") + my(3, "\xfe\0\0\2\0"s) + my(4, static_cast<char>(value.size()) + value) + my(5, "\xfe\0\0\2\0"s);
}

Make mysql_client(bool writable = false) {
  return [writable] { return mysql({.writable = writable, .user = writable ? "u" : "", .database = {}}); };
}

TEST(ProtocolMysql, AServerThatHandlesALoginPasses) {
  const Session in = run_session(mysql_client(), my_greeting + my_ok);
  EXPECT_EQ(in.verdict, Verdict{});
  EXPECT_EQ(in.sent,
            my(1, "\0\2\x8\0\0\0\0\1\x8"s + std::string(23, '\0') + "hanat\0\0mysql_native_password\0"s).replace(4, 4, "\0\x82\x08\0"s) +
                my(0, "\1"));
  EXPECT_EQ(judged(mysql_client(), my_greeting), "-");
  EXPECT_EQ(judged(mysql_client(), my_greeting + my_error(2, 1045, "#28000Access denied")), "answered");
  EXPECT_EQ(judged(mysql_client(), my_error(0, 1130, "Host 'x' is not allowed to connect")), "answered");
  EXPECT_EQ(judged(mysql_client(), my_greeting + my(2, "\1\4")), "answered"); // from a plugin that requires a password
}

TEST(ProtocolMysql, AServerThatAcceptsNoClientFails) {
  EXPECT_EQ(judged(mysql_client(), my_error(0, 1129, "Host 'x' is blocked")), "wrong-answer: 1129 Host 'x' is blocked");
  EXPECT_EQ(judged(mysql_client(), my_error(0, 1053, "#08S01Server shutdown in progress")),
            "wrong-answer: 1053 Server shutdown in progress");
  EXPECT_EQ(judged(mysql_client(), my_greeting + my_error(2, 1203, "#42000Too many")), "wrong-answer: 1203 Too many");
}

TEST(ProtocolMysql, AServerWithTooManyClientsIsFullWhateverIsAsked) {
  for (const bool writable : {false, true})
    EXPECT_EQ(judged(mysql_client(writable), my_error(0, 1040, "#08004Too many connections")), "full: 1040 Too many connections");
}

TEST(ProtocolMysql, NoPasswordIsEncodedForEachPlugin) {
  const auto auth_response = [](const std::string& plugin) {
    const std::string login = run_session(mysql_client(true), my_greeting).sent;
    return run_session(mysql_client(true), my_greeting + my(2, "\xfe" + plugin + "\0salt"s)).sent.substr(login.size());
  };
  EXPECT_EQ(auth_response("mysql_native_password"), "\0\0\0\3"s);
  EXPECT_EQ(auth_response("caching_sha2_password"), "\1\0\0\3\0"s);
  EXPECT_EQ(judged(mysql_client(true), my_greeting + my(2, "\xfex\0"s) + my(4, "\xfex\0"s)).substr(0, 7), "garbled"); // a second switch
  EXPECT_EQ(judged(mysql_client(true), my_greeting + my(2, "\1\4")), "wrong-answer: the server requires a password");
  EXPECT_EQ(judged(mysql_client(true), my_greeting + my_error(2, 1045, "#28000Access denied")), "wrong-answer: 1045 Access denied");
}

TEST(ProtocolMysql, WritableMeansThatReadOnlyIsOff) {
  for (const auto& [value, expected] :
       {std::pair{"0", "answered"}, {"OFF", "answered"}, {"1", "wrong-answer: read_only is 1"}, {"ON", "wrong-answer: read_only is ON"}})
    EXPECT_EQ(judged(mysql_client(true), my_greeting + my_ok + my_result(value)), expected);
  EXPECT_EQ(judged(mysql_client(true), my_greeting + my_ok + my_error(1, 1193, "#HY000Unknown system variable")),
            "wrong-answer: 1193 Unknown system variable");
  EXPECT_EQ(judged(mysql_client(true), my_greeting + my_ok + my(1, "\2")).substr(0, 7), "garbled");
  EXPECT_EQ(judged(mysql_client(true), my_greeting + my_ok + my(1, "\1") + my(2, "d") + my(3, "\xfe") + my(4, "\5x")).substr(0, 7),
            "garbled");
}

TEST(ProtocolMysql, AnInvalidGreetingIsGarbled) {
  EXPECT_EQ(judged(mysql_client(), "HTTP/1.1 400\r\n").substr(0, 7), "garbled"); // an invalid length
  EXPECT_EQ(judged(mysql_client(), my(0, "\x09"
                                         "3.20\0"s))
                .substr(0, 7),
            "garbled");
  EXPECT_EQ(judged(mysql_client(), my(0, "\x0a"
                                         "5.5"))
                .substr(0, 7),
            "garbled");
  EXPECT_EQ(judged(mysql_client(), my(0, "")).substr(0, 7), "garbled");
  EXPECT_EQ(judged(mysql_client(), my(0, "\xff")).substr(0, 7), "garbled");
}

Make smtp_client() {
  return [] { return smtp({.hello = "gw.example"}); };
}

TEST(ProtocolSmtp, AGreetingOfManyLinesAndEhlo) {
  EXPECT_EQ(run_session(smtp_client(), "220-mx\r\n220 ready\r\n250-mx\r\n250-SIZE\r\n250 HELP\r\n"),
            (Session{"EHLO gw.example\r\nQUIT\r\n", Verdict{}}));
  EXPECT_EQ(judged(smtp_client(), "220\n250\n"), "answered");
  EXPECT_EQ(judged(smtp_client(), "220-mx\r\n220-more\r\n"), "-");
}

TEST(ProtocolSmtp, TheLineOfARefusalIsTheDetailAnd421IsFull) {
  EXPECT_EQ(judged(smtp_client(), "421 too busy\r\n"), "full: 421 too busy");
  EXPECT_EQ(judged(smtp_client(), "421-too\r\n421 busy\r\n"), "full: 421-too");
  EXPECT_EQ(judged(smtp_client(), "554-no\r\n554 more\r\n"), "wrong-answer: 554-no");
  EXPECT_EQ(judged(smtp_client(), "220 mx\r\n421 closing\r\n"), "full: 421 closing");
  EXPECT_EQ(judged(smtp_client(), "220 mx\r\n502 no EHLO\r\n"), "wrong-answer: 502 no EHLO");
}

TEST(ProtocolSmtp, AnInvalidReplyIsGarbled) {
  EXPECT_EQ(judged(smtp_client(), "SSH-2.0-x\r\n"), "garbled: SSH-2.0-x");
  EXPECT_EQ(judged(smtp_client(), "220-mx\r\n250 x\r\n"), "garbled: 250 x");
  EXPECT_EQ(judged(smtp_client(), "22\r\n"), "garbled: 22");
  EXPECT_EQ(judged(smtp_client(), "2200\r\n"), "garbled: 2200");
  EXPECT_EQ(judged(smtp_client(), "\r\n"), "garbled");
  EXPECT_EQ(run_pieces(smtp_client(), {std::string(4'097, '2')}, 512).verdict.value_or(Verdict{}).reason, Reason::garbled);
}

TEST(ProtocolAgent, TheWordsOfItsLineDecide) {
  const Make client = [] { return agent({.send = "web\n"}); };
  EXPECT_EQ(client()->begin().send, "web\n");
  for (const char* well : {"up\n", "ready\r\n", "75%\n", "up 100%\n", "ready,up,50% maxconn:30\n", "up # down for lunch\n", "up\tready\r"})
    EXPECT_EQ(judged(client, well), "answered") << well;
  for (const char* ill : {"down", "fail", "failed", "stopped", "down#disk full", "up 100% down", "drain down"})
    EXPECT_EQ(judged(client, std::string{ill} + "\n"), std::string{"wrong-answer: "} + ill);
  for (const char* drains : {"drain", "maint", "0%", "up drain", "ready 0%"})
    EXPECT_EQ(judged(client, std::string{drains} + "\n"), std::string{"full: "} + drains);
  for (const char* other : {"", "hello", "HTTP/1.1 400 Bad Request", "%", "-1%", "50", "UP"})
    EXPECT_EQ(run_pieces(client, {std::string{other} + "\n"}, 3).verdict.value_or(Verdict{}).reason, Reason::garbled) << other;
}

TEST(ProtocolAgent, TheEndOfTheConnectionEndsTheLineToo) {
  const auto client = agent({.send = ""});
  EXPECT_FALSE(client->on_data("do").verdict);
  EXPECT_FALSE(client->on_data("wn").verdict);
  EXPECT_EQ(client->closed(), (Verdict{Reason::wrong_answer, "down"}));
  EXPECT_EQ(agent({.send = ""})->closed().reason, Reason::closed);
}

TEST(ProtocolTls, AnInvalidHandshakeFailsWithOpenSslsMessage) {
  Probe named, unnamed;
  for (Probe* probe : {&named, &unnamed}) {
    probe->spec.kind = Kind::tls;
    probe->spec.edit<TlsSpec>() = {.host = probe == &named ? "www.example.com" : "", .verify = true};
    probe->server.address = *Address::parse("10.0.0.1");
  }
  const Make client = [&] { return protocol_client_for(named); };
  for (const std::size_t size : {1U, 3U, 100U}) { // the bytes sent are random
    EXPECT_EQ(run_pieces(client, {"HTTP/1.1 400 Bad Request\r\n\r\n"}, size).verdict,
              (Verdict{.reason = Reason::tls_failed,
                       .detail = "the server does not speak TLS on this port (wrong version number)",
                       .remedy = "probe without TLS, or another port"}));
    const auto alert = run_pieces(client, {"\x15\3\3\0\2\2\x28"s}, size).verdict.value_or(Verdict{});
    EXPECT_EQ(alert.reason, Reason::tls_failed);
    EXPECT_TRUE(alert.detail.ends_with("alert handshake failure")) << alert.detail; // OpenSSL 3.0 puts "sslv3" before it, 4 "ssl/tls"
  }
  EXPECT_EQ(run_pieces(client, {"\x15\3\1\0\2\2\x46"s}, 100).verdict,
            (Verdict{.reason = Reason::tls_failed,
                     .detail = "the server speaks TLS 1.1 at most (tlsv1 alert protocol version)",
                     .remedy = "let it speak TLS 1.2"}));
  EXPECT_NE(client()->begin().send.find("www.example.com"), std::string::npos);
  EXPECT_EQ(protocol_client_for(unnamed)->begin().send.find("10.0.0.1"), std::string::npos); // an address is not sent as SNI
}

TEST(ProtocolClients, HaveALimitAndAStage) {
  for (const Kind kind : {Kind::tcp, Kind::tls, Kind::redis, Kind::postgres, Kind::mysql, Kind::smtp, Kind::agent}) {
    Probe probe;
    probe.spec.kind = kind;
    probe.spec.edit<SendExpectSpec>().expect = Pattern::text("OK");
    probe.server.address = *Address::parse("10.0.0.1");
    const auto client = protocol_client_for(probe);
    ASSERT_TRUE(client);
    EXPECT_EQ(client->closed(), (Verdict{Reason::closed, std::string{client->stage()}}));
    Step step = client->begin();
    int pieces = 0;
    while (!step.verdict && ++pieces < 100) step = client->on_data(std::string(8'192, '\0'));
    EXPECT_TRUE(step.verdict) << to_text(kind);
    EXPECT_LE(pieces, 33) << to_text(kind);
  }
  Probe other;
  other.spec.kind = Kind::http;
  EXPECT_FALSE(protocol_client_for(other));
}

TEST(ProtocolClients, EndlessNoticesAreTooLarge) {
  const auto client = postgres_client()();
  std::optional<Verdict> verdict;
  for (int i = 0; i < 10'000 && !verdict; ++i) verdict = client->on_data(pg('N', "Mhello\0\0"s)).verdict;
  EXPECT_EQ(verdict, (Verdict{Reason::too_large, {}}));
}

} // namespace
} // namespace hanat::probes
