// What is seen of a drill of one service: from statuses, counts of connections and the history. Pure. Not here: asking hanatd (drill), the
// report as text and JSON (show_drill).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/api/connections.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

struct DrillReport {
  std::string service, backup; // the role of the server that gets the traffic
  WallTime began;
  std::optional<WallTime> moved = {}, ended = {}, until = {}; // until: when it is to end
  std::chrono::milliseconds not_served{0};                    // so long behind the move the backup had served no new connection
  std::optional<std::chrono::milliseconds> served = {};       // and so long behind it, it had
  std::optional<FlipStatus> there = {}, back = {};
  std::uint64_t new_flows = 0;               // that the backup got since the drill began, at least
  std::uint64_t unanswered = 0, refused = 0; // connections of clients since then, at least
  bool restarted = false;                    // hanatd was, and counts anew
  bool interrupted = false;                  // by whoever watched it
  bool removed = false;                      // the service, by a reload
  ServiceStatus last = {};
  std::vector<HistoryEntry> history = {}; // of the service since it began

  /// The primary has its traffic again.
  bool is_back() const { return ended && last.target == "primary"; }
  bool ended_early() const;
  /// The backup had the traffic until the end that was wanted, and the primary has it again.
  bool passed() const { return there && is_back() && !ended_early() && other_moves().empty(); }
  /// Moves of the traffic that belong to no drill.
  std::vector<const HistoryEntry*> other_moves() const;
};

class DrillObserver {
public:
  /// `connections`: that the backup had before, as served_by() counts them; nullopt: nobody has counted.
  DrillObserver(std::string service, std::string backup, WallTime began, std::optional<std::uint64_t> connections);
  /// Connections that the server of a role answers, or has answered.
  static std::uint64_t served_by(const ConnectionsReport& connections, const std::string& role);

  enum class State : std::uint8_t {
    moving,  // the traffic is still to go to the backup
    running, // it is there
    over,    // the drill has ended
  };
  State look(const ServiceStatus& status, int daemon_pid, WallTime now);
  /// While it runs, until first_served().
  void look(const ConnectionsReport& connections, WallTime now);
  /// A reload has removed the service.
  void removed(WallTime now);
  void interrupted() { seen_.interrupted = true; }
  void add(std::vector<HistoryEntry> history) { seen_.history = std::move(history); }

  bool first_served() const { return seen_.served.has_value(); }
  bool has_ended() const { return seen_.ended.has_value(); }
  /// It has ended, and what became of the connections of the backup is known.
  bool is_complete() const;
  const DrillReport& seen() const { return seen_; }

private:
  struct Totals {
    std::uint64_t new_flows = 0, unanswered = 0, refused = 0;
  };
  Totals totals_of(const ServiceStatus& status) const;
  DrillReport seen_;
  std::optional<std::uint64_t> connections_; // at the backup, when they were last counted
  bool counted_before_;                      // before the drill
  std::optional<int> pid_;                   // of the hanatd whose totals these are:
  Totals before_, earlier_;                  // at the first look at it; since the drill began, of a hanatd before it
};

} // namespace hanat::cli
