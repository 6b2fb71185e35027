// Kind redis: AUTH where there is a password, PING, and ROLE where that matters. A server that requires a login answers PING with an error,
// and works. Not here: TLS (tls_client).
#include <array>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

#include "probes/kinds/protocol.hpp"

namespace hanat::probes {
namespace {

// The longest reply is that of the protected mode: 1,067 bytes in Redis 7, more in Valkey and KeyDB.
constexpr std::size_t longest_redis_line = 4096;

std::string command(std::initializer_list<std::string_view> words) {
  std::string bytes = fmt::format("*{}\r\n", words.size());
  for (const std::string_view word : words) bytes += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return bytes;
}

class Redis final : public LineProtocolClient {
public:
  explicit Redis(const RedisSpec& spec)
      : LineProtocolClient{longest_redis_line}, spec_(spec), next_(spec.password.secret.empty() ? Next::pong : Next::auth) {}

  Step begin() override {
    std::string send;
    const std::string_view password = spec_.password.secret.reveal();
    if (next_ == Next::auth) send += spec_.user.empty() ? command({"AUTH", password}) : command({"AUTH", spec_.user, password});
    send += command({"PING"});
    if (asks_role()) send += command({"ROLE"});
    return {.send = std::move(send), .verdict = std::nullopt};
  }

private:
  /// The lines of the reply to ROLE follow each other: "*5", "$5", "slave", "$9", "10.0.0.11", ":6379", "$9", "connected", ...
  enum class Next : std::uint8_t { auth, pong, array, length, role, host_length, host, port, link_length, link };

  void on_line(std::string_view line, Step& step) override { step.verdict = judge(line); }

  bool asks_role() const { return spec_.master || spec_.replica || spec_.linked; }

  std::optional<Verdict> judge(std::string_view line) {
    if (line.starts_with("-ERR max number of clients")) return Verdict{Reason::full, std::string{line.substr(1)}};
    // Errors look the same in every state.
    if (line.starts_with('-') && !(next_ == Next::pong && is_alive(line))) return failed(line.substr(1));
    switch (next_) {
    case Next::auth: return passed_if(line == "+OK", line, Next::pong);
    case Next::pong:
      if (line != "+PONG" && !is_alive(line) && line.starts_with('+')) return Verdict{Reason::wrong_answer, std::string{line}};
      if (!asks_role() && (line == "+PONG" || is_alive(line))) return Verdict{};
      return passed_if(line == "+PONG" || is_alive(line), line, Next::array);
    case Next::array: return passed_if(line.starts_with('*'), line, Next::length);
    case Next::length: return passed_if(line.starts_with('$'), line, Next::role);
    case Next::role: return judge_role(line);
    case Next::host_length: return passed_if(line.starts_with('$'), line, Next::host);
    case Next::host: return passed_if(true, line, Next::port);
    case Next::port: return passed_if(line.starts_with(':'), line, Next::link_length);
    case Next::link_length: return passed_if(line.starts_with('$'), line, Next::link);
    case Next::link:
      if (line == "connected") return Verdict{};
      return Verdict{Reason::wrong_answer, fmt::format("the link to the master is not up ({})", line)};
    }
    return std::nullopt;
  }

  std::optional<Verdict> passed_if(bool right, std::string_view line, Next next) {
    next_ = next;
    return right ? std::nullopt : std::optional{Verdict{Reason::garbled, std::string{line}}};
  }

  std::optional<Verdict> judge_role(std::string_view role) {
    const bool right = spec_.master ? role == "master" : role == "slave";
    if (!right) return Verdict{Reason::wrong_answer, fmt::format("role is {}", role)};
    if (!spec_.linked) return Verdict{};
    next_ = Next::host_length;
    return std::nullopt;
  }

  Verdict failed(std::string_view error) const {
    Verdict verdict{Reason::wrong_answer, std::string{error}};
    if (error.starts_with("WRONGPASS") || error.starts_with("ERR invalid password"))
      verdict.remedy = "check user and password_file";
    else if (error.starts_with("NOAUTH"))
      verdict.remedy = "write password_file";
    else if (error.starts_with("NOPERM"))
      verdict.remedy = "its ACL needs +ping +role";
    else if (next_ == Next::auth && error.find("without any password configured") != std::string_view::npos)
      verdict.remedy = "the server has no password: remove password_file";
    return verdict;
  }

  /// A server that works and requires a login. One that was given a password must take it.
  bool is_alive(std::string_view line) const {
    return line.starts_with("-NOPERM") || (line.starts_with("-NOAUTH") && spec_.password.secret.empty());
  }

  RedisSpec spec_;
  Next next_;
};

} // namespace

std::unique_ptr<ProtocolClient> redis(const RedisSpec& spec) { return std::make_unique<Redis>(spec); }

} // namespace hanat::probes
