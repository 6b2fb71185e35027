// Kind postgres: protocol 3 up to the first authentication message, which a server sends only when it accepts clients; with `writable` it
// logs in and checks whether the server is in recovery. Not here: passwords, TLS (a server that requires TLS reports that, and passes).
#include <utility>

#include "probes/io/wire_reader.hpp"
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

constexpr std::uint32_t protocol_3 = 3 << 16;
constexpr std::uint32_t longest_message = 30'000; // libpq's limit, too: a longer one during login is not of this protocol

std::string message(char type, std::string_view body) {
  std::string bytes = type == '\0' ? std::string{} : std::string(1, type);
  return bytes + big_endian(static_cast<std::uint32_t>(body.size() + 4), 4) + std::string{body};
}

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
  explicit Postgres(const SqlSpec& spec) : spec_(spec) {}

  Step begin() override {
    using namespace std::string_literals;
    std::string body = big_endian(protocol_3, 4) + "user\0"s + (spec_.user.empty() ? default_login : spec_.user) + '\0';
    if (!spec_.database.empty()) body += "database\0"s + spec_.database + '\0';
    body += "application_name\0hanat\0\0"s;
    return {.send = message('\0', body), .verdict = std::nullopt};
  }
  // The server logs a client that closes with RST, but not one that closes with FIN when a password is requested.
  bool closes_with_fin() const override { return true; }

private:
  Step read(std::string_view& unread) override {
    Step step;
    while (!step.verdict && !unread.empty()) {
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
    else if (request == 0) // logged in; whether a slot is free and the database exists shows next
      return;
    else if (spec_.writable)
      step.verdict = Verdict{Reason::wrong_answer, "the server requires a password: allow this user without one (pg_hba.conf: trust)"};
    else
      step.verdict = Verdict{};
  }

  void on_error(std::string_view body, Step& step) const {
    const SqlError error = parse_error(body);
    if (error.state.empty()) {
      step.verdict = garbled(body);
      return;
    }
    // Class 28 is a rejected user, 3D000 an unknown database: the server works. So does one with 53300, too_many_connections, whatever
    // its role: it says so before it looks at the role.
    const bool alive = !spec_.writable && (error.state.starts_with("28") || error.state == "3D000");
    const Reason reason = error.state == "53300" ? Reason::full : Reason::wrong_answer;
    step.verdict = alive ? Verdict{} : Verdict{reason, std::string{error.state} + ' ' + std::string{error.message}};
  }

  void on_parameter(std::string_view body) {
    WireReader reader{body};
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    if (name == "in_hot_standby") standby_ = value == "on"; // since version 14
    if (name == "default_transaction_read_only") read_only_ = value == "on";
  }

  void on_ready(Step& step) {
    if (spec_.writable && !standby_ && !query_sent_) {
      query_sent_ = true;
      step.send += message('Q', std::string_view{"SELECT pg_is_in_recovery()\0", 27});
      return;
    }
    step.send += message('X', {});
    step.verdict = spec_.writable ? judge_writable() : Verdict{};
  }

  Verdict judge_writable() const {
    if (!standby_) return {Reason::garbled, "no reply to pg_is_in_recovery()"};
    if (*standby_) return {Reason::wrong_answer, "in recovery: a standby"};
    if (read_only_) return {Reason::wrong_answer, "default_transaction_read_only is on"};
    return {};
  }

  void on_row(std::string_view body, Step& step) {
    WireReader reader{body};
    const std::uint32_t columns = reader.big(2);
    const std::string_view value = reader.bytes(reader.big(4));
    if (!query_sent_ || columns != 1 || (value != "t" && value != "f"))
      step.verdict = garbled(body);
    else
      standby_ = value == "t";
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
  std::optional<bool> standby_; // nullopt: not known yet
  bool read_only_ = false, query_sent_ = false;
};

} // namespace

std::unique_ptr<ProtocolClient> postgres(const SqlSpec& spec) { return std::make_unique<Postgres>(spec); }

} // namespace hanat::probes
