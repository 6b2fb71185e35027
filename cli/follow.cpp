// The history, and what happens from now on: by the daemon's events, which reach us as they happen. What was missed, over a restart of
// hanatd or because we did not read, is asked for. Not here: the texts (show_history).
#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/diagnosis.hpp"
#include "cli/requests.hpp"
#include "cli/screen.hpp"
#include "cli/show_history.hpp"
#include "daemon/api/client.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds try_again{100}; // to reach a hanatd that restarts
constexpr std::int64_t recent_events = 20;

json history_parameters(const Invocation& invocation) {
  json parameters = json::object();
  if (!invocation.operand.empty()) parameters["service"] = invocation.operand;
  if (invocation.number) parameters["last"] = *invocation.number;
  if (invocation.since) parameters["since"] = to_text(*invocation.since);
  if (invocation.until) parameters["until"] = to_text(*invocation.until);
  const bool limited = invocation.number || invocation.since || invocation.until;
  if (invocation.command == Command::events && !limited) parameters["last"] = recent_events;
  return parameters;
}

/// "2026-11-28T14:02:10.123Z flip web new connections go ...": a fact is a line, however long.
std::string event_line(const HistoryEntry& entry) {
  return fmt::format("{} {} {} {}\n", escaped(entry.at), escaped(entry.kind), entry.service.empty() ? "-" : escaped(entry.service),
                     escaped(entry.text));
}

class Follower {
public:
  explicit Follower(const Invocation& invocation) : invocation_(invocation), view_(view_of(invocation.color)) {}

  /// Entries of a reply of History.
  Exit show(const json& entries) {
    std::string text;
    if (invocation_.json) {
      for (const json& entry : entries) text += json_line(entry);
    } else if (invocation_.command == Command::events) {
      for (const json& entry : entries) text += event_line(entry.get<HistoryEntry>());
    } else {
      text = show_history(entries.get<std::vector<HistoryEntry>>(), view_, day_);
    }
    return print(text);
  }

  /// Until interrupted, or stdout is closed. `next`: the number of the entry that comes next.
  Exit follow(std::int64_t next) {
    next_ = next;
    for (;;) {
      try {
        call_more(socket_of(invocation_), "Follow", service(), [this](const json& reply) { return take(reply); });
        if (status_ != Exit::done) return status_;
      } catch (const NoDaemon&) { // it may be restarted
        std::this_thread::sleep_for(try_again);
      }
    }
  }

private:
  json service() const {
    json parameters = json::object();
    if (!invocation_.operand.empty()) parameters["service"] = invocation_.operand;
    return parameters;
  }

  /// False: there is nobody to show it to.
  bool take(const json& reply) {
    const auto event = reply.find("event");
    const bool has_event = event != reply.end() && !event->is_null();
    if (!has_event) {
      catch_up();
    } else {
      const bool updates = event->at("kind") == "cut"; // it has no number of its own
      const auto next = reply.at("next").get<std::int64_t>();
      if (!updates && next <= next_) return true; // it was among those that were asked for
      next_ = std::max(next_, next);
      status_ = show(json::array({*event}));
    }
    return status_ == Exit::done;
  }

  /// At the beginning, and when events were left out.
  void catch_up() {
    json parameters = service();
    parameters["after"] = next_;
    const json reply = request(invocation_, "History", parameters);
    const auto end = reply.at("next").get<std::int64_t>();
    if (end >= next_) status_ = show(reply.at("history")); // otherwise the numbers have begun anew, with what was shown already
    next_ = end;
  }

  const Invocation& invocation_;
  View view_;
  std::string day_;
  std::int64_t next_ = 0;
  Exit status_ = Exit::done;
};

} // namespace

Exit run_history(const Invocation& invocation) {
  const bool events = invocation.command == Command::events;
  const json reply = request(invocation, "History", history_parameters(invocation));
  if (!events && !invocation.follow) {
    if (invocation.json) return print_json(reply);
    return print(show_history(reply.at("history").get<std::vector<HistoryEntry>>(), view_of(invocation.color)));
  }
  Follower follower{invocation};
  const bool only_new = events && invocation.follow && !invocation.number && !invocation.since;
  const Exit status = only_new ? Exit::done : follower.show(reply.at("history"));
  return invocation.follow && status == Exit::done ? follower.follow(reply.at("next")) : status;
}

} // namespace hanat::cli
