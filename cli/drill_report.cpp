// Every figure is hanatd's: of its flips, its totals and its counts of connections. What is not known is said.
#include "cli/drill_report.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds unnoticed{100}; // a drill that ends so long before its time has had its time

double in_seconds(WallTime::duration time) { return std::chrono::duration<double>(time).count(); }
std::uint64_t sum_of(const CutStatus& cut) { return cut.tcp + cut.udp + cut.sctp; }

/// "3 reset, 2 ended by themselves, 41 went on": what became of the connections of the server that lost the traffic.
std::string fate_of(const FlipStatus& flip, std::string_view others) {
  std::string text;
  const auto add = [&text](std::uint64_t number, std::string_view what) {
    if (number > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, what);
  };
  add(sum_of(flip.cut), "reset");
  add(flip.drained, "ended by themselves");
  add(flip.left.value_or(0), others);
  if (!flip.left) text += text.empty() ? "not counted" : ", the rest is not counted";
  return text.empty() ? "none" : text;
}

/// Of the way back, some may go on at the backup: "drain, 1 min at most".
std::string left_behind(const FlipStatus& flip) {
  return flip.drain_ends_in_s ? fmt::format("drain, {} at most", duration(*flip.drain_ends_in_s)) : "go on";
}

nlohmann::json move_json(const std::optional<FlipStatus>& flip) {
  if (!flip) return nullptr;
  const auto optional = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
  return {{"at", flip->at},
          {"to", flip->to},
          {"why", flip->why},
          {"commit_us", flip->commit_us},
          {"nudged", flip->nudged},
          {"cut", {{"tcp", flip->cut.tcp}, {"udp", flip->cut.udp}, {"sctp", flip->cut.sctp}}},
          {"drained", flip->drained},
          {"left", optional(flip->left)},
          {"drain_ends_in_s", optional(flip->drain_ends_in_s)}};
}

bool is_flip_at(const HistoryEntry& entry, const std::optional<FlipStatus>& flip) { return flip && entry.at == flip->at; }

} // namespace

DrillReport::DrillReport(std::string service, std::string backup, WallTime begin, std::optional<std::uint64_t> connections)
    : service_(std::move(service)), backup_(std::move(backup)), begin_(begin), connections_(connections) {}

std::uint64_t DrillReport::served_by(const ConnectionsReport& connections, const std::string& role) {
  std::uint64_t number = 0;
  for (const ConnectionServer& server : connections.servers)
    if (server.role == role) number += server.counts.established + server.counts.closing + server.counts.answered;
  return number;
}

DrillReport::State DrillReport::look(const ServiceStatus& status, int daemon_pid, WallTime now) {
  const TotalsStatus& totals = status.totals;
  if (pid_ != daemon_pid) { // the totals of a hanatd that was restarted begin at zero
    restarted_ = pid_.has_value();
    before_ = restarted_ ? Troubled{} : Troubled{.unanswered = totals.clients_unanswered, .refused = totals.clients_refused};
    earlier_ = troubled_;
    pid_ = daemon_pid;
  }
  troubled_.unanswered = earlier_.unanswered + totals.clients_unanswered - before_.unanswered;
  troubled_.refused = earlier_.refused + totals.clients_refused - before_.refused;
  last_ = status;
  const bool drills = status.forced && status.forced->drill;
  const auto& flip = status.last_flip;
  if (drills && status.forced->until) until_ = parse_wall_time(*status.forced->until);
  if (flip && flip->to == backup_ && flip->why == "drill") {
    there_ = flip;
    moved_ = parse_wall_time(flip->at);
  }
  if (drills) return status.target == backup_ ? State::running : State::moving;
  if (!ended_) ended_ = now;
  if (flip && there_ && flip->at != there_->at && flip->to == "primary") back_ = flip;
  return State::over;
}

void DrillReport::look(const ConnectionsReport& connections, WallTime now, milliseconds since_last) {
  const std::uint64_t number = served_by(connections, backup_);
  const bool more = connections_ && number > *connections_;
  if (more && !served_ && moved_ && troubled_.refused == 0) { // one that was refused is closing, too
    served_ = std::max(std::chrono::duration_cast<milliseconds>(now - *moved_), milliseconds{0});
    counted_every_ = since_last;
  }
  connections_ = number;
}

void DrillReport::removed(WallTime now) {
  removed_ = true;
  last_.target.clear();
  if (!ended_) ended_ = now;
}

bool DrillReport::is_complete() const { return removed_ || (is_back() && back_ && back_->cut_ms); }

bool DrillReport::ended_early() const { return removed_ || interrupted_ || (ended_ && until_ && *ended_ + unnoticed < *until_); }

bool DrillReport::passed() const { return there_ && is_back() && !ended_early() && other_moves().empty(); }

/// Moves of the traffic that belong to no drill.
std::vector<const HistoryEntry*> DrillReport::other_moves() const {
  std::vector<const HistoryEntry*> moves;
  for (const HistoryEntry& entry : history_)
    if (entry.kind == "flip" && entry.flip && entry.flip->why != "drill" && !is_flip_at(entry, there_) && !is_flip_at(entry, back_))
      moves.push_back(&entry);
  return moves;
}

/// "backup (10.0.0.12:8443)"
std::string DrillReport::server_text(const std::string& role) const {
  if (role == "none") return "no server";
  const auto found = std::ranges::find(last_.servers, role, &ServerStatus::role);
  return found == last_.servers.end() ? escaped(role) : fmt::format("{} ({})", escaped(role), escaped(found->address));
}

std::string DrillReport::how_it_ended() const {
  const std::string lasted = ended_ ? duration(in_seconds(*ended_ - begin_)) : "";
  if (!ended_) return "the drill has not ended";
  if (removed_) return fmt::format("a reload removed the service {} after the drill began", lasted);
  if (interrupted_) return fmt::format("the drill was interrupted after {}", lasted);
  if (!ended_early()) return fmt::format("the drill is over after {}", lasted);
  std::string text = fmt::format("the drill ended after {}, before its time", lasted);
  const auto last = std::find_if(history_.rbegin(), history_.rend(), [](const auto& entry) { return entry.kind == "override"; });
  return last == history_.rend() ? text : text + fmt::format(" ({})", escaped(last->text));
}

std::string DrillReport::clients_text() const {
  const std::string since = restarted_ ? ", counted anew since hanatd restarted meanwhile" : "";
  if (troubled_.unanswered + troubled_.refused == 0)
    return fmt::format("  no client was seen without an answer, and none refused{}\n", since);
  return fmt::format("  connections without an answer: {}; refused: {} (at least; {}){}\n", troubled_.unanswered, troubled_.refused,
                     fmt::format("hanatctl doctor {} looks why", escaped(service_)), since);
}

std::string DrillReport::text(WallTime now) const {
  std::string text = fmt::format("{}: {}", escaped(service_), how_it_ended());
  if (removed_) return text + "\n";
  text += is_back() ? fmt::format(": {} has the traffic again\n", server_text("primary"))
                    : fmt::format(": {} has the traffic ({}): see hanatctl why {}\n", server_text(last_.target), escaped(last_.why),
                                  escaped(service_));
  const std::string there = server_text(backup_);
  if (!there_) return text + fmt::format("  the traffic never went to {}\n", there);
  text += fmt::format("  to {} at {}: committed in {} us\n", there, local_time(there_->at, now), there_->commit_us);
  if (served_)
    text += fmt::format("  first new connection served there: {} ms after that at the latest, counted every {} ms\n", served_->count(),
                        counted_every_.value_or(milliseconds{0}).count());
  else
    text += fmt::format("  no new connection was seen there{}\n", troubled_.refused == 0 ? ": drill again while clients connect" : "");
  text += fmt::format("  connections of primary: {}\n", fate_of(*there_, "went on there"));
  text += clients_text();
  for (const HistoryEntry* move : other_moves())
    text += fmt::format("  !  {}: {} -> {} ({})\n", local_time(move->at, now), escaped(move->flip->from), escaped(move->flip->to),
                        escaped(move->flip->why));
  if (back_)
    text += fmt::format("  back at {}: committed in {} us; connections of {}: {}\n", local_time(back_->at, now), back_->commit_us,
                        escaped(back_->from), fate_of(*back_, left_behind(*back_)));
  return text;
}

nlohmann::json DrillReport::json() const {
  const auto time_json = [](const auto& value) { return value ? nlohmann::json(to_text(*value)) : nlohmann::json(); };
  const auto count_json = [](const auto& value) { return value ? nlohmann::json(value->count()) : nlohmann::json(); };
  const char* const ended = !ended_ ? nullptr : interrupted_ ? "interrupted" : removed_ ? "removed" : ended_early() ? "early" : "time";
  return {{"name", service_},
          {"server", backup_},
          {"began", to_text(begin_)},
          {"until", time_json(until_)},
          {"ended_at", time_json(ended_)},
          {"ended", ended == nullptr ? nlohmann::json() : nlohmann::json(ended)},
          {"move", move_json(there_)},
          {"first_served_ms", count_json(served_)},
          {"counted_every_ms", count_json(counted_every_)},
          {"clients_unanswered", troubled_.unanswered},
          {"clients_refused", troubled_.refused},
          {"restarted", restarted_},
          {"way_back", move_json(back_)},
          {"target", last_.target},
          {"why", last_.why},
          {"passed", passed()},
          {"events", history_}};
}

} // namespace hanat::cli
