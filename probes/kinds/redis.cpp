// Kind redis: PING, and ROLE if the server must be the master. Works with Valkey, KeyDB and others that speak the protocol. Both commands
// are sent at once: a server that is still loading its data knows its role already, and replies LOADING to PING alone.
#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

// An error line is a sentence, but for that of the protected mode: 1,067 bytes in Redis 7, more in Valkey and KeyDB.
constexpr std::size_t longest_redis_line = 4096;

class Redis final : public LineProtocolClient {
public:
  explicit Redis(const RedisSpec& spec) : LineProtocolClient{longest_redis_line}, master_(spec.master) {}
  Step begin() override {
    return {.send = master_ ? "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nROLE\r\n" : "*1\r\n$4\r\nPING\r\n", .verdict = std::nullopt};
  }

private:
  enum class Next : std::uint8_t { pong, array, length, role };

  void on_line(std::string_view line, Step& step) override { step.verdict = judge(line); }

  std::optional<Verdict> judge(std::string_view line) {
    if (line.starts_with("-ERR max number of clients")) return Verdict{Reason::full, std::string{line.substr(1)}};
    // Errors look the same in every state.
    if (line.starts_with('-') && !(next_ == Next::pong && is_alive(line)))
      return Verdict{Reason::wrong_answer, std::string{line.substr(1)}};
    Verdict garbled{Reason::garbled, std::string{line}};
    switch (next_) {
    case Next::pong:
      if (line != "+PONG" && !is_alive(line)) return line.starts_with('+') ? Verdict{Reason::wrong_answer, std::string{line}} : garbled;
      if (!master_) return Verdict{};
      next_ = Next::array;
      return std::nullopt;
    case Next::array: next_ = Next::length; return line.starts_with('*') ? std::nullopt : std::optional{garbled};
    case Next::length: next_ = Next::role; return line.starts_with('$') ? std::nullopt : std::optional{garbled};
    case Next::role:
      if (line == "master") return Verdict{};
      return Verdict{Reason::wrong_answer, "role is " + std::string{line}};
    }
    return garbled;
  }

  /// A server that works and requires a login.
  static bool is_alive(std::string_view line) { return line.starts_with("-NOAUTH") || line.starts_with("-NOPERM"); }

  bool master_;
  Next next_ = Next::pong;
};

} // namespace

std::unique_ptr<ProtocolClient> redis(const RedisSpec& spec) { return std::make_unique<Redis>(spec); }

} // namespace hanat::probes
