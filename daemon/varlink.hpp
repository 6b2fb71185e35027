// Varlink's messages as values: bytes into messages (each ends with a NUL byte), a message into a request, a reply into bytes.
// Pure. Not here: sockets (control), which methods exist (interface).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json.hpp>

namespace hanat::varlink {

/// Takes a stream of bytes apart at NUL bytes. Holds at most `limit` bytes of a message that is not complete.
class Framer {
public:
  explicit Framer(std::size_t limit) : limit_(limit) {}

  void feed(std::string_view bytes) { buffer_.append(bytes); }
  /// The next complete message, without its NUL.
  std::optional<std::string> next();
  bool has_message() const { return buffer_.find('\0', start_) != std::string::npos; }
  /// Something of a message has come, its NUL has not.
  bool partial() const { return start_ < buffer_.size() && buffer_.back() != '\0'; }
  /// A message is longer than the limit: nothing more of this stream can be trusted.
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
/// Not a request; says what is wrong with it, in ASCII.
struct Malformed {
  std::string why;
};
std::variant<Request, Malformed> parse_request(std::string_view message);

/// JSON from outside: refuses what is nested deeper than any message of ours, because copying and printing a value is recursive.
/// Throws nlohmann::json::exception.
nlohmann::json parse_json(std::string_view text);
/// JSON to outside: bytes that are not UTF-8 are replaced, never thrown about.
std::string to_text(const nlohmann::json& json);

/// The bytes of a call, a reply and an error, each with its NUL.
std::string call_bytes(std::string_view method, const nlohmann::json& parameters);
std::string reply_bytes(const nlohmann::json& parameters);
std::string error_bytes(std::string_view error, const nlohmann::json& parameters);

} // namespace hanat::varlink
