// What --wait waits for in one service: that the traffic has left a server, and that the connections there are gone. Pure. Not here: the
// requests (moves), the texts (replies).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/arguments.hpp"
#include "daemon/api/status.hpp"

namespace hanat::cli {

class AwaitedMove {
public:
  enum class State : std::uint8_t {
    moving,   // the traffic is still on the server
    draining, // it has moved; connections are left there, or are being cut
    gone,     // none is left
    undone,   // the server has the traffic again, or keeps it: somebody decided otherwise
  };

  /// `service`: what hanatd replied to the command about one service.
  AwaitedMove(Command command, const nlohmann::json& service);
  /// The server whose connections end; empty: nothing moves, and there is nothing to wait for.
  const std::string& server() const { return server_; }
  State look(const ServiceStatus& status);

private:
  bool is_withdrawn(const ServiceStatus& status) const;

  Command command_;
  std::string server_;
  bool moved_ = false;
};

/// The old target of a service in a reply; empty: its traffic did not move, and nothing drains.
std::string old_server(const nlohmann::json& service);

/// The connections of a server that drain or are kept, with those that have ended since they began to; nullopt: they are not counted yet.
std::optional<std::uint64_t> draining_from(const ServiceStatus& status, const std::string& server);

/// What the status says of the old connections where the reply could not: the move came after it.
nlohmann::json old_connections_in(const ServiceStatus& status, const std::string& server, WallTime now);

} // namespace hanat::cli
