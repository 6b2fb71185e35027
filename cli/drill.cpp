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
#include "cli/show_drill.hpp"
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
constexpr int count_takes_part = 10;               // of hanatd's time at most: a large conntrack takes long
constexpr milliseconds last_moves{3'000};          // the move back, and its cut
constexpr milliseconds away_at_most{30'000};       // hanatd may be restarted meanwhile
constexpr milliseconds look_within{2'000};         // Ctrl-C waits for it
constexpr milliseconds count_within{1'000};        // likewise
constexpr milliseconds count_before_within{3'000}; // the drill waits for it; the first one of a hanatd also learns what the kernel can

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
  /// `count_took`: a count before it.
  DrillWatch(const Invocation& invocation, std::vector<DrillObserver>& observers, const HeldSignals& signals,
             std::optional<double> count_took)
      : invocation_(invocation), observers_(observers), signals_(signals), count_took_(count_took) {}

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
    if (!std::ranges::all_of(observers_, &DrillObserver::has_ended)) return false;
    if (!over_) over_ = Steady::now();
    return std::ranges::all_of(observers_, &DrillObserver::is_complete) || Steady::now() - *over_ > last_moves;
  }

  void look_at_all() {
    const bool all_served = std::ranges::all_of(observers_, &DrillObserver::first_served);
    const bool counts = !all_served && Steady::now() - counted_ >= next_count_;
    if (counts) {
      counted_ = Steady::now();
      next_count_ = milliseconds{0};
    }
    for (DrillObserver& observer : observers_) look(observer, counts);
    pause_ = all_served ? afterwards : std::clamp(next_count_, until_first_served, afterwards);
  }

  void look(DrillObserver& observer, bool counts) {
    try {
      const auto status = request(invocation_, "Status", {{"service", observer.seen().service}}, look_within).at("status").get<Status>();
      const auto state = observer.look(status.services.at(0), status.daemon.pid, wall_now());
      if (counts && state == DrillObserver::State::running && !observer.first_served()) count(observer);
    } catch (const Refusal& refusal) {
      if (refusal.name == "UnknownService") return observer.removed(wall_now());
      if (refusal.name != "Failed") throw; // it is busy
    }
  }

  void count(DrillObserver& observer) {
    try {
      const auto connections = request(invocation_, "Connections", {{"service", observer.seen().service}}, count_within).at("connections");
      observer.look(connections.get<ConnectionsReport>(), wall_now());
      // The quickest one shows what a count costs: the others waited for a processor, too.
      count_took_ = std::min(connections.at("took_ms").get<double>(), count_took_.value_or(static_cast<double>(count_within.count())));
      next_count_ += milliseconds{static_cast<milliseconds::rep>(*count_took_ * count_takes_part)};
    } catch (const NoDaemon&) { // it takes too long: how soon a client was served stays unknown
      next_count_ += count_within * count_takes_part;
    }
  }

  /// Only a drill: somebody may have forced the service meanwhile.
  void end_drill() {
    const std::string& service = observers_.front().seen().service;
    try {
      const auto status = request(invocation_, "Status", {{"service", service}}, look_within).at("status").get<Status>();
      const auto& forced = status.services.at(0).forced;
      if (observers_.front().has_ended() || !forced || !forced->drill) return;
      request(invocation_, "Auto", {{"service", service}}, look_within);
    } catch (const Refusal& refusal) {
      if (refusal.name == "UnknownService" || refusal.name == "Failed") return; // it is gone, or hanatd is busy: the next look tells
      throw;
    }
    for (DrillObserver& observer : observers_) observer.interrupted();
    if (!invocation_.json) print_message(invocation_, fmt::format("interrupted: {} returns now\n", escaped(service)));
  }

  const Invocation& invocation_;
  std::vector<DrillObserver>& observers_;
  const HeldSignals& signals_;
  bool ends_now_ = false;
  milliseconds pause_ = until_first_served, next_count_{0};
  Steady::time_point heard_ = Steady::now(), counted_ = heard_;
  std::optional<double> count_took_; // ms
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
void add_histories(const Invocation& invocation, std::vector<DrillObserver>& observers, WallTime begin) {
  for (DrillObserver& observer : observers) try {
      const auto reply = request(invocation, "History", {{"service", observer.seen().service}, {"since", to_text(begin)}}, look_within);
      auto entries = reply.at("history").get<std::vector<HistoryEntry>>();
      std::erase_if(entries, [](const HistoryEntry& entry) { return entry.service.empty(); });
      observer.add(std::move(entries));
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the traffic is where it is all the same
    }
}

Exit print_reports(const Invocation& invocation, const std::vector<DrillObserver>& observers, Exit status) {
  if (invocation.json) {
    nlohmann::json services = nlohmann::json::array();
    for (const DrillObserver& observer : observers) services.push_back(drill_json(observer.seen()));
    return print_json({{"services", std::move(services)}}, status);
  }
  std::string text;
  for (const DrillObserver& observer : observers) text += show_drill(observer.seen(), wall_now());
  return print(text, status);
}

} // namespace

Exit run_drill(const Invocation& invocation) {
  const auto before = connections_before(invocation);
  const HeldSignals signals; // from before the drill begins: none of them may leave it unwatched
  const WallTime begin = wall_now();
  const auto reply = begin_drill(invocation);
  std::vector<DrillObserver> observers;
  for (const auto& service : reply.at("services")) {
    const auto name = service.at("name").get<std::string>();
    const auto backup = service.at("forced").is_string() ? service.at("forced").get<std::string>() : std::string{}; // down again already
    const bool counted = before && before->service == name;
    observers.emplace_back(name, backup, begin, counted ? std::optional{DrillObserver::served_by(*before, backup)} : std::nullopt);
  }
  if (!invocation.json) print_message(invocation, drill_reply(reply, wall_now()));
  try {
    DrillWatch{invocation, observers, signals, before ? std::optional{before->took_ms} : std::nullopt}.run();
  } catch (const NoDaemon& error) {
    print_reports(invocation, observers, Exit::no_daemon);
    return fail(Exit::no_daemon, false, "NoDaemon",
                fmt::format("{}. The table stays as it is; when hanatd runs again it ends the drill at its time", error.what()));
  }
  add_histories(invocation, observers, begin);
  return print_reports(
      invocation, observers,
      std::ranges::all_of(observers, [](const DrillObserver& observer) { return observer.seen().passed(); }) ? Exit::done : Exit::refused);
}

} // namespace hanat::cli
