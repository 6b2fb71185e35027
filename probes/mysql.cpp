// Kind mysql: protocol 10 up to the answer to a login without a password; with `writable` on to a session, and its read_only.
// It always logs in, though the greeting alone would do: after max_connect_errors (100) clients of a host that left at the greeting, the
// server blocks that host, and with masquerade that is every client. A refused login is not counted. Not here: passwords, TLS.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "probes/dialogue.hpp"
#include "probes/wire.hpp"

namespace hanat::probes {
namespace {

constexpr const char* native = "mysql_native_password";

// Capabilities of a client.
constexpr std::uint32_t connect_with_db = 1 << 3;
constexpr std::uint32_t protocol_41 = 1 << 9;
constexpr std::uint32_t secure_connection = 1 << 15;
constexpr std::uint32_t plugin_auth = 1 << 19;
constexpr std::uint32_t longest_packet = 1 << 24; // what we say that we take
constexpr std::uint32_t charset_latin1 = 8;       // every server has it

constexpr std::uint32_t longest_reply = 16'384; // of what is heard here, a greeting is the longest

/// Refusals of a login by a server that works: denied, unknown database, host without an account, wrong or missing plugin, TLS wanted,
/// account locked or password expired.
constexpr std::uint32_t refusals[] = {1044, 1045, 1049, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 3118, 3159, 4151};

std::string packet(std::uint8_t sequence, std::string_view payload) {
  return little_endian(static_cast<std::uint32_t>(payload.size()), 3) + static_cast<char>(sequence) + std::string{payload};
}

class Mysql final : public Dialogue {
public:
  explicit Mysql(const SqlSpec& spec) : spec_(spec) {}
  bool leaves_politely() const override { return true; }
  std::string_view stage() const override { return next_ == Next::greeting ? "no greeting" : "no answer to the login"; }

private:
  enum class Next : std::uint8_t { greeting, login, columns, definitions, row };

  Turn read(std::string_view& unread) override {
    Turn turn;
    while (!turn.verdict && unread.size() >= 4) {
      WireReader reader{unread};
      const std::uint32_t length = reader.little(3);
      sequence_ = static_cast<std::uint8_t>(reader.little(1) + 1);
      if (length == 0 || length > longest_reply) {
        turn.verdict = garbled(unread);
        break;
      }
      if (reader.rest().size() < length) break;
      const std::string_view payload = reader.bytes(length);
      unread = reader.rest();
      if (payload[0] == '\xff')
        hear_error(payload, turn);
      else
        hear_packet(payload, turn);
    }
    return turn;
  }

  void hear_packet(std::string_view payload, Turn& turn) {
    switch (next_) {
    case Next::greeting: return hear_greeting(payload, turn);
    case Next::login: return hear_login(payload, turn);
    case Next::columns:
      next_ = Next::definitions;
      if (payload != "\x01") turn.verdict = garbled(payload);
      return;
    case Next::definitions: // one, and the packet that ends them
      if (payload[0] == '\xfe') next_ = Next::row;
      return;
    case Next::row: return hear_row(payload, turn);
    }
  }

  void hear_greeting(std::string_view payload, Turn& turn) {
    WireReader reader{payload};
    const std::uint32_t protocol = reader.little(1);
    reader.text();    // version
    reader.bytes(13); // thread, the first part of the salt, a zero
    reader.little(2); // capabilities: every server of this century has ours
    if (protocol != 10 || reader.failed()) {
      turn.verdict = garbled(payload);
      return;
    }
    const bool with_database = !spec_.database.empty();
    std::string reply = little_endian(protocol_41 | secure_connection | plugin_auth | (with_database ? connect_with_db : 0), 4) +
                        little_endian(longest_packet, 4) + static_cast<char>(charset_latin1) + std::string(23, '\0');
    reply += spec_.user.empty() ? stranger : spec_.user;
    reply += std::string(2, '\0'); // the end of the name; an answer of no bytes: no password
    if (with_database) reply += spec_.database + '\0';
    turn.say += packet(sequence_, reply + native + '\0');
    next_ = Next::login;
  }

  void hear_login(std::string_view payload, Turn& turn) {
    if (payload[0] == '\x00') return hear_logged_in(turn);
    if (payload[0] == '\x01') { // more of a plugin's own talk, which is about a password
      turn.verdict = wants_password();
    } else if (payload[0] == '\xfe' && !switched_) {
      // Another plugin: "no password" is nothing in the native one, and a zero byte in others.
      switched_ = true;
      WireReader reader{payload.substr(1)};
      turn.say += packet(sequence_, reader.text() == native ? std::string{} : std::string(1, '\0'));
    } else {
      turn.verdict = garbled(payload);
    }
  }

  void hear_logged_in(Turn& turn) {
    if (spec_.writable) {
      turn.say += packet(0, "\x03SELECT @@global.read_only");
      next_ = Next::columns;
    } else {
      turn.say += quit();
      turn.verdict = Verdict{};
    }
  }

  void hear_row(std::string_view payload, Turn& turn) const {
    WireReader reader{payload};
    const std::string_view value = reader.bytes(reader.little(1)); // a short text: its length is one byte
    if (reader.failed() || !reader.rest().empty()) {
      turn.verdict = garbled(payload);
      return;
    }
    turn.say += quit();
    if (value == "0" || value == "OFF")
      turn.verdict = Verdict{};
    else
      turn.verdict = Verdict{Reason::wrong_answer, fmt::format("read_only is {}", value)};
  }

  void hear_error(std::string_view payload, Turn& turn) const {
    WireReader reader{payload.substr(1)};
    const std::uint32_t code = reader.little(2);
    if (reader.failed()) {
      turn.verdict = garbled(payload);
      return;
    }
    std::string_view words = reader.rest();
    if (words.starts_with('#')) words.remove_prefix(std::min<std::size_t>(words.size(), 6)); // SQLSTATE
    const bool alive = !spec_.writable && std::ranges::find(refusals, code) != std::ranges::end(refusals);
    turn.verdict = alive ? Verdict{} : Verdict{Reason::wrong_answer, fmt::format("{} {}", code, words)};
  }

  Verdict wants_password() const {
    return spec_.writable ? Verdict{Reason::wrong_answer, "asks for a password: write a user that has none, for this gateway alone"}
                          : Verdict{};
  }

  static std::string quit() { return packet(0, "\x01"); }
  static Verdict garbled(std::string_view bytes) { return {Reason::garbled, std::string{bytes.substr(0, 80)}}; }

  SqlSpec spec_;
  Next next_ = Next::greeting;
  std::uint8_t sequence_ = 0; // of our next packet
  bool switched_ = false;
};

} // namespace

std::unique_ptr<Dialogue> mysql(const SqlSpec& spec) { return std::make_unique<Mysql>(spec); }

} // namespace hanat::probes
