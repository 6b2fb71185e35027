// The control socket: varlink on the wire (a JSON object and a NUL byte), the caller's credentials, and limits that keep any client from
// slowing the daemon down. Not here: what the methods do (handlers).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>
#include <sys/types.h>
#include <uv.h>

#include "daemon/control/pending_reply.hpp"
#include "daemon/util/credentials.hpp"

namespace hanat {

/// One call of a method of io.hanat.Control, e.g. {"Status", {"service": "web"}}.
struct Call {
  std::string method; // without the interface's name
  nlohmann::json parameters;
  Credentials peer;        // the caller; may use the method
  bool may_change = false; // it is root or an operator
  std::string by = {};     // who asked on the other gateway of the pair; empty: the caller, on this one

  /// For the journal and the status.
  std::string asked_by() const { return by.empty() ? user_name(peer.uid) : by; }
};

/// Thrown by a handler; becomes {"error": "io.hanat.Control.<name>", "parameters": {"message": <message>}}.
struct ControlError {
  std::string name; // "Refused", "Failed", "UnknownService", "NotPermitted", "BadConfiguration", "InvalidParameter"
  std::string message;
  nlohmann::json parameters = nlohmann::json::object(); // more keys beside "message"
};

/// A reply's parameters, a JSON object. A long list in it is made while it is sent, so that ten thousand services neither hold up the loop
/// nor fill memory: `list` names an array that is empty in `parameters`, at any depth, and `next` returns its elements one by one, nullopt
/// after the last.
struct Reply {
  using Next = std::function<std::optional<std::string>()>; // an element as JSON text

  /// Throws std::logic_error unless `all` is an object.
  Reply(nlohmann::json all); // NOLINT(google-explicit-constructor): most replies are short
  Reply(nlohmann::json head, std::string name, Next elements, std::size_t per_piece = 32);
  /// Comes later, or in parts. Whoever has to send it keeps the other pointer.
  Reply(std::shared_ptr<PendingReply> pending); // NOLINT(google-explicit-constructor): likewise
  /// `return {{"version", v}}` would be the array ["version", v]: write json{{"version", v}}, which is an object.
  Reply(nlohmann::json::initializer_list_t) = delete;

  nlohmann::json parameters;
  std::string list;
  Next next;
  std::size_t elements_per_piece = 0; // as many as take less than a millisecond
  std::shared_ptr<PendingReply> later;
};

/// The group whose members may change things; without a number, or without a name, nobody but root may.
struct Operators {
  std::string name;
  std::optional<gid_t> gid;
};

class ControlServer {
public:
  using Handler = std::function<Reply(const Call&)>; // throws ControlError

  /// Binds and listens (0660; group `hanat` where it exists), replacing a dead socket file, never a live one.
  /// `operators`: the group that may change things beside root; empty: root alone. Throws std::system_error, std::invalid_argument (no such
  /// group).
  /// `reply_within`: a client that takes longer to read a reply is closed, however steadily it reads.
  ControlServer(uv_loop_t* loop, const std::string& path, const Operators& operators, Handler handler,
                std::chrono::milliseconds reply_within = std::chrono::minutes{1});
  ~ControlServer(); // closes every connection and removes the socket file
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  /// A reload may name another group.
  void set_operators(const Operators& operators);
  /// Sends what waits for clients that follow: the loop is about to be held up.
  void send_waiting();

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
