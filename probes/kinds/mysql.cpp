// Kind mysql: protocol 10 up to the reply to a login without a password; with `writable` it logs in and reads read_only.
// It always tries to log in, though the greeting alone would do: after max_connect_errors (100) connections that end at the greeting, the
// server blocks the client's host, and with masquerade that is every client. A rejected login does not count. Not here: passwords, TLS.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "probes/io/wire_reader.hpp"
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

constexpr const char* native = "mysql_native_password";

// Capabilities of a client.
constexpr std::uint32_t connect_with_db = 1 << 3;
constexpr std::uint32_t protocol_41 = 1 << 9;
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

class Mysql final : public ProtocolClient {
public:
  explicit Mysql(const SqlSpec& spec) : spec_(spec) {}
  bool closes_with_fin() const override { return true; }
  std::string_view stage() const override { return next_ == Next::greeting ? "no greeting" : "no reply to the login"; }

private:
  enum class Next : std::uint8_t { greeting, login, columns, definitions, row };

  Step read(std::string_view& unread) override {
    Step step;
    while (!step.verdict && unread.size() >= 4) {
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
    }
  }

  void on_greeting(std::string_view payload, Step& step) {
    WireReader reader{payload};
    const std::uint32_t protocol = reader.little(1);
    reader.text();    // version
    reader.bytes(13); // thread id, first part of the salt, a zero
    reader.little(2); // capabilities: every server since version 5 has ours
    if (protocol != 10 || reader.failed()) {
      step.verdict = garbled(payload);
      return;
    }
    const bool with_database = !spec_.database.empty();
    std::string reply = little_endian(protocol_41 | secure_connection | plugin_auth | (with_database ? connect_with_db : 0), 4) +
                        little_endian(longest_packet, 4) + static_cast<char>(charset_latin1) + std::string(23, '\0');
    reply += spec_.user.empty() ? default_login : spec_.user;
    reply += std::string(2, '\0'); // the end of the name; an empty auth response: no password
    if (with_database) reply += spec_.database + '\0';
    step.send += packet(sequence_, reply + native + '\0');
    next_ = Next::login;
  }

  void on_login(std::string_view payload, Step& step) {
    if (payload[0] == '\x00') return on_logged_in(step);
    if (payload[0] == '\x01') { // further data of an auth plugin, about a password
      step.verdict = wants_password();
    } else if (payload[0] == '\xfe' && !switched_) {
      // The server switches to another auth plugin: "no password" is empty in the native one, and a zero byte in others.
      switched_ = true;
      WireReader reader{payload.substr(1)};
      step.send += packet(sequence_, reader.text() == native ? std::string{} : std::string(1, '\0'));
    } else {
      step.verdict = garbled(payload);
    }
  }

  void on_logged_in(Step& step) {
    if (spec_.writable) {
      step.send += packet(0, "\x03SELECT @@global.read_only");
      next_ = Next::columns;
    } else {
      step.send += quit();
      step.verdict = Verdict{};
    }
  }

  void on_row(std::string_view payload, Step& step) const {
    WireReader reader{payload};
    const std::string_view value = reader.bytes(reader.little(1)); // a short string: its length is one byte
    if (reader.failed() || !reader.rest().empty()) {
      step.verdict = garbled(payload);
      return;
    }
    step.send += quit();
    if (value == "0" || value == "OFF")
      step.verdict = Verdict{};
    else
      step.verdict = Verdict{Reason::wrong_answer, fmt::format("read_only is {}", value)};
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
    const bool alive = !spec_.writable && std::ranges::find(refusals, code) != std::ranges::end(refusals);
    step.verdict = alive ? Verdict{}
                         : Verdict{code == too_many_connections ? Reason::full : Reason::wrong_answer, fmt::format("{} {}", code, message)};
  }

  Verdict wants_password() const {
    return spec_.writable
               ? Verdict{Reason::wrong_answer, "the server requires a password: create a user without one, for this gateway alone"}
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

std::unique_ptr<ProtocolClient> mysql(const SqlSpec& spec) { return std::make_unique<Mysql>(spec); }

} // namespace hanat::probes
