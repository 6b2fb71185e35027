// One request, then looks until hanatd has ended the drill. Signals wait for the pauses between the looks.
#include "cli/drill.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/drill_report.hpp"
#include "cli/replies.hpp"
#include "cli/requests.hpp"
#include "cli/text.hpp"
#include "daemon/api/client.hpp"
#include "daemon/api/connections.hpp"
#include "daemon/api/methods.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr milliseconds usual_length{30'000};
constexpr milliseconds until_first_served{20}; // between two looks
constexpr milliseconds afterwards{200};
constexpr int count_takes_part = 10;               // of the time at most: a large conntrack takes long
constexpr milliseconds last_moves{3'000};          // the move back, and its cut
constexpr milliseconds away_at_most{30'000};       // hanatd may be restarted meanwhile
constexpr milliseconds look_within{2'000};         // Ctrl-C waits for it
constexpr milliseconds count_within{1'000};        // likewise
constexpr milliseconds count_before_within{1'000}; // the drill waits for it

double seconds_of(milliseconds time) { return std::chrono::duration<double>(time).count(); }

/// SIGINT, SIGTERM and SIGHUP are kept until somebody pauses.
class HeldSignals {
public:
  HeldSignals() {
    sigemptyset(&set_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  /// False: one of them came.
  bool pause(milliseconds time) const {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const timespec longest{.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds{time - seconds}.count()};
    return sigtimedwait(&set_, nullptr, &longest) < 0; // EAGAIN: the time is over
  }

private:
  sigset_t set_{};
};

class DrillWatch {
public:
  DrillWatch(const Invocation& invocation, std::vector<DrillReport>& reports, const HeldSignals& signals)
      : invocation_(invocation), reports_(reports), signals_(signals) {}

  /// Until every drill has ended, and the traffic has had time to go back. Throws NoDaemon.
  void run() {
    while (!is_over()) {
      try {
        if (ends_now_) end_drill();
        look_at_all();
        heard_ = Steady::now();
      } catch (const NoDaemon&) {
        if (Steady::now() - heard_ > away_at_most) throw;
      }
      if (signals_.pause(pause_)) continue;
      if (std::exchange(ends_now_, true)) return; // the second one: whoever wants to leave may
    }
  }

private:
  bool is_over() {
    if (!std::ranges::all_of(reports_, &DrillReport::has_ended)) return false;
    if (!over_) over_ = Steady::now();
    return std::ranges::all_of(reports_, &DrillReport::is_complete) || Steady::now() - *over_ > last_moves;
  }

  void look_at_all() {
    const auto since_last = std::chrono::duration_cast<milliseconds>(Steady::now() - counted_);
    const bool all_served = std::ranges::all_of(reports_, &DrillReport::first_served);
    const bool counts = !all_served && since_last >= next_count_;
    if (counts) {
      counted_ = Steady::now();
      next_count_ = milliseconds{0};
    }
    for (DrillReport& report : reports_) look(report, counts ? std::optional{since_last} : std::nullopt);
    pause_ = all_served ? afterwards : std::clamp(next_count_, until_first_served, afterwards);
  }

  void look(DrillReport& report, std::optional<milliseconds> counts_after) {
    try {
      const auto status = request(invocation_, "Status", {{"service", report.service()}}, look_within).at("status").get<Status>();
      const auto state = report.look(status.services.at(0), status.daemon.pid, wall_now());
      if (counts_after && state == DrillReport::State::running && !report.first_served()) count(report, *counts_after);
    } catch (const Refusal& refusal) {
      if (refusal.name == "UnknownService") return report.removed(wall_now());
      if (refusal.name != "Failed") throw; // it is busy
    }
  }

  void count(DrillReport& report, milliseconds since_last) {
    try {
      const auto connections = request(invocation_, "Connections", {{"service", report.service()}}, count_within).at("connections");
      report.look(connections.get<ConnectionsReport>(), wall_now(), since_last);
      next_count_ += milliseconds{static_cast<milliseconds::rep>(connections.at("took_ms").get<double>() * count_takes_part)};
    } catch (const NoDaemon&) { // it takes too long: how soon a client was served stays unknown
      next_count_ += count_within * count_takes_part;
    }
  }

  /// Only a drill: somebody may have forced the service meanwhile.
  void end_drill() {
    const std::string& service = reports_.front().service();
    try {
      const auto status = request(invocation_, "Status", {{"service", service}}, look_within).at("status").get<Status>();
      const auto& forced = status.services.at(0).forced;
      if (reports_.front().has_ended() || !forced || !forced->drill) return;
      request(invocation_, "Auto", {{"service", service}}, look_within);
    } catch (const Refusal& refusal) {
      if (refusal.name == "UnknownService" || refusal.name == "Failed") return; // it is gone, or hanatd is busy: the next look tells
      throw;
    }
    for (DrillReport& report : reports_) report.interrupted();
    if (!invocation_.json) print_message(invocation_, fmt::format("interrupted: {} returns now\n", escaped(service)));
  }

  const Invocation& invocation_;
  std::vector<DrillReport>& reports_;
  const HeldSignals& signals_;
  bool ends_now_ = false;
  milliseconds pause_ = until_first_served, next_count_{0};
  Steady::time_point heard_ = Steady::now(), counted_ = heard_;
  std::optional<Steady::time_point> over_;
};

/// The connections of the service before the drill; nullopt: they were not counted in time, and nothing is lost but a figure.
std::optional<ConnectionsReport> connections_before(const Invocation& invocation) {
  nlohmann::json parameters = nlohmann::json::object();
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  try {
    return request(invocation, "Connections", parameters, count_before_within).at("connections").get<ConnectionsReport>();
  } catch (const std::exception&) { // the request that follows says what is wrong
    return std::nullopt;
  }
}

nlohmann::json begin_drill(const Invocation& invocation) {
  nlohmann::json parameters = {{"server", invocation.server.empty() ? std::string{any_backup} : invocation.server},
                               {"for_s", seconds_of(invocation.for_time.value_or(usual_length))},
                               {"drill", true}};
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  if (!invocation.reason.empty()) parameters["reason"] = invocation.reason;
  if (invocation.drain) parameters["drain_s"] = seconds_of(*invocation.drain);
  if (invocation.reset) parameters["reset"] = true;
  return request(invocation, "Force", parameters);
}

/// What happened to each service since then. Without an answer the reports have less to tell.
void add_histories(const Invocation& invocation, std::vector<DrillReport>& reports, WallTime begin) {
  for (DrillReport& report : reports) try {
      const auto reply = request(invocation, "History", {{"service", report.service()}, {"since", to_text(begin)}}, look_within);
      auto entries = reply.at("history").get<std::vector<HistoryEntry>>();
      std::erase_if(entries, [](const HistoryEntry& entry) { return entry.service.empty(); });
      report.add(std::move(entries));
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the traffic is where it is all the same
    }
}

Exit print_reports(const Invocation& invocation, const std::vector<DrillReport>& reports, Exit status) {
  if (invocation.json) {
    nlohmann::json services = nlohmann::json::array();
    for (const DrillReport& report : reports) services.push_back(report.json());
    return print_json({{"services", std::move(services)}}, status);
  }
  std::string text;
  for (const DrillReport& report : reports) text += report.text(wall_now());
  return print(text, status);
}

} // namespace

Exit run_drill(const Invocation& invocation) {
  const auto before = connections_before(invocation);
  const HeldSignals signals; // from before the drill begins: none of them may leave it unwatched
  const WallTime begin = wall_now();
  const auto reply = begin_drill(invocation);
  std::vector<DrillReport> reports;
  for (const auto& service : reply.at("services")) {
    const auto name = service.at("name").get<std::string>();
    const auto backup = service.at("forced").is_string() ? service.at("forced").get<std::string>() : std::string{}; // down again already
    const bool counted = before && before->service == name;
    reports.emplace_back(name, backup, begin, counted ? std::optional{DrillReport::served_by(*before, backup)} : std::nullopt);
  }
  if (!invocation.json) print_message(invocation, drill_reply(reply, wall_now()));
  try {
    DrillWatch{invocation, reports, signals}.run();
  } catch (const NoDaemon& error) {
    print_reports(invocation, reports, Exit::no_daemon);
    return fail(Exit::no_daemon, false, "NoDaemon",
                fmt::format("{}. The table stays as it is; when hanatd runs again it ends the drill at its time", error.what()));
  }
  add_histories(invocation, reports, begin);
  return print_reports(invocation, reports, std::ranges::all_of(reports, &DrillReport::passed) ? Exit::done : Exit::refused);
}

} // namespace hanat::cli
