// A server as events and their sentences name it. Not here: the events (event, event_override, event_doubt).
#pragma once

#include <string>

#include "nat/address.hpp"

namespace hanat::events {

struct ServerName {
  std::string role; // "primary", "backup2"
  Endpoint address;
  bool operator==(const ServerName&) const = default;
};

/// "backup (10.0.0.12:8443)"; without an address the role alone.
std::string full_name(const ServerName& server);

} // namespace hanat::events
