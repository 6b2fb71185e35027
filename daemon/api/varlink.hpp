// Varlink's messages as values: bytes to messages (each ends with a NUL byte), a message to a request, a reply to bytes.
// Pure. Not here: sockets (control), which methods exist (methods).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json.hpp>

namespace hanat::varlink {

/// Splits a stream of bytes at NUL bytes. Holds at most `limit` bytes of an incomplete message.
class Framer {
public:
  explicit Framer(std::size_t limit) : limit_(limit) {}

  void feed(std::string_view bytes) { buffer_.append(bytes); }
  /// The next complete message, without its NUL.
  std::optional<std::string> next();
  bool has_message() const { return buffer_.find('\0', start_) != std::string::npos; }
  /// Part of a message has arrived, its NUL has not.
  bool partial() const { return start_ < buffer_.size() && buffer_.back() != '\0'; }
  /// A message is longer than the limit: the rest of this stream is unusable.
  bool too_long() const;

private:
  std::size_t limit_;
  std::size_t start_ = 0;
  std::string buffer_;
};

/// {"method": "io.hanat.Control.Status", "parameters": {...}, "oneway": ..., "more": ..., "upgrade": ...}
struct Request {
  std::string interface; // "io.hanat.Control"
  std::string method;    // "Status"
  nlohmann::json parameters = nlohmann::json::object();
  bool oneway = false, more = false, upgrade = false;
};
/// Not a request; `why` says what is wrong with it, in ASCII.
struct Malformed {
  std::string why;
};
std::variant<Request, Malformed> parse_request(std::string_view message);

/// Untrusted JSON: refuses what is nested deeper than any message of ours, because copying and printing a value is recursive.
/// Throws nlohmann::json::exception.
nlohmann::json parse_json(std::string_view text);
/// JSON to send: bytes that are not UTF-8 are replaced.
std::string to_text(const nlohmann::json& json);

/// The bytes of a call, a reply and an error, each with its NUL.
std::string call_bytes(std::string_view method, const nlohmann::json& parameters, bool more = false);
std::string reply_bytes(const nlohmann::json& parameters);
/// A reply to who called with "more"; others follow.
std::string continued_bytes(const nlohmann::json& parameters);
std::string error_bytes(std::string_view error, const nlohmann::json& parameters);

} // namespace hanat::varlink
