// Lines of a time and what happened then.
#include "cli/show_why.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/notices.hpp"
#include "cli/remedy.hpp"
#include "cli/show_history.hpp"
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
  if (event.reason == "pending") return fmt::format("clients wait for an answer from {}", server);
  if (event.reason == "unaccepted") return fmt::format("clients wait for {} to accept them", server);
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
  if (change.health == "up" && change.within_s == 0) return fmt::format("rule: {} pass{}", change.of, change.of == 1 ? "" : "es");
  if (change.health == "up") return fmt::format("rule: {} passes over {:g} s", change.of, change.within_s);
  return fmt::format("rule: {} in {:g} s", change.of, change.within_s);
}

void add_health(const HistoryEntry& entry, Detail detail, std::vector<Step>& steps) {
  const Colour colour = entry.health && entry.health->health == "down" ? Colour::red : Colour::none;
  const bool is_brief = detail == Detail::overview || !entry.health || entry.health->observations.empty();
  if (is_brief || entry.health->health == "unknown") {
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
  if (!entry.reload) return escaped(entry.text);
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
      steps.push_back({.at = entry.at,
                       .text = "flip " + show_flip(*entry.flip, entry.from_address, entry.to_address),
                       .colour = entry.flip->to == "none" ? Colour::red : Colour::yellow});
    else if (entry.kind == "reload")
      steps.push_back({.at = entry.at, .text = reload_phrase(entry, report.service)});
    else
      steps.push_back({.at = entry.at, .text = escaped(text_of(entry))});
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

/// Of the target, as status has it now or the last flip had it then; empty: not known.
std::string address_of(const WhyReport& report) {
  if (report.status) return report.status->target_address.value_or("");
  for (auto entry = report.chain.rbegin(); entry != report.chain.rend(); ++entry)
    if (entry->flip) return entry->to_address;
  return {};
}

/// Changes of target in the time that was asked for.
std::size_t moves_in(const WhyReport& report) {
  if (report.from.empty()) return 0;
  return static_cast<std::size_t>(
      std::ranges::count_if(report.chain, [&](const HistoryEntry& entry) { return entry.flip && entry.at >= report.from; }));
}

std::string head_then(const WhyReport& report, const std::string& at, const View& view) {
  const std::string name = escaped(report.service), then = local_time(at, view.now);
  if (report.target.empty()) {
    const std::string known = report.known_from.empty() ? "" : "; its first entry is of " + local_time(report.known_from, view.now);
    return fmt::format("{}: the history does not say where it was at {}{}", name, then, known);
  }
  const std::string place = report.target == "none" ? "had NO SERVER" : "was at " + in_capitals(escaped(report.target));
  const std::string address = address_of(report), why = report.why.empty() ? "" : fmt::format(" ({})", escaped(report.why));
  const std::string where = address.empty() ? place : fmt::format("{} {}", place, escaped(address));
  if (const std::size_t moves = moves_in(report); moves > 1)
    return fmt::format("{} moved {} times from {} to {}, and then {}{}", name, moves, local_time(report.from, view.now), then, where, why);
  const std::string since = report.since.empty() ? "" : fmt::format(", since {}", local_time(report.since, view.now));
  return fmt::format("{} {} at {}{}{}", name, where, then, since, why);
}

/// Nothing is at a target of hanatd's: the chain tells how it came to where it would send connections.
std::string observed_head(const ServiceStatus& service) {
  const std::string target = escaped(service.would_target.value_or("none")), why = escaped(service.would_why.value_or(""));
  const std::string begin = fmt::format("is only observed: {}. hanat ", observed_now(service));
  if (target == "none")
    return begin + (why == "starting" ? "has not decided yet where it would go" : fmt::format("would turn clients away ({})", why));
  const auto server = std::ranges::find(service.servers, service.would_target, &ServerStatus::role);
  const std::string address = server == service.servers.end() ? "" : " " + escaped(server->address);
  return fmt::format("{}would send new connections to {}{} ({})", begin, in_capitals(target), address, why);
}

std::string head_now(const WhyReport& report, const View& view) {
  std::string text = escaped(report.service);
  if (report.status && !report.status->listen.empty()) text += fmt::format(" ({})", escaped(report.status->listen.front()));
  if (report.status && report.status->mode == "observe") return fmt::format("{} {}", text, observed_head(*report.status));
  text += report.target.empty()     ? " has had no target"
          : report.target == "none" ? " has NO SERVER"
                                    : " is at " + in_capitals(escaped(report.target));
  if (const std::string address = address_of(report); !address.empty()) text += " " + escaped(address);
  if (!report.since.empty()) text += fmt::format(" since {}", local_time(report.since, view.now));
  return report.why.empty() ? text : fmt::format("{} ({})", text, escaped(report.why));
}

/// "Besides: last reload 14:55:02 by root, no override."
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
  return parts.empty() ? "" : fmt::format("Besides: {}.", fmt::join(parts, ", "));
}

void add_line(std::string& screen, const std::string& text, std::size_t hang, const View& view, Colour colour = Colour::none) {
  const Colorizer paint{view.colour};
  for (const std::string& line : wrapped(text, view.width, hang)) screen += paint(colour, line) + "\n";
}

void add_notice(std::string& screen, const Notice& notice, const View& view) {
  add_line(screen, fmt::format("{} {}", notice.trouble ? "!!" : "! ", notice.text), 3, view, notice.trouble ? Colour::red : Colour::none);
  for (const std::string& remedy : notice.remedies)
    for (const std::string& line : remedy_lines(remedy, view.width, 3)) screen += Colorizer{view.colour}(Colour::bold, line) + "\n";
}

} // namespace

std::string show_why(const WhyReport& report, Detail detail, const View& view) {
  constexpr std::size_t hang = 16;
  const std::vector<Step> steps = steps_of(report, detail);
  std::string screen;
  const std::string head = report.at ? head_then(report, *report.at, view) : head_now(report, view);
  add_line(screen, head + (steps.empty() ? "" : ", because"), 2, view, Colour::bold);
  if (report.omitted > 0) add_line(screen, fmt::format("  ({} more, older, are left out)", report.omitted), 2, view);
  std::string day = report.since.empty() ? std::string{} : local_day(parse_wall_time(report.since).value_or(view.now));
  for (const Step& step : steps) {
    const auto at = parse_wall_time(step.at);
    if (const std::string its_day = at ? local_day(*at) : day; its_day != day) screen += fmt::format("  {}\n", day = its_day);
    add_line(screen, fmt::format("  {}  {}", exact_clock(step.at), step.text), hang, view, step.colour);
  }
  if (detail == Detail::full) add_line(screen, rest_of(report, view), 2, view);
  if (report.status)
    for (const Notice& notice : notices(*report.status, view.now))
      if (notice.trouble || (detail == Detail::full && !notice.text.starts_with(observe_words))) // the head has said that
        add_notice(screen, notice, view);
  return screen;
}

} // namespace hanat::cli
