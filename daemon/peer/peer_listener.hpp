// What the other gateway asks this one: GET /pair for what has changed, which waits up to a second for a change, and POST /pair/command for
// an operator's command. Only the other gateway is heard. Not here: what is told (peer_feed), what a command does (the owner's).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <uv.h>

#include "daemon/config/peer_config.hpp"
#include "daemon/http/http_server.hpp"
#include "daemon/peer/peer_feed.hpp"

namespace hanat {

class PeerListener {
public:
  /// The body of a command and where its reply goes, as JSON.
  using OnCommand = std::function<void(const std::string& body, std::function<void(HttpReply)> reply)>;

  /// Listens. Throws std::system_error, std::runtime_error. `refused`: a client that is not heard: who and why.
  PeerListener(uv_loop_t* loop, const PeerConfig& config, const PeerFeed& feed, OnCommand command,
               std::function<void(std::string)> refused);
  ~PeerListener();
  PeerListener(const PeerListener&) = delete;
  PeerListener& operator=(const PeerListener&) = delete;

  /// The feed has changed: who waits for that is answered.
  void wake();

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
