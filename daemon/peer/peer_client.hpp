// Asks the other gateway what has changed, over and over, and sends it commands: HTTP by libcurl on hanatd's own loop, with TLS as
// configured. A peer that is dead, hangs or talks nonsense costs nothing but its time limit. Not here: what follows from a page
// (failover/peer_follow).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>

#include <uv.h>

#include "daemon/config/peer_config.hpp"
#include "daemon/peer/peer_page.hpp"

namespace hanat {

/// The body of the reply to a command, or why there is none.
struct PeerReply {
  unsigned status = 0; // 0: none came
  std::string body;    // or the failure in words
};

class PeerClient {
public:
  struct Callbacks {
    std::function<void(const PeerPage&)> page;
    std::function<void(const std::string& why)> failed; // an attempt; the next one follows by itself
  };

  /// Begins at once.
  PeerClient(uv_loop_t* loop, const PeerConfig& config, Callbacks callbacks);
  ~PeerClient();
  PeerClient(const PeerClient&) = delete;
  PeerClient& operator=(const PeerClient&) = delete;

  /// POST /pair/command; the reply comes within some seconds, unless this object ends before.
  void send(const std::string& body, std::function<void(const PeerReply&)> done);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace hanat
