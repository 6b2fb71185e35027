// Counts first, then the worst of them as words.
#include "cli/show_check.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "cli/listening.hpp"
#include "cli/notices.hpp"
#include "cli/show_peer.hpp"
#include "cli/totals.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t named = 5; // of the services in question

struct Counts {
  std::size_t services = 0, primary = 0, backup = 0, none = 0, starting = 0, forced = 0, servers_down = 0, nowhere = 0;
  std::uint64_t clients = 0;                                      // that got no answer in the last minute
  std::vector<std::string> unserved, unanswered, troubled, moved; // by name
};

Counts count(const Status& status, WallTime now) {
  Counts counts;
  for (const ServiceStatus& service : status.services) {
    ++counts.services;
    const bool starts = service.target == "none" && service.why == "starting";
    if (listens_nowhere(service)) ++counts.nowhere;
    ++(service.target == "primary" ? counts.primary : starts ? counts.starting : service.target == "none" ? counts.none : counts.backup);
    if (service.forced) ++counts.forced;
    for (const ServerStatus& server : service.servers)
      if (server.health == "down") ++counts.servers_down;
    counts.clients += service.path.unanswered_clients;
    const auto all = notices(service, now);
    if (!is_served(service))
      counts.unserved.push_back(escaped(service.name));
    else if (service.path.state == "unanswered")
      counts.unanswered.push_back(escaped(service.name));
    else if (std::ranges::any_of(all, &Notice::trouble))
      counts.troubled.push_back(escaped(service.name));
    else if (service.mode == "auto" && !service.forced && !starts && service.target != "primary" && service.why != "disabled" &&
             !is_moved_on_purpose(service))
      counts.moved.push_back(escaped(service.name));
  }
  return counts;
}

/// "web, mail and 3 more"
std::string names_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t index = 0; index < std::min(names.size(), named); ++index) text += (index == 0 ? "" : ", ") + names[index];
  return names.size() > named ? text + fmt::format(" and {} more", names.size() - named) : text;
}

class Causes {
public:
  void add(Alarm alarm, std::string text) {
    worst_ = std::max(worst_, alarm);
    (alarm == Alarm::critical ? critical_ : warnings_) += (warnings_.empty() && critical_.empty() ? "" : "; ") + std::move(text);
  }
  void add_services(Alarm alarm, std::string_view what, const std::vector<std::string>& names) {
    if (!names.empty()) add(alarm, fmt::format("{}: {}", what, names_of(names)));
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
  if (text.empty()) text = totals_of(status);
  text = fmt::format("{}: {} | services={} primary={} backup={} none={} starting={} forced={} servers_down={} unserved={} trouble={} "
                     "unanswered={} unanswered_clients={} nowhere={}\n",
                     words[static_cast<std::size_t>(causes.worst())], text, counts.services, counts.primary, counts.backup, counts.none,
                     counts.starting, counts.forced, counts.servers_down, counts.unserved.size(), counts.troubled.size(),
                     counts.unanswered.size(), counts.clients, counts.nowhere);
  return {.alarm = causes.worst(), .text = std::move(text)};
}

} // namespace hanat::cli
