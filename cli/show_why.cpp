// Lines of a time and what happened then.
#include "cli/show_why.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/notices.hpp"
#include "cli/text.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t keys_shown = 3;
constexpr std::size_t steps_in_brief = 2;

struct Step {
  std::string at; // as JSON has it
  std::string text;
  Colour colour = Colour::none;
};

/// "15:16:11.920"
std::string exact_clock(const std::string& at) {
  const auto time = parse_wall_time(at);
  return time ? fmt::format("{}.{:03}", local_clock(*time), time->time_since_epoch().count() % 1000) : escaped(at);
}

std::string event_phrase(const ObservationStatus& event) {
  const std::string server = escaped(event.server);
  const std::string where = event.detail.empty() ? "" : fmt::format(" ({})", escaped(event.detail));
  if (event.reason == "refused") return fmt::format("a client was refused by {}", server);
  if (event.reason == "unanswered") return fmt::format("a client got no answer from {}", server);
  if (event.reason == "unreachable") return fmt::format("ICMP said that {} is unreachable{}", server, where);
  if (event.reason == "carrier-lost") return fmt::format("the interface towards {} lost its carrier{}", server, where);
  if (event.reason == "route-gone") return fmt::format("the route to {} is gone{}", server, where);
  if (event.reason == "address-gone") return fmt::format("this gateway's address towards {} is gone{}", server, where);
  if (event.reason == "neighbour-failed") return fmt::format("{} does not answer ARP or neighbour discovery{}", server, where);
  return fmt::format("{}: {}{}", server, escaped(event.reason), where);
}

/// Which probe it is of stands with the first of several.
std::string result_phrase(const ObservationStatus& result, bool with_probe) {
  std::string text = fmt::format("{} {}", escaped(result.server), result.kind == "pass" ? "passed" : escaped(result.reason));
  if (!result.detail.empty()) text += fmt::format(" ({})", escaped(result.detail));
  if (!result.wanted.empty()) text += fmt::format(", wanted: {}", escaped(result.wanted));
  text += result.kind == "pass" ? fmt::format("  {} in a row", result.count) : fmt::format("  {} of {}", result.count, result.of);
  return with_probe && !result.probe.empty() ? fmt::format("{}  {}", text, escaped(result.probe)) : text;
}

void add_observations(const std::vector<ObservationStatus>& observations, std::vector<Step>& steps) {
  std::string probe;
  for (const ObservationStatus& one : observations) {
    if (one.kind == "event")
      steps.push_back({.at = one.at, .text = event_phrase(one) + ": probed at once"});
    else
      steps.push_back({.at = one.at, .text = result_phrase(one, std::exchange(probe, one.probe) != one.probe)});
  }
}

std::string rule_of(const HealthChangeStatus& change) {
  if (change.health == "up") return fmt::format("rule: {} passes over {:g} s", change.of, change.within_s);
  return fmt::format("rule: {} in {:g} s", change.of, change.within_s);
}

void add_health(const HistoryEntry& entry, Detail detail, std::vector<Step>& steps) {
  const Colour colour = entry.health && entry.health->health == "down" ? Colour::red : Colour::none;
  if (!entry.health || detail == Detail::overview || entry.health->health == "unknown") {
    steps.push_back({.at = entry.at, .text = escaped(entry.text), .colour = colour});
    return;
  }
  const HealthChangeStatus& change = *entry.health;
  add_observations(change.observations, steps);
  const std::string verdict = fmt::format("=> {} ({})", escaped(change.health), rule_of(change));
  const bool same = !change.observations.empty() && change.observations.back().kind != "event" &&
                    (change.health == "up") == (change.observations.back().kind == "pass");
  if (same) {
    steps.back().text += "  " + verdict;
    steps.back().colour = colour;
  } else {
    steps.push_back({.at = entry.at, .text = fmt::format("{} {}", escaped(change.server), verdict), .colour = colour});
  }
}

std::string flip_phrase(const FlipStatus& flip) {
  const std::uint64_t cut = flip.cut.tcp + flip.cut.udp + flip.cut.sctp;
  std::string text = fmt::format("flip {} -> {} ({}), committed in {:g} ms; ", escaped(flip.from), escaped(flip.to), escaped(flip.why),
                                 static_cast<double>(flip.commit_us) / 1000);
  text += fmt::format("{} connection{} reset", cut, cut == 1 ? "" : "s");
  if (flip.nudged > 0) text += fmt::format(", {} client{} nudged", flip.nudged, flip.nudged == 1 ? "" : "s");
  if (flip.drained > 0) text += fmt::format(", {} drained", flip.drained);
  if (!flip.left)
    text += ", the rest not counted yet";
  else
    text += fmt::format(", {} left", *flip.left);
  if (flip.interrupted) return text + ", cut interrupted by a restart";
  return flip.cut_ms ? text : text + ", still cutting";
}

/// What a reload changed for the service: "down 3 in 10s -> 2 in 10s, ..."; empty: nothing that is known.
std::string changes_for(const HistoryEntry& reload, const std::string& service) {
  if (!reload.changes) return {};
  const auto change = std::ranges::find(*reload.changes, service, &ServicePlan::service);
  if (change == reload.changes->end()) return {};
  if (change->keys.empty()) return change->change;
  std::vector<std::string> keys;
  for (const KeyChange& key : change->keys) {
    if (keys.size() == keys_shown) break;
    const auto value = [](const std::string& text) { return text.empty() ? std::string{"(none)"} : escaped(text); };
    keys.push_back(fmt::format("{} {} -> {}", escaped(key.key), value(key.before), value(key.after)));
  }
  if (change->keys.size() > keys.size()) keys.push_back(fmt::format("{} more", change->keys.size() - keys.size()));
  return fmt::format("{}", fmt::join(keys, ", "));
}

std::string by_whom(const HistoryEntry& entry) { return entry.by.empty() ? "" : " by " + escaped(entry.by); }

std::string reload_phrase(const HistoryEntry& entry, const std::string& service) {
  if (!entry.reload) return escaped(entry.text); // refused
  const std::string changes = changes_for(entry, service);
  const bool touched_nothing = entry.reload->added + entry.reload->changed + entry.reload->removed == 0;
  return fmt::format("reload{}: {}", by_whom(entry),
                     !changes.empty()  ? fmt::format("{}: {}", escaped(service), changes)
                     : touched_nothing ? "no service changed"
                                       : fmt::format("nothing of {} changed", escaped(service)));
}

std::vector<Step> steps_of(const WhyReport& report, Detail detail) {
  std::vector<Step> steps;
  for (const HistoryEntry& entry : report.chain) {
    if (entry.kind == "health")
      add_health(entry, detail, steps);
    else if (entry.flip)
      steps.push_back(
          {.at = entry.at, .text = flip_phrase(*entry.flip), .colour = entry.flip->to == "none" ? Colour::red : Colour::yellow});
    else if (entry.kind == "reload")
      steps.push_back({.at = entry.at, .text = reload_phrase(entry, report.service)});
    else
      steps.push_back({.at = entry.at, .text = escaped(entry.text)});
  }
  if (detail == Detail::full) add_observations(report.pending, steps);
  std::ranges::stable_sort(steps, {}, &Step::at);
  if (detail == Detail::overview && steps.size() > steps_in_brief) steps.erase(steps.begin(), steps.end() - steps_in_brief);
  return steps;
}

std::string in_capitals(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

std::string head_of(const WhyReport& report, const View& view) {
  std::string text = escaped(report.service);
  if (report.status && !report.status->listen.empty()) text += fmt::format(" ({})", escaped(report.status->listen.front()));
  const bool now = !report.at;
  if (report.target.empty())
    text += now ? " has had no target" : fmt::format(": the history does not say where it was at {}", local_time(*report.at, view.now));
  else if (report.target == "none")
    text += now ? " has NO SERVER" : " had NO SERVER";
  else
    text += fmt::format(" {} at {}", now ? "is" : "was", in_capitals(escaped(report.target)));
  if (report.status && report.status->target_address) text += " " + escaped(*report.status->target_address);
  if (!now && !report.target.empty()) text += fmt::format(" at {}", local_time(*report.at, view.now));
  if (!report.since.empty()) text += fmt::format("{} since {}", now ? "" : ",", local_time(report.since, view.now));
  if (!report.why.empty()) text += fmt::format(" ({})", escaped(report.why));
  return text;
}

/// "Nothing else is known near it: last reload 14:55:02 by root, no override."
std::string rest_of(const WhyReport& report, const View& view) {
  const auto in_chain = [&](const char* kind) {
    return std::ranges::any_of(report.chain, [&](const auto& one) { return one.kind == kind; });
  };
  std::vector<std::string> parts;
  if (report.last_reload) {
    std::string text = fmt::format("last reload {}{}", local_time(report.last_reload->at, view.now), by_whom(*report.last_reload));
    if (const std::string changes = changes_for(*report.last_reload, report.service); !changes.empty())
      text += fmt::format(" ({})", changes);
    parts.push_back(text);
  } else if (!in_chain("reload")) {
    parts.emplace_back("no reload");
  }
  if (report.last_override)
    parts.push_back(
        fmt::format("last override {}: {}", local_time(report.last_override->at, view.now), escaped(report.last_override->text)));
  else if (!in_chain("override"))
    parts.emplace_back("no override");
  return parts.empty() ? "" : fmt::format("Nothing else is near it: {}.", fmt::join(parts, ", "));
}

void add_line(std::string& screen, const std::string& text, std::size_t hang, const View& view, Colour colour = Colour::none) {
  const Colorizer paint{view.colour};
  for (const std::string& line : wrapped(text, view.width, hang)) screen += paint(colour, line) + "\n";
}

} // namespace

std::string show_why(const WhyReport& report, Detail detail, const View& view) {
  constexpr std::size_t hang = 16;
  const std::vector<Step> steps = steps_of(report, detail);
  std::string screen;
  add_line(screen, head_of(report, view) + (steps.empty() ? "" : ", because"), 2, view, Colour::bold);
  std::string day = report.since.empty() ? std::string{} : local_day(parse_wall_time(report.since).value_or(view.now));
  for (const Step& step : steps) {
    const auto at = parse_wall_time(step.at);
    if (const std::string its_day = at ? local_day(*at) : day; its_day != day) screen += fmt::format("  {}\n", day = its_day);
    add_line(screen, fmt::format("  {}  {}", exact_clock(step.at), step.text), hang, view, step.colour);
  }
  if (detail == Detail::full) add_line(screen, rest_of(report, view), 2, view);
  if (report.status)
    for (const Notice& notice : notices(*report.status, view.now))
      if (notice.trouble || detail == Detail::full)
        add_line(screen, fmt::format("{} {}", notice.trouble ? "!!" : "! ", notice.text), 3, view,
                 notice.trouble ? Colour::red : Colour::none);
  return screen;
}

} // namespace hanat::cli
