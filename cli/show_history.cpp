// Turns history entries and flips into lines.
#include "cli/show_history.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {

std::string show_flip(const FlipStatus& flip) {
  std::string text = fmt::format("{} -> {}, {}; committed in {} us; cut {} tcp, {} udp, {} sctp", escaped(flip.from), escaped(flip.to),
                                 escaped(flip.why), flip.commit_us, flip.cut.tcp, flip.cut.udp, flip.cut.sctp);
  text += flip.cut_ms        ? fmt::format(" in {:.1f} ms", *flip.cut_ms)
          : flip.interrupted ? ", cut interrupted by a restart"
                             : ", still cutting";
  if (flip.nudged > 0) text += fmt::format("; nudge sent to {} client{}", flip.nudged, flip.nudged == 1 ? "" : "s");
  if (flip.drained > 0) text += fmt::format("; {} ended by themselves", flip.drained);
  return text;
}

namespace {

/// "2026-01-31": the day of an entry, in local time; empty: it has no time.
std::string day_of(const HistoryEntry& entry) {
  const auto at = parse_wall_time(entry.at);
  return at ? local_day(*at) : std::string{};
}

std::string what_of(const HistoryEntry& entry, WallTime now) {
  std::string text = entry.flip ? show_flip(*entry.flip) : escaped(entry.text);
  if (entry.until) text += fmt::format("; until {}", local_time(*entry.until, now));
  return text;
}

} // namespace

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
    const bool lost = entry.flip && entry.flip->to == "none";
    const auto at = parse_wall_time(entry.at);
    const std::string begin = fmt::format("{}  {:<{}}  ", at ? local_clock(*at) : escaped(entry.at), escaped(entry.service), name);
    for (const std::string& line : wrapped(begin + what_of(entry, view.now), view.width, std::min<std::size_t>(begin.size(), 20)))
      text += paint(lost ? Colour::red : entry.flip ? Colour::yellow : Colour::none, line) + "\n";
  }
  return text;
}

std::string show_history(const std::vector<HistoryEntry>& history, const View& view) {
  std::string day;
  return history.empty() ? "nothing has happened yet\n" : show_history(history, view, day);
}

} // namespace hanat::cli
