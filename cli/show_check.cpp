// Counts first, then the worst of them as words, with the cause where one service has it, or all of them the same.
#include "cli/show_check.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "cli/listening.hpp"
#include "cli/notices.hpp"
#include "cli/show_peer.hpp"
#include "cli/text.hpp"
#include "cli/totals.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t named = 5;           // of the services in question
constexpr std::size_t longest_cause = 200; // bytes

/// Services with the same fault.
struct Concerned {
  std::vector<std::string> names = {};
  std::string cause = {}; // that all of them have; empty: they differ, or it is not known

  void add(const ServiceStatus& service, std::string why = {}) {
    names.push_back(escaped(service.name));
    if (names.size() == 1)
      cause = std::move(why);
    else if (cause != why)
      cause.clear();
  }
};

struct Counts {
  std::size_t services = 0, primary = 0, backup = 0, none = 0, starting = 0, forced = 0, servers_down = 0, nowhere = 0;
  std::size_t disabled = 0, drained = 0; // servers
  std::uint64_t clients = 0;             // that got no answer in the last minute
  Concerned unserved, unanswered, troubled, moved;
};

/// The first trouble in words, without "To end it:" and the like, which stands before a command.
std::string first_trouble(const std::vector<Notice>& all) {
  if (all.empty() || !all.front().trouble) return {};
  std::string text = all.front().text;
  if (text.ends_with(':')) text.resize(std::min(text.size(), text.rfind(". ")));
  return text;
}

/// "primary is down (refused), backup is disabled"
std::string states_of(const std::vector<ServerStatus>& servers) {
  std::string text;
  for (const ServerStatus& server : servers) {
    const std::string health = server.disabled ? "disabled"
                               : server.drains ? "drained"
                                               : escaped(server.group_health.value_or(server.health));
    const bool tells = health == "down" && server.last && server.last->outcome != "pass" && !server.last->reason.empty();
    text += fmt::format("{}{} is {}{}", text.empty() ? "" : ", ", escaped(server.role), health,
                        tells ? fmt::format(" ({})", escaped(server.last->reason)) : "");
  }
  return text;
}

std::string cause_unserved(const ServiceStatus& service, const std::vector<Notice>& all) {
  return service.why == "no-server-up" && !listens_nowhere(service) ? states_of(service.servers) : first_trouble(all);
}

std::string cause_unanswered(const ServiceStatus& service) {
  if (!service.path.findings.empty()) return escaped(service.path.findings.front().what);
  return "to find the cause: hanatctl doctor " + escaped(service.name);
}

Counts count(const Status& status, WallTime now) {
  Counts counts;
  for (const ServiceStatus& service : status.services) {
    ++counts.services;
    const bool starts = service.target == "none" && service.why == "starting";
    if (listens_nowhere(service)) ++counts.nowhere;
    ++(service.target == "primary" ? counts.primary : starts ? counts.starting : service.target == "none" ? counts.none : counts.backup);
    if (service.forced) ++counts.forced;
    for (const ServerStatus& server : service.servers) {
      if (server.health == "down") ++counts.servers_down;
      if (server.disabled)
        ++counts.disabled;
      else if (server.drains)
        ++counts.drained;
    }
    counts.clients += service.path.unanswered_clients;
    const auto all = notices(service, now);
    if (!is_served(service))
      counts.unserved.add(service, cause_unserved(service, all));
    else if (service.path.state == "unanswered")
      counts.unanswered.add(service, cause_unanswered(service));
    else if (std::ranges::any_of(all, &Notice::trouble))
      counts.troubled.add(service, first_trouble(all));
    else if (service.mode == "auto" && !service.forced && !starts && service.target != "primary" && service.why != "disabled" &&
             !is_moved_on_purpose(service))
      counts.moved.add(service);
  }
  return counts;
}

/// "web, mail and 3 more"
std::string names_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t index = 0; index < std::min(names.size(), named); ++index) text += (index == 0 ? "" : ", ") + names[index];
  return names.size() > named ? text + fmt::format(" and {} more", names.size() - named) : text;
}

/// On one line, without "|", behind which the figures stand, and not too long.
std::string shortly(std::string cause) {
  for (char& byte : cause) {
    if (byte == '|') byte = '/';
    if (static_cast<unsigned char>(byte) < ' ') byte = ' ';
  }
  if (cause.size() <= longest_cause) return cause;
  std::size_t end = longest_cause - 3;
  while (end > 0 && (static_cast<unsigned char>(cause[end]) & 0xC0U) == 0x80U) --end; // inside of a character
  return cause.substr(0, end) + "...";
}

/// ", 1 disabled server, 2 drained servers": why traffic is elsewhere although all is well.
std::string taken_out(const Counts& counts) {
  std::string text;
  if (counts.disabled > 0) text += ", " + plural(counts.disabled, "disabled server");
  if (counts.drained > 0) text += ", " + plural(counts.drained, "drained server");
  return text;
}

class Causes {
public:
  void add(Alarm alarm, std::string text) {
    worst_ = std::max(worst_, alarm);
    (alarm == Alarm::critical ? critical_ : warnings_) += (warnings_.empty() && critical_.empty() ? "" : "; ") + std::move(text);
  }
  void add_services(Alarm alarm, std::string_view what, const Concerned& services) {
    if (services.names.empty()) return;
    const std::string cause = services.cause.empty() ? "" : fmt::format(" ({})", shortly(services.cause));
    add(alarm, fmt::format("{}: {}{}", what, names_of(services.names), cause));
  }
  Alarm worst() const { return worst_; }
  std::string text() const { return critical_ + warnings_; }

private:
  Alarm worst_ = Alarm::ok;
  std::string critical_, warnings_;
};

} // namespace

CheckLine show_check(const Status& status, WallTime now) {
  const Counts counts = count(status, now);
  const DaemonStatus& daemon = status.daemon;
  Causes causes;
  if (daemon.kernel == "failed") causes.add(Alarm::critical, "the kernel refuses changes");
  for (const FindingStatus& found : daemon.findings) causes.add(Alarm::critical, escaped(found.what));
  causes.add_services(Alarm::critical, "clients not served", counts.unserved);
  causes.add_services(Alarm::critical, "clients get no answer", counts.unanswered);
  if (daemon.kernel == "repairing") causes.add(Alarm::warning, "the table is being repaired");
  if (daemon.inconclusive) causes.add(Alarm::warning, "servers cannot be probed: " + escaped(*daemon.inconclusive));
  if (daemon.fallback)
    causes.add(Alarm::warning, "an older configuration is in force");
  else if (daemon.reverted)
    causes.add(Alarm::warning, "a reload was not confirmed, and was taken back");
  else if (daemon.unconfirmed)
    causes.add(Alarm::warning, "the configuration is on trial");
  else if (daemon.reload_hangs)
    causes.add(Alarm::warning, "a reload waits for its files");
  else if (daemon.reload_refused)
    causes.add(Alarm::warning, "the last reload was refused");
  else if (daemon.config_stale)
    causes.add(Alarm::warning, "the configuration on disk is not in use");
  if (daemon.pair)
    for (const PeerCause& cause : peer_causes(*daemon.pair)) causes.add(cause.critical ? Alarm::critical : Alarm::warning, cause.text);
  causes.add_services(Alarm::warning, "trouble", counts.troubled);
  causes.add_services(Alarm::warning, "not at the primary", counts.moved);
  constexpr std::string_view words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
  std::string text = causes.text();
  if (text.empty()) text = totals_of(status) + taken_out(counts);
  text = fmt::format("{}: {} | services={} primary={} backup={} none={} starting={} forced={} servers_down={} unserved={} trouble={} "
                     "unanswered={} unanswered_clients={} nowhere={} disabled={}\n",
                     words[static_cast<std::size_t>(causes.worst())], text, counts.services, counts.primary, counts.backup, counts.none,
                     counts.starting, counts.forced, counts.servers_down, counts.unserved.names.size(), counts.troubled.names.size(),
                     counts.unanswered.names.size(), counts.clients, counts.nowhere, counts.disabled);
  return {.alarm = causes.worst(), .text = std::move(text)};
}

} // namespace hanat::cli
