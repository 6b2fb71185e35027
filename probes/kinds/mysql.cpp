// Kind mysql: protocol 10 up to the reply to a login, with a password or without one; then its queries, one query each. TLS begins behind
// the greeting.
// It always tries to log in, though the greeting alone would do: after max_connect_errors (100) connections that end at the greeting, the
// server blocks the client's host, and with masquerade that is every client. A rejected login does not count.
// Not here: what proves a password (mysql_login), the TLS handshake (tls_client).
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "probes/io/wire_reader.hpp"
#include "probes/kinds/mysql_login.hpp"
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

// Capabilities of a client.
constexpr std::uint32_t connect_with_db = 1 << 3;
constexpr std::uint32_t protocol_41 = 1 << 9;
constexpr std::uint32_t uses_ssl = 1 << 11;
constexpr std::uint32_t secure_connection = 1 << 15;
constexpr std::uint32_t plugin_auth = 1 << 19;
constexpr std::uint32_t longest_packet = 1 << 24; // the limit we announce
constexpr std::uint32_t charset_latin1 = 8;       // every server has it

constexpr std::uint32_t longest_reply = 16'384; // the greeting is the longest packet expected here

/// Login errors of a server that works: denied, unknown database, host without an account, wrong or missing plugin, TLS required,
/// account locked or password expired.
constexpr std::uint32_t refusals[] = {1044, 1045, 1049, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 3118, 3159, 4151};

constexpr std::uint32_t too_many_connections = 1040; // instead of the greeting

std::string packet(std::uint8_t sequence, std::string_view payload) {
  return little_endian(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(sequence) + std::string{payload};
}

/// What is asked once logged in, and the answers that pass.
struct Query {
  std::string_view sql, name;
  std::array<std::string_view, 2> right;
};
constexpr Query ask_read_only{.sql = "SELECT @@global.read_only", .name = "read_only", .right = {"0", "OFF"}};
constexpr Query ask_wsrep{.sql = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'wsrep_ready'",
                          .name = "wsrep_ready",
                          .right = {"ON", "1"}};
constexpr Query ask_member{
    .sql = "SELECT MEMBER_STATE FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@global.server_uuid",
    .name = "MEMBER_STATE",
    .right = {"ONLINE", "ONLINE"}};

std::vector<const Query*> queries_of(const SqlSpec& spec) {
  std::vector<const Query*> queries;
  if (spec.writable) queries.push_back(&ask_read_only);
  if (spec.wsrep_ready) queries.push_back(&ask_wsrep);
  if (spec.member_online) queries.push_back(&ask_member);
  return queries;
}

class Mysql final : public ProtocolClient {
public:
  Mysql(const SqlSpec& spec, bool tls) : spec_(spec), login_(spec.user, spec.password.secret), queries_(queries_of(spec)), tls_(tls) {}
  bool closes_with_fin() const override { return true; }
  bool begins_plain() const override { return true; }
  std::string_view stage() const override {
    if (next_ == Next::greeting) return "no greeting";
    return next_ == Next::login ? "no reply to the login" : "no reply to a query";
  }
  Step on_secured(const TlsStream& /*tls*/) override {
    login_.secured();
    Step step;
    log_in(step);
    return step;
  }

private:
  enum class Next : std::uint8_t { greeting, login, columns, definitions, row, end_of_rows };

  Step read(std::string_view& unread) override {
    Step step;
    while (!step.verdict && !step.start_tls && unread.size() >= 4) {
      WireReader reader{unread};
      const std::uint32_t length = reader.little(3);
      sequence_ = static_cast<std::uint8_t>(reader.little(1) + 1);
      if (length == 0 || length > longest_reply) {
        step.verdict = garbled(unread);
        break;
      }
      if (reader.rest().size() < length) break;
      const std::string_view payload = reader.bytes(length);
      unread = reader.rest();
      if (payload[0] == '\xff')
        on_error(payload, step);
      else
        on_packet(payload, step);
    }
    return step;
  }

  void on_packet(std::string_view payload, Step& step) {
    switch (next_) {
    case Next::greeting: return on_greeting(payload, step);
    case Next::login: return on_login(payload, step);
    case Next::columns:
      next_ = Next::definitions;
      if (payload != "\x01") step.verdict = garbled(payload);
      return;
    case Next::definitions: // one, and the packet that ends the list
      if (payload[0] == '\xfe') next_ = Next::row;
      return;
    case Next::row: return on_row(payload, step);
    case Next::end_of_rows:
      if (payload[0] == '\xfe') return ask_next(step);
      step.verdict = garbled(payload);
      return;
    }
  }

  void on_greeting(std::string_view payload, Step& step) {
    WireReader reader{payload};
    const std::uint32_t protocol = reader.little(1);
    reader.text();   // version
    reader.bytes(4); // thread id
    salt_ = reader.bytes(8);
    reader.bytes(1);
    std::uint32_t able = reader.little(2); // every server since version 5 has the capabilities that are needed
    if (protocol != 10 || reader.failed()) {
      step.verdict = garbled(payload);
      return;
    }
    reader.bytes(3); // character set, status
    able |= reader.little(2) << 16;
    const std::size_t salt_size = reader.little(1);
    reader.bytes(10);
    salt_ += reader.bytes(salt_size > 21 ? salt_size - 8 : 13);
    plugin_ = reader.text(); // empty: an old server, or one that is no server
    if (!tls_) return log_in(step);
    if ((able & uses_ssl) == 0) {
      step.verdict = Verdict{
          .reason = Reason::tls_failed, .detail = "the server has no TLS", .remedy = "set ssl_cert and ssl_key there, or remove tls here"};
      return;
    }
    step.send += packet(sequence_, hello(uses_ssl));
    ++sequence_;
    step.start_tls = true;
  }

  /// What the client is able to do; the same in the request for TLS and behind it.
  std::string hello(std::uint32_t more) const {
    if (!spec_.database.empty()) more |= connect_with_db;
    return little_endian(protocol_41 | secure_connection | plugin_auth | more, 4) + little_endian(longest_packet, 4) +
           static_cast<char>(charset_latin1) + std::string(23, '\0');
  }

  void log_in(Step& step) {
    // With a plugin that is not known, the server is asked to switch to the one that this user needs.
    const std::string_view plugin = login_.has_password() && MysqlLogin::knows(plugin_) ? std::string_view{plugin_} : native_password;
    const std::string proof = login_.has_password() ? login_.proof(plugin, salt_).value_or("") : "";
    std::string reply = hello(tls_ ? uses_ssl : 0);
    reply += spec_.user.empty() ? default_login : spec_.user;
    reply += '\0';
    reply += static_cast<char>(proof.size()); // of an auth response: none is an empty one
    reply += proof;
    if (!spec_.database.empty()) reply += spec_.database + '\0';
    step.send += packet(sequence_, reply + std::string{plugin} + '\0');
    next_ = Next::login;
  }

  void on_login(std::string_view payload, Step& step) {
    if (payload[0] == '\x00') return ask_next(step);
    if (payload[0] == '\x01') return on_plugin_data(payload.substr(1), step);
    if (payload[0] == '\xfe' && !switched_) return on_switch(payload.substr(1), step);
    step.verdict = garbled(payload);
  }

  /// Further data of an auth plugin, about a password.
  void on_plugin_data(std::string_view data, Step& step) {
    if (!login_.has_password()) {
      step.verdict = wants_password();
      return;
    }
    const auto reply = login_.reply(data);
    if (!reply)
      step.verdict = login_.why_not();
    else if (!reply->empty())
      step.send += packet(sequence_, *reply);
  }

  /// The server switches to another auth plugin: "no password" is empty in the native one, and a zero byte in others.
  void on_switch(std::string_view payload, Step& step) {
    switched_ = true;
    WireReader reader{payload};
    const std::string_view plugin = reader.text();
    if (!login_.has_password()) {
      step.send += packet(sequence_, plugin == native_password ? std::string{} : std::string(1, '\0'));
      return;
    }
    const auto proof = login_.proof(plugin, reader.rest());
    if (proof)
      step.send += packet(sequence_, *proof);
    else
      step.verdict = login_.why_not();
  }

  /// Logged in, or the last query is answered.
  void ask_next(Step& step) {
    if (asked_ == queries_.size()) {
      step.send += quit();
      step.verdict = Verdict{};
      return;
    }
    step.send += packet(0, '\x03' + std::string{queries_[asked_++]->sql});
    next_ = Next::columns;
  }

  void on_row(std::string_view payload, Step& step) {
    const Query& query = *queries_[asked_ - 1];
    if (payload[0] == '\xfe' && payload.size() < 9) { // the end: there is no row
      step.send += quit();
      step.verdict = Verdict{Reason::wrong_answer, fmt::format("the server has no {}", query.name)};
      return;
    }
    WireReader reader{payload};
    const std::string_view value = reader.bytes(reader.little(1)); // a short string: its length is one byte
    if (reader.failed() || !reader.rest().empty()) {
      step.verdict = garbled(payload);
      return;
    }
    if (std::ranges::find(query.right, value) != query.right.end()) {
      next_ = Next::end_of_rows;
      if (asked_ == queries_.size()) ask_next(step); // whatever else comes
      return;
    }
    step.send += quit();
    step.verdict = Verdict{Reason::wrong_answer, fmt::format("{} is {}", query.name, value)};
  }

  void on_error(std::string_view payload, Step& step) const {
    WireReader reader{payload.substr(1)};
    const std::uint32_t code = reader.little(2);
    if (reader.failed()) {
      step.verdict = garbled(payload);
      return;
    }
    std::string_view message = reader.rest();
    if (message.starts_with('#')) message.remove_prefix(std::min<std::size_t>(message.size(), 6)); // SQLSTATE
    const bool only_login = !spec_.needs_session() && !login_.has_password();
    if (only_login && std::ranges::find(refusals, code) != std::ranges::end(refusals)) {
      step.verdict = Verdict{};
      return;
    }
    step.verdict = Verdict{.reason = code == too_many_connections ? Reason::full : Reason::wrong_answer,
                           .detail = fmt::format("{} {}", code, message),
                           .remedy = std::string{login_.remedy(code)}};
  }

  Verdict wants_password() const {
    if (!spec_.needs_session()) return {};
    return {.reason = Reason::wrong_answer, .detail = "the server requires a password", .remedy = "write password_file"};
  }

  static std::string quit() { return packet(0, "\x01"); }
  static Verdict garbled(std::string_view bytes) { return {Reason::garbled, std::string{bytes.substr(0, 80)}}; }

  SqlSpec spec_;
  MysqlLogin login_;
  std::vector<const Query*> queries_;
  std::size_t asked_ = 0; // queries
  bool tls_;
  std::string salt_, plugin_; // of the greeting
  Next next_ = Next::greeting;
  std::uint8_t sequence_ = 0; // of our next packet
  bool switched_ = false;
};

} // namespace

std::unique_ptr<ProtocolClient> mysql(const SqlSpec& spec, bool tls) { return std::make_unique<Mysql>(spec, tls); }

} // namespace hanat::probes
