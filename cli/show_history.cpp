// Turns history entries and flips into lines.
#include "cli/show_history.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {

std::string place_of(const std::string& role, const std::string& address) {
  if (address.empty()) return escaped(role);
  return role == "none" ? escaped(address) + " (no longer configured)" : fmt::format("{} {}", escaped(role), escaped(address));
}

std::string show_flip(const FlipStatus& flip, const std::string& from_address, const std::string& to_address) {
  std::string text = fmt::format("{} -> {}, {}; committed in {} us", place_of(flip.from, from_address), place_of(flip.to, to_address),
                                 escaped(flip.why), flip.commit_us);
  std::string cut;
  for (const auto& [number, protocol] : {std::pair{flip.cut.tcp, "tcp"}, std::pair{flip.cut.udp, "udp"}, std::pair{flip.cut.sctp, "sctp"}})
    if (number > 0) cut += fmt::format("{}{} {}", cut.empty() ? "; cut " : ", ", number, protocol);
  if (!cut.empty() && flip.cut_ms) cut += fmt::format(" in {:.1f} ms", *flip.cut_ms);
  text += cut;
  if (!flip.cut_ms) text += flip.interrupted ? "; a restart interrupted the cut" : cut.empty() ? "; looking for flows to cut" : " so far";
  if (flip.nudged > 0) text += fmt::format("; nudge sent to {}", plural(flip.nudged, "client"));
  if (flip.drained > 0) text += fmt::format("; {} ended by themselves", flip.drained);
  if (flip.left && *flip.left > 0) text += fmt::format("; {} left", plural(*flip.left, "old flow"));
  return text;
}

std::string_view text_of(const HistoryEntry& entry) {
  const std::string_view text = entry.text;
  return entry.kind == "override" ? text.substr(0, text.find("; no failover until")) : text;
}

namespace {

/// "2026-01-31": the day of an entry, in local time; empty: it has no time.
std::string day_of(const HistoryEntry& entry) {
  const auto at = parse_wall_time(entry.at);
  return at ? local_day(*at) : std::string{};
}

} // namespace

std::string entry_text(const HistoryEntry& entry, WallTime now) {
  const bool is_flip = entry.kind == "flip" && entry.flip;
  std::string text = is_flip ? show_flip(*entry.flip, entry.from_address, entry.to_address) : escaped(text_of(entry));
  if (entry.kind == "cut" && entry.flip && entry.flip->nudged > 0)
    text += fmt::format("; nudge sent to {}", plural(entry.flip->nudged, "client"));
  if (entry.until) text += fmt::format("; until {}", local_time(*entry.until, now));
  return text;
}

std::string show_history(const std::vector<HistoryEntry>& history, const View& view, std::string& day) {
  if (history.empty()) return {};
  const Colorizer paint{view.colour};
  std::size_t name = 0;
  for (const auto& entry : history) name = std::max(name, escaped(entry.service).size());
  std::string text;
  for (const auto& entry : history) {
    if (const std::string its_day = day_of(entry); its_day != day) {
      const auto at = parse_wall_time(entry.at);
      text += paint(Colour::bold, fmt::format("{} ({})", its_day, at ? zone_name(*at) : "?")) + "\n";
      day = its_day;
    }
    const bool is_flip = entry.kind == "flip" && entry.flip;
    const bool lost = is_flip && entry.flip->to == "none";
    const auto at = parse_wall_time(entry.at);
    const std::string begin = fmt::format("{}  {:<{}}  ", at ? local_clock(*at) : escaped(entry.at), escaped(entry.service), name);
    for (const std::string& line : wrapped(begin + entry_text(entry, view.now), view.width, std::min<std::size_t>(begin.size(), 20)))
      text += paint(lost ? Colour::red : is_flip ? Colour::yellow : Colour::none, line) + "\n";
  }
  return text;
}

std::string show_history(const std::vector<HistoryEntry>& history, const View& view) {
  std::string day;
  return history.empty() ? "nothing has happened yet\n" : show_history(history, view, day);
}

} // namespace hanat::cli
