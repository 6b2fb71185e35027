// Kind postgres: protocol 3 up to the first authentication message, which a server sends only when it accepts clients; with a password it
// logs in, and with a query it learns whether the server is in recovery, and how far it lags behind. TLS begins with a message of its own.
// Not here: the login (postgres_login), TLS itself (tls_client).
#include <charconv>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "probes/io/wire_reader.hpp"
#include "probes/kinds/postgres_login.hpp"
#include "probes/kinds/protocol.hpp"
#include "probes/kinds/tls_stream.hpp"

namespace hanat::probes {
namespace {

constexpr std::uint32_t protocol_3 = 3 << 16;
constexpr std::uint32_t tls_request = 80'877'103; // instead of a protocol version
constexpr std::uint32_t longest_message = 30'000; // libpq's limit, too: a longer one during login is not of this protocol

constexpr std::string_view recovery_query = "SELECT pg_is_in_recovery()";
/// "primary", or the seconds of a standby; below zero: nothing has been replayed. One that has replayed all it has got lags only if nobody
/// sends: with an idle primary the last transaction is as old as it is there.
constexpr std::string_view lag_query =
    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'primary' "
    "WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN '0' "
    "ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), -1)::text END";

/// The SQLSTATE and the message of an ErrorResponse.
struct SqlError {
  std::string_view state, message;
};
SqlError parse_error(std::string_view body) {
  SqlError error;
  WireReader reader{body};
  while (!reader.failed()) {
    const std::string_view type = reader.bytes(1);
    if (type.empty() || type[0] == '\0') break;
    const std::string_view text = reader.text();
    if (type == "C") error.state = text;
    if (type == "M") error.message = text;
  }
  return error;
}

class Postgres final : public ProtocolClient {
public:
  Postgres(const SqlSpec& spec, bool tls) : spec_(spec), login_(spec.user, spec.password.secret), tls_(tls) {}

  Step begin() override { return {.send = tls_ ? postgres_message('\0', big_endian(tls_request, 4)) : startup(), .verdict = std::nullopt}; }
  bool begins_plain() const override { return true; }
  Step on_secured(const TlsStream& tls) override {
    tls_ = false;
    login_.secured(tls.end_point());
    return {.send = startup(), .verdict = std::nullopt};
  }
  Step on_worked() override {
    Step step;
    login_.on_worked(step);
    return step;
  }
  // The server logs a client that closes with RST, but not one that closes with FIN when a password is requested.
  bool closes_with_fin() const override { return true; }

private:
  std::string startup() const {
    using namespace std::string_literals;
    std::string body = big_endian(protocol_3, 4) + "user\0"s + (spec_.user.empty() ? default_login : spec_.user) + '\0';
    if (!spec_.database.empty()) body += "database\0"s + spec_.database + '\0';
    return postgres_message('\0', body + "application_name\0hanat\0\0"s);
  }

  /// The reply to the request for TLS is one letter; or an error, as for any other message.
  void on_tls_reply(std::string_view& unread, Step& step) {
    if (unread.starts_with('N'))
      step.verdict =
          Verdict{.reason = Reason::tls_failed, .detail = "the server has no TLS", .remedy = "set ssl = on there, or remove tls here"};
    else
      step.start_tls = true;
    unread.remove_prefix(1);
  }

  Step read(std::string_view& unread) override {
    Step step;
    if (tls_ && (unread.starts_with('S') || unread.starts_with('N'))) {
      on_tls_reply(unread, step);
      return step;
    }
    while (!step.verdict && !step.work && !unread.empty()) {
      WireReader reader{unread};
      const char type = reader.bytes(1)[0];
      if (known_types.find(type) == std::string_view::npos) {
        step.verdict = garbled(unread);
        break;
      }
      if (unread.size() < 5) break;
      const std::uint32_t length = reader.big(4);
      if (length < 4 || length > longest_message) {
        step.verdict = old_or_garbled(type, unread);
        break;
      }
      if (reader.rest().size() < length - 4) break;
      on_message(type, reader.bytes(length - 4), step);
      unread = reader.rest();
    }
    return step;
  }

  void on_message(char type, std::string_view body, Step& step) {
    switch (type) {
    case 'R': return on_authentication(body, step);
    case 'E': return on_error(body, step);
    case 'S': return on_parameter(body);
    case 'D': return on_row(body, step);
    case 'Z': return on_ready(step);
    default: return; // notices, keys, row descriptions, end of a result
    }
  }

  void on_authentication(std::string_view body, Step& step) {
    WireReader reader{body};
    const std::uint32_t request = reader.big(4);
    if (reader.failed())
      step.verdict = garbled(body);
    else if (has_password())
      login_.on_request(request, reader.rest(), step);
    else if (request == 0) // logged in; whether a slot is free and the database exists shows next
      return;
    else if (spec_.needs_session())
      step.verdict = Verdict{.reason = Reason::wrong_answer, .detail = "the server requires a password", .remedy = "write password_file"};
    else
      step.verdict = Verdict{};
  }

  bool has_password() const { return !spec_.password.secret.empty(); }

  void on_error(std::string_view body, Step& step) const {
    const SqlError error = parse_error(body);
    if (error.state.empty()) {
      step.verdict = garbled(body);
      return;
    }
    // Class 28 is a rejected user, 3D000 an unknown database: the server works. So does one with 53300, too_many_connections, whatever
    // its role: it says so before it looks at the role.
    const bool alive = !spec_.needs_session() && !has_password() && (error.state.starts_with("28") || error.state == "3D000");
    const Reason reason = error.state == "53300" ? Reason::full : Reason::wrong_answer;
    if (alive) {
      step.verdict = Verdict{};
      return;
    }
    step.verdict = Verdict{.reason = reason,
                           .detail = std::string{error.state} + ' ' + std::string{error.message},
                           .remedy = std::string{login_.remedy(error.state, error.message)}};
  }

  void on_parameter(std::string_view body) {
    WireReader reader{body};
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    if (name == "in_hot_standby") standby_ = value == "on"; // since version 14
    if (name == "default_transaction_read_only") read_only_ = value == "on";
  }

  void on_ready(Step& step) {
    if (spec_.needs_session() && (!standby_ || spec_.max_lag) && !query_sent_) {
      query_sent_ = true;
      step.send += postgres_message('Q', std::string{spec_.max_lag ? lag_query : recovery_query} + '\0');
      return;
    }
    step.send += postgres_message('X', {});
    step.verdict = spec_.needs_session() ? judge() : Verdict{};
  }

  Verdict judge() const {
    if (!standby_) return {Reason::garbled, "no reply to pg_is_in_recovery()"};
    if (spec_.writable && *standby_) return {Reason::wrong_answer, "in recovery: a standby"};
    if (spec_.writable && read_only_) return {Reason::wrong_answer, "default_transaction_read_only is on"};
    if (spec_.in_recovery && *spec_.in_recovery != *standby_)
      return {Reason::wrong_answer, *standby_ ? "in recovery: a standby" : "not in recovery: no standby"};
    if (spec_.max_lag && *standby_) return judge_lag(*spec_.max_lag);
    return {};
  }

  Verdict judge_lag(Clock::duration most) const {
    if (lag_ < 0) return {Reason::wrong_answer, "nothing has been replayed yet"};
    const auto limit = std::chrono::duration<double>(most).count();
    if (lag_ <= limit) return {};
    return {Reason::wrong_answer, fmt::format("{:.1f} s behind the primary, more than {:.1f} s", lag_, limit)};
  }

  void on_row(std::string_view body, Step& step) {
    WireReader reader{body};
    const std::uint32_t columns = reader.big(2);
    const std::string_view value = reader.bytes(reader.big(4));
    if (!query_sent_ || columns != 1 || value.empty()) {
      step.verdict = garbled(body);
    } else if (!spec_.max_lag) {
      if (value != "t" && value != "f") step.verdict = garbled(body);
      standby_ = value == "t";
    } else {
      standby_ = value != "primary";
      const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), lag_);
      if (*standby_ && (failure != std::errc{} || end != value.data() + value.size())) step.verdict = garbled(body);
    }
  }

  static Verdict garbled(std::string_view bytes) { return {Reason::garbled, std::string{bytes.substr(0, 80)}}; }

  /// A server that cannot start a process for a client reports it as in protocol 2: "E" and a string that ends with a zero byte.
  static std::optional<Verdict> old_or_garbled(char type, std::string_view unread) {
    if (type != 'E') return garbled(unread);
    const auto end = unread.find('\0');
    if (end == std::string_view::npos) return unread.size() > longest_message ? std::optional{garbled(unread)} : std::nullopt;
    std::string_view message = unread.substr(1, end - 1);
    if (message.ends_with('\n')) message.remove_suffix(1);
    return Verdict{Reason::wrong_answer, std::string{message}};
  }

  static constexpr std::string_view known_types = "RESKZNvTDC";

  SqlSpec spec_;
  PostgresLogin login_;
  bool tls_;                    // still to be asked for
  std::optional<bool> standby_; // nullopt: not known yet
  double lag_ = -1;             // seconds
  bool read_only_ = false, query_sent_ = false;
};

} // namespace

std::unique_ptr<ProtocolClient> postgres(const SqlSpec& spec, bool tls) { return std::make_unique<Postgres>(spec, tls); }

} // namespace hanat::probes
