// A line for each question that a drill is to answer.
#include "cli/show_drill.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

/// "3 reset, 2 ended by themselves, 41 went on": what became of the connections of the server that lost the traffic.
std::string ends_of(const FlipStatus& flip, std::string_view others) {
  std::string text;
  const auto append = [&text](std::uint64_t number, std::string_view what) {
    if (number > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, what);
  };
  append(flip.cut.tcp + flip.cut.udp + flip.cut.sctp, "reset");
  append(flip.drained, "ended by themselves");
  append(flip.left.value_or(0), others);
  if (!flip.left) text += text.empty() ? "not counted" : ", the rest is not counted";
  return text.empty() ? "none" : text;
}

/// Of the way back, some may go on at the backup: "drain, 1 min at most".
std::string stay_behind(const FlipStatus& flip) {
  return flip.drain_ends_in_s ? fmt::format("drain, {} at most", duration(*flip.drain_ends_in_s)) : "go on";
}

/// "backup (10.0.0.12:8443)"
std::string server_in(const DrillReport& report, const std::string& role) {
  if (role == "none") return "no server";
  const auto& servers = report.last.servers;
  const auto found = std::ranges::find(servers, role, &ServerStatus::role);
  return found == servers.end() ? escaped(role) : fmt::format("{} ({})", escaped(role), escaped(found->address));
}

std::string how_it_ended(const DrillReport& report) {
  if (!report.ended) return "the drill has not ended";
  const std::string lasted = duration(std::chrono::duration<double>(*report.ended - report.began).count());
  if (report.removed) return fmt::format("a reload removed the service {} after the drill began", lasted);
  if (report.interrupted) return fmt::format("the drill was interrupted after {}", lasted);
  if (!report.ended_early()) return fmt::format("the drill is over after {}", lasted);
  std::string text = fmt::format("the drill ended after {}, before its time", lasted);
  const auto is_override = [](const HistoryEntry& entry) { return entry.kind == "override"; };
  const auto last = std::find_if(report.history.rbegin(), report.history.rend(), is_override);
  return last == report.history.rend() ? text : text + fmt::format(" ({})", escaped(last->text));
}

std::string first_served_in(const DrillReport& report) {
  const std::string number = report.new_flows == 0 ? "" : fmt::format("at least {} went there", report.new_flows);
  if (report.served)
    return fmt::format("  first new connection served there: {} to {} ms after that{}{}\n", report.not_served.count(),
                       report.served->count(), number.empty() ? "" : "; ", number);
  if (!number.empty()) return fmt::format("  new connections: {}, and none was seen to be served\n", number);
  return fmt::format("  no new connection was seen there{}\n", report.refused == 0 ? ": drill again while clients connect" : "");
}

std::string troubled_in(const DrillReport& report) {
  const std::string_view since = report.restarted ? ", counted anew since hanatd restarted meanwhile" : "";
  if (report.unanswered + report.refused == 0) return fmt::format("  no client was seen without an answer, and none refused{}\n", since);
  return fmt::format("  connections without an answer: {}; refused: {} (at least; hanatctl doctor {} looks why){}\n", report.unanswered,
                     report.refused, escaped(report.service), since);
}

nlohmann::json move_json(const std::optional<FlipStatus>& flip) {
  if (!flip) return nullptr;
  const auto or_null = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
  return {{"at", flip->at},
          {"to", flip->to},
          {"why", flip->why},
          {"commit_us", flip->commit_us},
          {"nudged", flip->nudged},
          {"cut", {{"tcp", flip->cut.tcp}, {"udp", flip->cut.udp}, {"sctp", flip->cut.sctp}}},
          {"drained", flip->drained},
          {"left", or_null(flip->left)},
          {"drain_ends_in_s", or_null(flip->drain_ends_in_s)}};
}

nlohmann::json end_json(const DrillReport& report) {
  if (!report.ended) return nullptr;
  return report.interrupted ? "interrupted" : report.removed ? "removed" : report.ended_early() ? "early" : "time";
}

} // namespace

std::string show_drill(const DrillReport& report, WallTime now) {
  std::string text = fmt::format("{}: {}", escaped(report.service), how_it_ended(report));
  if (report.removed) return text + "\n";
  text += report.is_back() ? fmt::format(": {} has the traffic again\n", server_in(report, "primary"))
                           : fmt::format(": {} has the traffic ({}): see hanatctl why {}\n", server_in(report, report.last.target),
                                         escaped(report.last.why), escaped(report.service));
  const std::string backup = server_in(report, report.backup);
  if (!report.there) return text + fmt::format("  the traffic never went to {}\n", backup);
  text += fmt::format("  to {} at {}: committed in {} us\n", backup, local_time(report.there->at, now), report.there->commit_us);
  text += first_served_in(report);
  text += fmt::format("  connections of primary: {}\n", ends_of(*report.there, "went on there"));
  text += troubled_in(report);
  for (const HistoryEntry* move : report.other_moves())
    if (const auto& flip = move->flip)
      text +=
          fmt::format("  !  {}: {} -> {} ({})\n", local_time(move->at, now), escaped(flip->from), escaped(flip->to), escaped(flip->why));
  if (report.back)
    text += fmt::format("  back at {}: committed in {} us; connections of {}: {}\n", local_time(report.back->at, now),
                        report.back->commit_us, escaped(report.back->from), ends_of(*report.back, stay_behind(*report.back)));
  return text;
}

nlohmann::json drill_json(const DrillReport& report) {
  const auto time_or_null = [](const auto& value) { return value ? nlohmann::json(to_text(*value)) : nlohmann::json(); };
  const bool served = report.served.has_value();
  return {{"name", report.service},
          {"server", report.backup},
          {"began", to_text(report.began)},
          {"until", time_or_null(report.until)},
          {"ended_at", time_or_null(report.ended)},
          {"ended", end_json(report)},
          {"move", move_json(report.there)},
          {"first_served_ms", served ? nlohmann::json(report.served->count()) : nlohmann::json()},
          {"first_served_after_ms", served ? nlohmann::json(report.not_served.count()) : nlohmann::json()},
          {"new_flows", report.new_flows},
          {"clients_unanswered", report.unanswered},
          {"clients_refused", report.refused},
          {"restarted", report.restarted},
          {"way_back", move_json(report.back)},
          {"target", report.last.target},
          {"why", report.last.why},
          {"passed", report.passed()},
          {"events", report.history}};
}

} // namespace hanat::cli
