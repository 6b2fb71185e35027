// The control socket: varlink on the wire (a JSON object and a NUL byte), who is asking, and limits so that no client of it can slow the
// daemon down. Not here: what the methods do (commands).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>
#include <uv.h>

namespace hanat {

/// Who is at the other end, told by the kernel (SO_PEERCRED, SO_PEERGROUPS).
struct Peer {
  std::uint32_t uid = 0;
  std::int32_t pid = 0;
  std::string name;        // user name, or "uid 1000"
  bool may_change = false; // root, or a member of the operators' group
};

/// One call of a method of io.hanat.Control, e.g. {"Status", {"service": "web"}}.
struct Call {
  std::string method; // without the interface's name
  nlohmann::json parameters;
  Peer peer;
};

/// Thrown by a handler; becomes {"error": "io.hanat.Control.<name>", "parameters": {"message": <message>}}.
struct ControlError {
  std::string name; // "Refused", "Failed", "UnknownService", "NotPermitted", "BadConfiguration", "InvalidParameter"
  std::string message;
  nlohmann::json parameters = nlohmann::json::object(); // more keys beside "message"
};

/// A reply's parameters. A long list in it is made while it is sent, so that ten thousand services neither hold up the loop nor fill
/// memory: `list` names an array that is empty in `parameters`, at any depth, and `next` gives its elements one by one, nullopt after the
/// last.
struct Reply {
  Reply(nlohmann::json all) : parameters(std::move(all)) {} // NOLINT(google-explicit-constructor): most replies are short
  Reply(nlohmann::json head, std::string name, std::function<std::optional<nlohmann::json>()> elements)
      : parameters(std::move(head)), list(std::move(name)), next(std::move(elements)) {}
  nlohmann::json parameters;
  std::string list;
  std::function<std::optional<nlohmann::json>()> next;
};

class ControlServer {
public:
  using Handler = std::function<Reply(const Call&)>; // throws ControlError

  /// Binds and listens (0660; group `hanat` where it exists), replacing a dead socket file, never a live one.
  /// `operators`: the group that may change things beside root; empty: root alone. Throws std::system_error, std::invalid_argument (no such
  /// group).
  ControlServer(uv_loop_t* loop, const std::string& path, const std::string& operators, Handler handler);
  ~ControlServer(); // closes every connection and removes the socket file
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// A reload may name another group. Throws std::invalid_argument when there is none of that name.
  void set_operators(const std::string& operators);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The varlink description of io.hanat.Control, for `varlinkctl introspect`.
std::string_view interface_description();

} // namespace hanat
