// Kind postgres: protocol 3 up to the first word about authentication, which a server says only when it takes clients; with `writable`
// on to a session, and whether it is in recovery. Not here: passwords, TLS (a server that insists on it says so, and is alive).
#include <utility>

#include "probes/dialogue.hpp"
#include "probes/wire.hpp"

namespace hanat::probes {
namespace {

constexpr std::uint32_t protocol_3 = 3 << 16;
constexpr std::uint32_t longest_message = 30'000; // libpq's bound, too: what is longer in a login is no message of this protocol

std::string message(char type, std::string_view body) {
  std::string bytes = type == '\0' ? std::string{} : std::string(1, type);
  return bytes + big_endian(static_cast<std::uint32_t>(body.size() + 4), 4) + std::string{body};
}

/// What an ErrorResponse says: its SQLSTATE and its message.
struct SqlError {
  std::string_view state, words;
};
SqlError parse_error(std::string_view body) {
  SqlError error;
  WireReader reader{body};
  while (!reader.failed()) {
    const std::string_view type = reader.bytes(1);
    if (type.empty() || type[0] == '\0') break;
    const std::string_view text = reader.text();
    if (type == "C") error.state = text;
    if (type == "M") error.words = text;
  }
  return error;
}

class Postgres final : public Dialogue {
public:
  explicit Postgres(const SqlSpec& spec) : spec_(spec) {}

  Turn begin() override {
    using namespace std::string_literals;
    std::string body = big_endian(protocol_3, 4) + "user\0"s + (spec_.user.empty() ? stranger : spec_.user) + '\0';
    if (!spec_.database.empty()) body += "database\0"s + spec_.database + '\0';
    body += "application_name\0hanat\0\0"s;
    return {.say = message('\0', body), .verdict = std::nullopt};
  }
  // It logs a client that leaves with RST, and says nothing of one that leaves with FIN when asked for a password.
  bool leaves_politely() const override { return true; }

private:
  Turn read(std::string_view& unread) override {
    Turn turn;
    while (!turn.verdict && !unread.empty()) {
      WireReader reader{unread};
      const char type = reader.bytes(1)[0];
      if (known_types.find(type) == std::string_view::npos) {
        turn.verdict = garbled(unread);
        break;
      }
      if (unread.size() < 5) break;
      const std::uint32_t length = reader.big(4);
      if (length < 4 || length > longest_message) {
        turn.verdict = old_or_garbled(type, unread);
        break;
      }
      if (reader.rest().size() < length - 4) break;
      hear_message(type, reader.bytes(length - 4), turn);
      unread = reader.rest();
    }
    return turn;
  }

  void hear_message(char type, std::string_view body, Turn& turn) {
    switch (type) {
    case 'R': return hear_authentication(body, turn);
    case 'E': return hear_error(body, turn);
    case 'S': return hear_parameter(body);
    case 'D': return hear_row(body, turn);
    case 'Z': return hear_ready(turn);
    default: return; // notices, keys, the shape and the end of a result
    }
  }

  void hear_authentication(std::string_view body, Turn& turn) {
    WireReader reader{body};
    const std::uint32_t request = reader.big(4);
    if (reader.failed())
      turn.verdict = garbled(body);
    else if (request == 0) // logged in; that slots are left and the database is there shows only now
      return;
    else if (spec_.writable)
      turn.verdict = Verdict{Reason::wrong_answer, "asks for a password: let this user in without one (pg_hba.conf: trust)"};
    else
      turn.verdict = Verdict{};
  }

  void hear_error(std::string_view body, Turn& turn) const {
    const SqlError error = parse_error(body);
    if (error.state.empty()) {
      turn.verdict = garbled(body);
      return;
    }
    // Of class 28 are wrong users, 3D000 is an unknown database: the server works, and does not want strangers.
    const bool alive = !spec_.writable && (error.state.starts_with("28") || error.state == "3D000");
    turn.verdict = alive ? Verdict{} : Verdict{Reason::wrong_answer, std::string{error.state} + ' ' + std::string{error.words}};
  }

  void hear_parameter(std::string_view body) {
    WireReader reader{body};
    const std::string_view name = reader.text();
    const std::string_view value = reader.text();
    if (name == "in_hot_standby") standby_ = value == "on"; // since version 14
    if (name == "default_transaction_read_only") read_only_ = value == "on";
  }

  void hear_ready(Turn& turn) {
    if (spec_.writable && !standby_ && !asked_) {
      asked_ = true;
      turn.say += message('Q', std::string_view{"SELECT pg_is_in_recovery()\0", 27});
      return;
    }
    turn.say += message('X', {});
    turn.verdict = spec_.writable ? judge_writable() : Verdict{};
  }

  Verdict judge_writable() const {
    if (!standby_) return {Reason::garbled, "no answer to pg_is_in_recovery()"};
    if (*standby_) return {Reason::wrong_answer, "in recovery: a standby"};
    if (read_only_) return {Reason::wrong_answer, "default_transaction_read_only is on"};
    return {};
  }

  void hear_row(std::string_view body, Turn& turn) {
    WireReader reader{body};
    const std::uint32_t columns = reader.big(2);
    const std::string_view value = reader.bytes(reader.big(4));
    if (!asked_ || columns != 1 || (value != "t" && value != "f"))
      turn.verdict = garbled(body);
    else
      standby_ = value == "t";
  }

  static Verdict garbled(std::string_view bytes) { return {Reason::garbled, std::string{bytes.substr(0, 80)}}; }

  /// A server that cannot start a process for us says so in the words of protocol 2: "E" and a text that ends with a zero byte.
  static std::optional<Verdict> old_or_garbled(char type, std::string_view unread) {
    if (type != 'E') return garbled(unread);
    const auto end = unread.find('\0');
    if (end == std::string_view::npos) return unread.size() > longest_message ? std::optional{garbled(unread)} : std::nullopt;
    std::string_view words = unread.substr(1, end - 1);
    if (words.ends_with('\n')) words.remove_suffix(1);
    return Verdict{Reason::wrong_answer, std::string{words}};
  }

  static constexpr std::string_view known_types = "RESKZNvTDC";

  SqlSpec spec_;
  std::optional<bool> standby_; // not known yet
  bool read_only_ = false, asked_ = false;
};

} // namespace

std::unique_ptr<Dialogue> postgres(const SqlSpec& spec) { return std::make_unique<Postgres>(spec); }

} // namespace hanat::probes
