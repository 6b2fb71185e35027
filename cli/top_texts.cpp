// Notices become a sentence and details; what is left of a remedy's introduction in one line is cut off.
#include "cli/top_texts.hpp"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/daemon_notices.hpp"
#include "cli/listening.hpp"
#include "cli/notices.hpp"
#include "cli/remedy.hpp"
#include "cli/show_history.hpp"
#include "cli/show_pair.hpp"
#include "cli/show_peer.hpp"
#include "cli/show_status.hpp"
#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using top::Line;
using top::Style;

top::Rank top_rank(const ServiceStatus& service, const std::vector<Notice>& all) {
  if (!is_served(service)) return top::Rank::unserved;
  if (all.empty()) return top::Rank::fine;
  return all.front().trouble ? top::Rank::trouble : top::Rank::note;
}

/// "forced to backup by root; no failover until it ends. To end it:" without its end, which a command would follow.
std::string without_introduction(std::string_view text) {
  if (text.ends_with(':'))
    if (const auto end = text.rfind(". "); end != std::string_view::npos) text = text.substr(0, end);
  return std::string{text};
}

std::string sentence_of(const ServiceStatus& service, const std::vector<Notice>& all) {
  if (!all.empty()) return without_introduction(all.front().text);
  const auto target = std::ranges::find(service.servers, service.target, &ServerStatus::role);
  const std::string last = target == service.servers.end() ? "" : ": " + show_last(target->last, target->fails);
  return escaped(service.why) + last;
}

void append_notice(std::vector<Line>& lines, const Notice& notice) {
  lines.push_back({.text = (notice.trouble ? "!! " : " ! ") + notice.text, .style = notice.trouble ? Style::bad : Style::note});
  for (const std::string& remedy : notice.remedies)
    for (std::string& line : remedy_lines(remedy, 0, 3)) lines.push_back({.text = std::move(line), .style = Style::bold});
}

Line server_line(const ServiceStatus& service, const ServerStatus& server, const top::Rates& rates) {
  const std::string state = server.recovering ? fmt::format("recovering: {}", show_recovery(*server.recovering)) : health_word(server);
  const bool down = server.health == "down" && !server.disabled && !server.recovering;
  const bool fine = server.health == "up" && !server.disabled;
  const auto rate = rates.find(server.role);
  const std::string flows = rate == rates.end() || rate->second <= 0 ? "" : fmt::format("  {} new flows/s", top::rate_text(rate->second));
  return {.text = fmt::format("{} {} {}  {}{}{}  {}", server.role == service.target ? "->" : "  ", escaped(server.role),
                              server.name ? with_name(escaped(server.address), *server.name) : escaped(server.address),
                              server.disabled ? "disabled, " : "", state, flows, show_last(server.last, server.fails)),
          .style = down   ? Style::bad
                   : fine ? Style::plain
                          : Style::note};
}

std::vector<Line> details_of(const ServiceStatus& service, const std::vector<Notice>& all, const top::Rates& rates, WallTime now) {
  std::vector<Line> lines;
  for (const Notice& notice : all) append_notice(lines, notice);
  for (const ServerStatus& server : service.servers) {
    lines.push_back(server_line(service, server, rates));
    for (const ProbeStatus& probe : server.probes)
      if (probe.health != "up")
        lines.push_back(
            {.text = fmt::format("     {}: {}, {}", escaped(probe.name), escaped(probe.health), show_last(probe.last, probe.fails))});
  }
  lines.push_back(
      {.text = fmt::format("   listens on {}; {} since {}", listening_on(service), escaped(service.why), local_time(service.since, now))});
  if (service.last_flip)
    lines.push_back({.text = fmt::format("   last flip {}: {}", local_time(service.last_flip->at, now), show_flip(*service.last_flip))});
  return lines;
}

} // namespace

top::Head top_head(const DaemonStatus& daemon, const std::string& host, WallTime now) {
  top::Head head{.title = fmt::format("{}hanatd {} up {}", host.empty() ? "" : host + "  ", daemon.version, duration(daemon.uptime_s))};
  if (daemon.pair) head.notices.push_back({.text = show_pair(*daemon.pair, View{.now = now}) + show_peer(*daemon.pair)});
  for (const Notice& notice : daemon_notices(daemon, now)) append_notice(head.notices, notice);
  return head;
}

top::Row top_row(const ServiceStatus& service, const top::Rates& rates, WallTime now) {
  const std::vector<Notice> all = notices(service, now);
  top::Row row{.name = service.name,
               .rank = top_rank(service, all),
               .target = service.target,
               .why = service.why,
               .since = parse_wall_time(service.since),
               .sentence = sentence_of(service, all),
               .details = details_of(service, all, rates, now),
               .group = service.group,
               .observed = service.mode == "observe"};
  for (const ServerStatus& server : service.servers)
    if (!server.former_since)
      row.servers.push_back(
          {.role = server.role, .address = server.address, .health = server.health, .disabled = server.disabled.has_value()});
  if (service.forced) row.forced = service.forced->target;
  for (const auto& [role, rate] : rates) row.flows_per_s = row.flows_per_s.value_or(0) + rate;
  return row;
}

top::Event top_event(const HistoryEntry& entry, WallTime now) {
  const bool is_flip = entry.kind == "flip" && entry.flip;
  const bool lost = is_flip && entry.flip->to == "none";
  return {.at = parse_wall_time(entry.at),
          .service = entry.service,
          .text = entry_text(entry, now),
          .style = lost      ? Style::bad
                   : is_flip ? Style::note
                             : Style::plain};
}

} // namespace hanat::cli
