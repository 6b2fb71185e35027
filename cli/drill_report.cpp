// Every figure is hanatd's: of its flips, its totals and its counts of connections.
#include "cli/drill_report.hpp"

#include <algorithm>

namespace hanat::cli {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds unnoticed{100}; // a drill that ends so long before its time has had its time

bool is_flip_at(const HistoryEntry& entry, const std::optional<FlipStatus>& flip) { return flip && entry.at == flip->at; }

} // namespace

bool DrillReport::ended_early() const { return removed || interrupted || (ended && until && *ended + unnoticed < *until); }

std::vector<const HistoryEntry*> DrillReport::other_moves() const {
  std::vector<const HistoryEntry*> moves;
  for (const HistoryEntry& entry : history)
    if (entry.kind == "flip" && entry.flip && entry.flip->why != "drill" && !is_flip_at(entry, there) && !is_flip_at(entry, back))
      moves.push_back(&entry);
  return moves;
}

DrillObserver::DrillObserver(std::string service, std::string backup, WallTime began, std::optional<std::uint64_t> connections)
    : seen_{.service = std::move(service), .backup = std::move(backup), .began = began}, connections_(connections),
      counted_before_(connections.has_value()) {}

std::uint64_t DrillObserver::served_by(const ConnectionsReport& connections, const std::string& role) {
  std::uint64_t number = 0;
  for (const ConnectionServer& server : connections.servers)
    if (server.role == role) number += server.counts.established + server.counts.closing + server.counts.answered;
  return number;
}

DrillObserver::Totals DrillObserver::totals_of(const ServiceStatus& status) const {
  Totals totals{.unanswered = status.totals.clients_unanswered, .refused = status.totals.clients_refused};
  for (const ServerStatus& server : status.servers)
    if (server.role == seen_.backup) totals.new_flows = server.new_flows.value_or(0); // absent: they are counted from now on
  return totals;
}

DrillObserver::State DrillObserver::look(const ServiceStatus& status, int daemon_pid, WallTime now) {
  const Totals totals = totals_of(status);
  if (pid_ != daemon_pid) { // the totals of a hanatd that was restarted begin at zero
    seen_.restarted = pid_.has_value();
    before_ = pid_ ? Totals{} : totals;
    earlier_ = {.new_flows = seen_.new_flows, .unanswered = seen_.unanswered, .refused = seen_.refused};
    pid_ = daemon_pid;
  }
  const std::uint64_t fresh = totals.new_flows - std::min(totals.new_flows, before_.new_flows);
  seen_.new_flows = std::max(seen_.new_flows, earlier_.new_flows + fresh);
  seen_.unanswered = earlier_.unanswered + totals.unanswered - before_.unanswered;
  seen_.refused = earlier_.refused + totals.refused - before_.refused;
  seen_.last = status;
  const bool drills = status.forced && status.forced->drill;
  const auto& flip = status.last_flip;
  if (drills && status.forced->until) seen_.until = parse_wall_time(*status.forced->until);
  if (flip && flip->to == seen_.backup && flip->why == "drill") {
    seen_.there = flip;
    seen_.moved = parse_wall_time(flip->at);
  }
  if (drills) return status.target == seen_.backup ? State::running : State::moving;
  if (!seen_.ended) seen_.ended = now;
  if (flip && seen_.there && flip->at != seen_.there->at && flip->to == "primary") seen_.back = flip;
  if (seen_.back) seen_.ended = parse_wall_time(seen_.back->at);
  return State::over;
}

void DrillObserver::look(const ConnectionsReport& connections, WallTime now) {
  const std::uint64_t number = served_by(connections, seen_.backup);
  // Where nobody has counted before, the new flows since then tell that one of these is new.
  const bool more = (connections_ && number > *connections_) || (!counted_before_ && number > 0 && seen_.new_flows > 0);
  connections_ = number;
  if (seen_.served || !seen_.moved) return;
  const milliseconds behind = std::max(std::chrono::duration_cast<milliseconds>(now - *seen_.moved), milliseconds{0});
  if (more && seen_.refused == 0) // one that was refused is closing, too
    seen_.served = behind;
  else
    seen_.not_served = behind;
}

void DrillObserver::removed(WallTime now) {
  seen_.removed = true;
  seen_.last.target.clear();
  if (!seen_.ended) seen_.ended = now;
}

bool DrillObserver::is_complete() const {
  return seen_.removed || (seen_.is_back() && seen_.back && seen_.back->cut_ms && seen_.back->left);
}

} // namespace hanat::cli
