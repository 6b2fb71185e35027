// The status for people: one line a service, loud lines where something is wrong, then every server with its last answer.
// Pure: the time is an argument, the terminal is not asked. Not here: JSON (that is passed on as it came), asking the daemon (run).
#pragma once

#include <string>
#include <vector>

#include "daemon/status.hpp"
#include "daemon/walltime.hpp"

namespace hanat::cli {

struct View {
  bool colour = false;
  WallTime now{};
};

/// What an operator must know about a service beside its line.
struct Remark {
  bool trouble = false; // act; false: know
  std::string text;
  bool operator==(const Remark&) const = default;
};
std::vector<Remark> remarks(const ServiceStatus& service, WallTime now);

std::string show_status(const Status& status, const View& view);

/// "primary -> backup, failover; committed in 14 us; cut 41 tcp, 7 udp, 0 sctp in 3.1 ms; 41 clients told"
std::string show_flip(const FlipStatus& flip);
/// A line a fact, in their order.
std::string show_history(const std::vector<HistoryEntry>& history, const View& view);

} // namespace hanat::cli
