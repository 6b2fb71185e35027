// The status for people: one line per service with its notices, then every server with its last probe result.
// Pure: the time and the use of colour are arguments. Not here: JSON (printed as received), the request to the daemon (commands).
#pragma once

#include <string>
#include <vector>

#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

struct View {
  bool colour = false;
  WallTime now{};
};

/// What an operator should know about a service besides its line.
struct Notice {
  bool trouble = false; // needs action; false: for information
  std::string text;
  bool operator==(const Notice&) const = default;
};
std::vector<Notice> notices(const ServiceStatus& service, WallTime now);

std::string show_status(const Status& status, const View& view);

/// "primary -> backup, failover; committed in 14 us; cut 41 tcp, 7 udp, 0 sctp in 3.1 ms; nudge sent to 41 clients"
std::string show_flip(const FlipStatus& flip);
/// One line per entry, in the given order.
std::string show_history(const std::vector<HistoryEntry>& history, const View& view);

} // namespace hanat::cli
