// A reply that comes later, or in parts: what a method has still to find out, or events for who follows them. A bounded queue: a client
// that reads too slowly misses some, and is told how many. For the loop's thread. Not here: bytes and deadlines of a client (connection).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

namespace hanat {

class PendingReply {
public:
  static constexpr std::size_t longest_queue = 128; // replies: some 100 KiB a client

  /// One of several replies; more follow. Without room for it the client gets {"skipped": number} when it reads again.
  void send(const nlohmann::json& parameters);
  /// The last reply, or the error in its place: `name` is one of io.hanat.Control.
  void finish(const nlohmann::json& parameters);
  /// The same, as varlink::reply_bytes() made it, perhaps on another thread.
  void finish_with(std::string bytes);
  void fail(const std::string& name, const std::string& message, nlohmann::json parameters = nlohmann::json::object());
  /// The client is gone, or has its last reply: nothing is sent any more.
  bool is_over() const { return abandoned_ || ended_; }

  // for the client's connection
  /// `on_bytes` is called when there is something to take. It may not take it from inside.
  void attach(std::function<void()> on_bytes);
  bool has_bytes() const { return !queue_.empty() || skipped_ > 0; }
  /// All that waits.
  std::string take();
  /// The last reply was taken.
  bool is_complete() const { return ended_ && !has_bytes(); }
  void abandon();

private:
  void push(std::string bytes);

  std::deque<std::string> queue_;
  std::uint64_t skipped_ = 0;
  bool ended_ = false, abandoned_ = false;
  std::function<void()> on_bytes_;
};

} // namespace hanat
