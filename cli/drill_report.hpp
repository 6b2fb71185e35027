// What a drill showed of one service: fed with statuses, counts of connections and the history, it says whether the backup had the traffic
// for the whole time, what became of clients, and whether the primary has it again. Pure but for the time zone. Not here: asking hanatd
// (drill).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "daemon/api/connections.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/wall_time.hpp"

namespace hanat::cli {

class DrillReport {
public:
  using milliseconds = std::chrono::milliseconds;

  /// `backup`: the role of the server that gets the traffic. `connections`: that it had before, as served_by() counts them; nullopt: nobody
  /// has counted.
  DrillReport(std::string service, std::string backup, WallTime begin, std::optional<std::uint64_t> connections);
  /// Connections that the server of a role answers, or has answered.
  static std::uint64_t served_by(const ConnectionsReport& connections, const std::string& role);

  enum class State : std::uint8_t {
    moving,  // the traffic is still to go to the backup
    running, // it is there
    over,    // the drill has ended
  };
  State look(const ServiceStatus& status, int daemon_pid, WallTime now);
  /// While it runs, until first_served(). `since_last`: how long ago the count before was made.
  void look(const ConnectionsReport& connections, WallTime now, milliseconds since_last);
  /// A reload has removed the service.
  void removed(WallTime now);
  /// The entries about the service since the drill began.
  void add(std::vector<HistoryEntry> history) { history_ = std::move(history); }
  void interrupted() { interrupted_ = true; }

  const std::string& service() const { return service_; }
  bool first_served() const { return served_.has_value(); }
  bool has_ended() const { return ended_.has_value(); }
  /// The primary has its traffic again.
  bool is_back() const { return ended_ && last_.target == "primary"; }
  /// Likewise, and the cut behind that move has ended.
  bool is_complete() const;
  /// The backup had the traffic until the end that was wanted, and the primary has it again.
  bool passed() const;

  std::string text(WallTime now) const;
  nlohmann::json json() const;

private:
  bool ended_early() const;
  std::vector<const HistoryEntry*> other_moves() const;
  std::string how_it_ended() const;
  std::string server_text(const std::string& role) const;
  std::string clients_text() const;

  std::string service_, backup_;
  WallTime begin_;
  std::optional<std::uint64_t> connections_; // at the backup, when they were last counted
  std::optional<WallTime> moved_, ended_, until_;
  std::optional<milliseconds> served_, counted_every_; // behind the move; the pause before that count
  std::optional<FlipStatus> there_, back_;
  std::optional<int> pid_; // of hanatd, whose totals these are
  struct Troubled {        // connections of clients
    std::uint64_t unanswered = 0, refused = 0;
  };
  Troubled before_, earlier_, troubled_; // hanatd's totals at the first look at it; of a hanatd before it; since the drill began
  bool restarted_ = false, interrupted_ = false, removed_ = false;
  ServiceStatus last_;
  std::vector<HistoryEntry> history_;
};

} // namespace hanat::cli
