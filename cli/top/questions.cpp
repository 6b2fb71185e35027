// A question begins with what would be done, to which service and which server; then comes what that means for clients.
#include "cli/top/questions.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>

namespace hanat::cli::top {
namespace {

constexpr const char* browsing_keys = "q quit  ? help  / filter  f force  a auto  d disable  e enable";
constexpr const char* any_key = "any key: back";

std::string place_of_server(const Row* row, const std::string& role) {
  if (row != nullptr)
    if (const auto found = std::ranges::find(row->servers, role, &Server::role); found != row->servers.end())
      return fmt::format("{} ({})", role, found->address);
  return role;
}

std::string health_of_server(const Row* row, const std::string& role) {
  if (row == nullptr) return {};
  const auto found = std::ranges::find(row->servers, role, &Server::role);
  return found == row->servers.end() ? std::string{} : found->health;
}

/// "41 connections of primary", "connections of primary"
std::string connections_of(const std::string& role, const std::optional<Standing>& standing) {
  if (!standing || !standing->failure.empty()) return "connections of " + role;
  const auto found = standing->live.find(role);
  const std::uint64_t number = found == standing->live.end() ? 0 : found->second;
  return fmt::format("{} connection{} of {}", number, number == 1 ? "" : "s", role);
}

/// What becomes of those that stand when planned work moves the traffic. `begin`: "The", or "When it moves, the".
std::string what_becomes_of(std::string_view begin, const std::string& role, const std::optional<Standing>& standing) {
  const std::string which = fmt::format("{} {}", begin, connections_of(role, standing));
  if (!standing) return which + " are being counted; they do what on_forced says.";
  if (standing->on_forced.empty()) return fmt::format("{} do what on_forced says; hanatd did not tell: {}", which, standing->failure);
  const auto live = standing->live.find(role);
  const std::uint64_t number = live == standing->live.end() ? 0 : live->second;
  if (standing->failure.empty() && number == 0) return role + " has no connections now.";
  const bool one = standing->failure.empty() && number == 1;
  if (standing->on_forced == "reset") return fmt::format("{} {} RESET at once (on_forced).", which, one ? "is" : "are");
  if (standing->on_forced == "keep")
    return fmt::format("{} {} until {} by {} (on_forced).", which, one ? "stays" : "stay", one ? "it ends" : "they end",
                       one ? "itself" : "themselves");
  const std::string time = standing->on_forced.substr(std::min(standing->on_forced.size(), std::string_view{"drain "}.size()));
  return fmt::format("{} {} on; what is left after {} is cut (on_forced).", which, one ? "goes" : "go", time);
}

void add_common(Panel& panel, const Row* row) {
  if (row == nullptr) return;
  if (row->group) panel.lines.push_back({"Every service of group " + *row->group + " moves with it.", Style::note});
  if (row->observed) panel.lines.push_back({"Its mode is observe: hanatd moves no traffic.", Style::note});
}

void ask_force(Panel& panel, const Change& change, const std::optional<Standing>& standing, const Row* row) {
  panel.lines.push_back({fmt::format("Force {} to {}?", change.service, place_of_server(row, change.server)), Style::bold});
  const std::string health = health_of_server(row, change.server);
  if (health == "down") panel.lines.push_back({change.server + " is DOWN: hanatd refuses that.", Style::bad});
  if (health == "unknown") panel.lines.push_back({"It is not known whether " + change.server + " is up.", Style::note});
  if (row != nullptr && row->target == change.server) {
    panel.lines.push_back({change.server + " has the traffic already, and keeps it until auto (key a): NO FAILOVER meanwhile."});
  } else {
    panel.lines.push_back({fmt::format("New connections go to {} at once, until auto (key a): NO FAILOVER meanwhile.", change.server)});
    if (row != nullptr && row->target != "none") panel.lines.push_back({what_becomes_of("The", row->target, standing)});
  }
  add_common(panel, row);
}

void ask_release(Panel& panel, const Change& change, const std::optional<Standing>& standing, const Row* row) {
  const std::string forced = row != nullptr && row->forced ? *row->forced : "its server";
  panel.lines.push_back({fmt::format("End the override of {} to {}?", change.service, place_of_server(row, forced)), Style::bold});
  panel.lines.push_back({"hanatd decides again: failover is on, and the traffic goes back as failback says."});
  if (row != nullptr && row->target != "none") panel.lines.push_back({what_becomes_of("When it moves, the", row->target, standing)});
  add_common(panel, row);
}

void ask_disable(Panel& panel, const Change& change, const std::optional<Standing>& standing, const Row* row) {
  panel.lines.push_back({fmt::format("Disable {} of {}?", place_of_server(row, change.server), change.service), Style::bold});
  panel.lines.push_back({"It is not chosen any more, by no failover and no failback, until it is enabled (key e)."});
  if (row != nullptr && row->target == change.server) {
    panel.lines.push_back({"It has the traffic: new connections go to the next server that is up."});
    panel.lines.push_back({what_becomes_of("The", change.server, standing)});
  } else {
    panel.lines.push_back({"It does not have the traffic: no connection moves."});
  }
  add_common(panel, row);
}

void ask_enable(Panel& panel, const Change& change, const std::optional<Standing>& standing, const Row* row) {
  panel.lines.push_back({fmt::format("Enable {} of {}?", place_of_server(row, change.server), change.service), Style::bold});
  panel.lines.push_back({"It may be chosen again. When it has the traffic again, failback says."});
  if (row != nullptr && row->target != "none" && row->target != change.server)
    panel.lines.push_back({what_becomes_of("When it moves, the", row->target, standing)});
  add_common(panel, row);
}

Panel panel_in(const Confirming& mode, const Listing& list) {
  Panel panel{.lines = {}, .keys = "y: do it   any other key: leave it"};
  const Row* const row = list.find(mode.change.service);
  switch (mode.change.kind) {
  case Change::Kind::force: ask_force(panel, mode.change, mode.standing, row); break;
  case Change::Kind::release: ask_release(panel, mode.change, mode.standing, row); break;
  case Change::Kind::disable: ask_disable(panel, mode.change, mode.standing, row); break;
  case Change::Kind::enable: ask_enable(panel, mode.change, mode.standing, row); break;
  }
  return panel;
}

const char* verb_of(Change::Kind kind) {
  switch (kind) {
  case Change::Kind::force: return "Force";
  case Change::Kind::release: return "Release";
  case Change::Kind::disable: return "Disable";
  case Change::Kind::enable: return "Enable";
  }
  return "";
}

Panel panel_in(const Choosing& mode, const Listing& list) {
  Panel panel{.lines = {}, .keys = fmt::format("1-{}: this server   any other key: back", mode.servers.size())};
  const bool force = mode.kind == Change::Kind::force;
  panel.lines.push_back({force ? fmt::format("Force {} to which server?", mode.service)
                               : fmt::format("{} which server of {}?", verb_of(mode.kind), mode.service),
                         Style::bold});
  const Row* const row = list.find(mode.service);
  for (std::size_t index = 0; index < mode.servers.size(); ++index) {
    const Server& server = mode.servers[index];
    const bool target = row != nullptr && row->target == server.role;
    panel.lines.push_back({fmt::format("{}  {} {} ({}{}{})", index + 1, server.role, server.address, server.health,
                                       server.disabled ? ", disabled" : "", target ? ", has the traffic" : "")});
  }
  return panel;
}

Panel panel_in(const Helping&, const Listing&) {
  Panel panel{.lines = {}, .keys = any_key};
  panel.lines.push_back({"What the keys do", Style::bold});
  for (const char* const line : {"arrows, j k: to another service", "PageUp PageDown Home End: further", "/: only services with this text",
                                 "f: force to a server; no failover then", "a: auto, end an override", "d: disable a server   e: enable it",
                                 "?: this help   q: quit", "f a d e ask first; only y does it.", "!! trouble   ! to be known   > selected",
                                 "SINCE: for how long the target is that", "More: man hanatctl"})
    panel.lines.push_back({line});
  return panel;
}

Panel panel_in(const Waiting& mode, const Listing&) {
  const std::string server = mode.change.server.empty() ? "" : " " + mode.change.server;
  return {.lines = {{fmt::format("{} {}{}: hanatd is asked ...", verb_of(mode.change.kind), mode.change.service, server), Style::bold}},
          .keys = "Escape: do not wait for the answer"};
}

Panel panel_in(const Answered& mode, const Listing&) {
  Panel panel{.lines = {{mode.answer.done ? "Done." : "NOT DONE.", mode.answer.done ? Style::good : Style::bad}}, .keys = any_key};
  std::string_view rest = mode.answer.text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    panel.lines.push_back({std::string{rest.substr(0, end)}});
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return panel;
}

Panel panel_in(const Browsing&, const Listing&) { return {.lines = {}, .keys = browsing_keys}; }
Panel panel_in(const Filtering&, const Listing&) { return {.lines = {}, .keys = "Enter: keep it   Escape: as before"}; }

} // namespace

Panel panel_of(const Mode& mode, const Listing& list) {
  return std::visit([&](const auto& current) { return panel_in(current, list); }, mode);
}

} // namespace hanat::cli::top
