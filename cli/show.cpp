// The overview first, since it fits on a screen; then the servers.
#include "cli/show.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t all_in_detail = 20; // with more services, only those with a notice are shown with their servers

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ", ") + escaped(item);
  return text;
}

std::string address_of(const ServerStatus& server) { return server.addresses.empty() ? escaped(server.address) : joined(server.addresses); }

const ServerStatus* find_server(const ServiceStatus& service, std::string_view role) {
  const auto found =
      std::find_if(service.servers.begin(), service.servers.end(), [&](const ServerStatus& server) { return server.role == role; });
  return found == service.servers.end() ? nullptr : &*found;
}

/// A server that is down, or full, for one service of the group is so for all of them.
bool worse_in_group(const ServerStatus& server) {
  return (server.group_health == "down" || server.group_health == "full") && server.health != server.group_health;
}
std::string_view health_of(const ServerStatus& server) { return worse_in_group(server) ? *server.group_health : server.health; }

/// "passes 3.1 of 5 s", "1 of 2 passes"
std::string show_recovery(const RecoveringStatus& recovering) {
  if (recovering.passes < recovering.of) return fmt::format("{} of {} passes", recovering.passes, recovering.of);
  return fmt::format("passes {:.1f} of {:g} s", std::min(recovering.for_s, recovering.stable_for_s), recovering.stable_for_s);
}

/// It has passed often enough to get the traffic at once when the target fails.
bool takes_over(const ServiceStatus& service, const ServerStatus& server) {
  return server.recovering && server.recovering->passes >= server.recovering->of && (!service.group || service.failback.to == server.role);
}

/// "backup2 is down (refused)", "backup is full (53300 sorry, too many clients already)"
std::string state_of(const ServerStatus& server) {
  if (worse_in_group(server))
    return fmt::format("{} is {} here, but {} in the group", escaped(server.role), escaped(server.health), escaped(*server.group_health));
  if (server.recovering) return fmt::format("{} is recovering ({})", escaped(server.role), show_recovery(*server.recovering));
  std::string reason;
  if (server.health == "down" && server.last && server.last->outcome != "pass") reason = server.last->reason;
  if (server.health == "full" && server.last && server.last->outcome == "full") reason = server.last->detail;
  return fmt::format("{} is {}{}", escaped(server.role), escaped(server.health),
                     reason.empty() ? "" : fmt::format(" ({})", escaped(reason)));
}

Notice notice_observe(const ServiceStatus& service) {
  std::string text = "observe: hanatd decides and logs, but does not touch traffic";
  const std::string target = escaped(service.would_target.value_or(""));
  const std::string why = escaped(service.would_why.value_or(""));
  if (why == "starting")
    text += "; it has not decided yet";
  else if (why == "no-server-up")
    text += "; it would turn clients away: no server is up";
  else if (target == service.target)
    text += fmt::format("; it would leave new connections on {} ({})", target, why);
  else if (!target.empty())
    text += fmt::format("; it would send new connections to {} ({})", target, why);
  return {false, std::move(text)};
}

Notice notice_forced(const ServiceStatus& service, const ForcedStatus& forced, WallTime now) {
  const auto* const server = find_server(service, forced.target);
  const bool down = server != nullptr && server->health == "down";
  std::string text = fmt::format("forced to {}{} by {}", escaped(forced.target), down ? ", WHICH IS DOWN," : "", escaped(forced.by));
  if (forced.until) {
    text += fmt::format(" until {}", local_time(*forced.until, now));
    if (const auto until = parse_wall_time(*forced.until); until && *until > now)
      text += fmt::format(" (in {})", duration(std::chrono::duration<double>(*until - now).count()));
  }
  if (!forced.reason.empty()) text += fmt::format(": \"{}\"", escaped(forced.reason));
  if (service.mode == "observe")
    text += fmt::format("; it has no effect until mode is auto again; to end it: hanatctl auto {}", escaped(service.name));
  else
    text += fmt::format("; {}: hanatctl auto {}", down ? "clients are not served; to end it" : "no failover until it ends",
                        escaped(service.name));
  return {down, std::move(text)};
}

std::optional<Notice> notice_target(const ServiceStatus& service) {
  if (service.why == "full-kept")
    return Notice{true, fmt::format("{} is full, and no other server may take over: it keeps the traffic", escaped(service.target))};
  if (service.why == "no-server-up-kept")
    return Notice{true, fmt::format("no server is up: {} keeps the traffic (on_none = \"keep\")", escaped(service.target))};
  if (service.why == "no-server-up")
    return Notice{true, service.group ? fmt::format("no server is up for all of group {}: clients are turned away until one is",
                                                    escaped(*service.group))
                                      : "no server is up: clients are turned away until one is"};
  if (service.mode == "observe" && service.target == "none")
    return Notice{false, service.target_address
                             ? fmt::format("the kernel sends its traffic to {}, which is no server of this configuration",
                                           escaped(*service.target_address))
                             : "the kernel has no target for it, and hanatd sets none"};
  if (service.target == "none")
    return Notice{false, "nothing is decided yet: new connections are dropped until the first server is known to be up or down"};
  const auto* const server = find_server(service, service.target);
  if (server != nullptr && (health_of(*server) == "full" || (server->health == "down" && !service.forced)))
    return Notice{true, fmt::format("{} has the traffic and is {}", escaped(service.target), escaped(health_of(*server)))};
  return std::nullopt;
}

/// Old flows that are still at their old server: what happens to them, and when.
Notice notice_draining(const DrainingStatus& draining) {
  const std::string server = fmt::format("{} ({})", escaped(draining.server), escaped(draining.address));
  const std::string left = draining.left ? fmt::format("{} old flow{}", *draining.left, *draining.left == 1 ? "" : "s")
                                         : std::string{"old flows, not counted yet,"};
  const std::string ended = draining.drained > 0 ? fmt::format("; {} have ended by themselves", draining.drained) : "";
  if (!draining.ends_in_s) return {false, fmt::format("{} on {}: kept until they end{}", left, server, ended)};
  return {false, fmt::format("draining: {} on {}; the rest is cut in {}{}", left, server, duration(*draining.ends_in_s), ended)};
}

/// Somebody else's rule takes clients of the service.
Notice notice_foreign(const ForeignStatus& foreign) {
  return {false,
          fmt::format("{} flow{} of {} {} at {}, where hanat sends no clients: another rule does; see nft list ruleset", foreign.flows,
                      foreign.flows == 1 ? "" : "s", escaped(foreign.listen), foreign.flows == 1 ? "is" : "are", escaped(foreign.server))};
}

/// The servers that do not have the traffic: is one of them up, so that failover is possible?
std::optional<Notice> notice_others(const ServiceStatus& service) {
  std::string bad;
  bool other_up = false, takes_over_soon = false, any_down = false, any_full = false;
  for (const auto& server : service.servers) {
    if (server.role == service.target) continue;
    if (health_of(server) == "up") {
      other_up = true;
      continue;
    }
    takes_over_soon = takes_over_soon || takes_over(service, server);
    any_down = any_down || health_of(server) == "down";
    any_full = any_full || health_of(server) == "full";
    bad += (bad.empty() ? "" : ", ") + state_of(server);
  }
  if (bad.empty()) return std::nullopt;
  if (other_up || service.target == "none" || service.why == "no-server-up-kept") return Notice{false, bad};
  if (takes_over_soon) return Notice{false, fmt::format("{}; it takes over at once if {} fails", bad, escaped(service.target))};
  return Notice{any_down || any_full,
                fmt::format("{}: {}; nothing {}to fail over to", any_down || any_full ? "redundancy lost" : "no redundancy yet", bad,
                            any_full ? "with room " : "")};
}

/// That the configuration in use is not what the operator wrote; empty: it is.
std::string show_config(const DaemonStatus& daemon, const Colorizer& paint, WallTime now) {
  if (const auto& refused = daemon.reload_refused)
    return paint(Colour::red,
                 fmt::format(
                     "!! the last reload was refused ({}, by {}), and the old configuration stays in force: {} error{}, the first: {}",
                     local_time(refused->at, now), escaped(refused->by), refused->errors, refused->errors == 1 ? "" : "s",
                     escaped(refused->first))) +
           "\n";
  if (!daemon.config_stale) return {};
  const std::string loaded = daemon.config_loaded_at ? ", which was loaded at " + local_time(*daemon.config_loaded_at, now) : "";
  return paint(Colour::yellow,
               fmt::format(" ! the configuration on disk is not the one in use{}: hanatctl check, then hanatctl reload", loaded)) +
         "\n";
}

/// The way back that only the operator can open.
std::optional<Notice> notice_failback(const ServiceStatus& service) {
  if (service.failback.waits_for != "operator" || !service.failback.to) return std::nullopt;
  const auto* const server = find_server(service, *service.failback.to);
  if (server == nullptr || server->recovering) return std::nullopt;
  const std::string name = escaped(service.name), role = escaped(*service.failback.to);
  const std::string force = role == "primary" ? "force-primary " + name : fmt::format("force-backup {} --server {}", name, role);
  return Notice{false, fmt::format("{} is up; failback is manual: hanatctl {}, then hanatctl auto {}", role, force, name)};
}

std::string show_daemon(const DaemonStatus& daemon, const Colorizer& paint, WallTime now) {
  const bool in_sync = daemon.kernel == "in-step";
  std::string text =
      fmt::format("hanatd{} (pid {}), up {}, kernel {}, {}\n", daemon.version.empty() ? "" : " " + escaped(daemon.version), daemon.pid,
                  duration(daemon.uptime_s), in_sync ? "in sync" : escaped(daemon.kernel), escaped(daemon.config));
  if (!in_sync) {
    const auto error = daemon.kernel_error ? ": " + escaped(*daemon.kernel_error) : std::string{};
    text += paint(Colour::red, fmt::format("!! the kernel is not in sync with hanatd's decisions ({}){}; hanatd tries again",
                                           escaped(daemon.kernel), error)) +
            "\n";
  }
  if (daemon.fallback) text += paint(Colour::red, fmt::format("!! {}", escaped(*daemon.fallback))) + "\n";
  text += show_config(daemon, paint, now);
  if (daemon.inconclusive)
    text +=
        paint(Colour::red, fmt::format("!! hanatd cannot probe the servers: {}; no failover until it can", escaped(*daemon.inconclusive))) +
        "\n";
  return text;
}

struct Widths {
  std::size_t name = 0, target = 0, address = 0, why = 0;
};

std::string overview_line(const ServiceStatus& service, const Widths& widths, const Colorizer& paint, WallTime now) {
  const auto age = seconds_since(service.since, now);
  const auto target = fmt::format("{:<{}}", escaped(service.target), widths.target);
  const bool good = service.target == "primary" && !service.forced && service.why == "primary-up";
  return fmt::format("{:<{}}  -> {}  {:<{}}  {:<{}}  {}\n", escaped(service.name), widths.name,
                     paint(good                       ? Colour::green
                           : service.target == "none" ? Colour::red
                                                      : Colour::yellow,
                           target),
                     service.target_address ? escaped(*service.target_address) : "-", widths.address, escaped(service.why), widths.why,
                     age ? "for " + duration(*age) : "");
}

std::string show_overview(const std::vector<ServiceStatus>& services, const Colorizer& paint, WallTime now) {
  Widths widths;
  for (const auto& service : services) {
    widths.name = std::max(widths.name, escaped(service.name).size());
    widths.target = std::max(widths.target, escaped(service.target).size());
    widths.address = std::max(widths.address, service.target_address ? escaped(*service.target_address).size() : 1);
    widths.why = std::max(widths.why, escaped(service.why).size());
  }
  std::string text;
  for (const auto& service : services) {
    text += overview_line(service, widths, paint, now);
    for (const auto& notice : notices(service, now))
      text += fmt::format(
          "  {}\n", paint(notice.trouble ? Colour::red : Colour::yellow, fmt::format("{} {}", notice.trouble ? "!!" : " !", notice.text)));
  }
  return text;
}

std::string show_last(const std::optional<LastResult>& last) {
  if (!last) return "not probed yet";
  std::string text = last->outcome == "pass" || last->outcome == last->reason ? "" : escaped(last->outcome) + ": ";
  text += escaped(last->reason);
  if (!last->detail.empty()) text += fmt::format(" ({})", escaped(last->detail));
  if (!last->wanted.empty()) text += fmt::format(", wanted: {}", escaped(last->wanted));
  return fmt::format("{}, {:.2f} ms, {} ago", text, last->latency_ms, duration(last->age_s));
}

std::string show_last_flip(const FlipStatus& flip, WallTime now) {
  const auto age = seconds_since(flip.at, now);
  return fmt::format("last flip {}{}: {}", local_time(flip.at, now), age ? fmt::format(" ({} ago)", duration(*age)) : "", show_flip(flip));
}

/// Of several probes those that do not pass.
std::string show_probes(const ServerStatus& server) {
  std::string text;
  for (const ProbeStatus& probe : server.probes)
    if (probe.health != "up") text += fmt::format("       {}  {}: {}\n", escaped(probe.health), escaped(probe.name), show_last(probe.last));
  return text;
}

Colour colour_of(std::string_view health) { return health == "up" ? Colour::green : health == "down" ? Colour::red : Colour::yellow; }

std::string show_servers(const ServiceStatus& service, const Colorizer& paint, WallTime now) {
  std::size_t role = 0, address = 0, fails = 0;
  const auto fails_text = [](const FailsStatus& window) {
    return fmt::format("fails {} of {} in {:g} s", window.count, window.of, window.within_s);
  };
  for (const auto& server : service.servers) {
    role = std::max(role, escaped(server.role).size());
    address = std::max(address, address_of(server).size());
    fails = std::max(fails, server.recovering ? std::size_t{0} : fails_text(server.fails).size());
  }
  std::string text = fmt::format("\n{}  {}{}{}\n", paint(Colour::bold, escaped(service.name)), joined(service.listen),
                                 service.mode == "auto" ? "" : fmt::format("  (mode {})", escaped(service.mode)),
                                 service.group ? fmt::format("  (group {})", escaped(*service.group)) : "");
  for (const auto& server : service.servers)
    text += fmt::format("  {} {:<{}}  {:<{}}  {}  {:<{}}  {}\n", server.role == service.target ? "->" : "  ", escaped(server.role), role,
                        address_of(server), address, paint(colour_of(server.health), fmt::format("{:<7}", escaped(server.health))),
                        server.recovering ? "recovering: " + show_recovery(*server.recovering) : fails_text(server.fails), fails,
                        show_last(server.last)) +
            show_probes(server);
  if (service.last_flip)
    text += fmt::format("  {}; {} since hanatd started\n", show_last_flip(*service.last_flip, now), service.flips);
  else
    text += "  no flip yet\n";
  return text;
}

} // namespace

std::vector<Notice> notices(const ServiceStatus& service, WallTime now) {
  std::vector<Notice> found;
  if (service.mode == "observe") found.push_back(notice_observe(service));
  if (service.forced) found.push_back(notice_forced(service, *service.forced, now));
  if (auto notice = notice_target(service)) found.push_back(std::move(*notice));
  if (auto notice = notice_others(service)) found.push_back(std::move(*notice));
  for (const auto& draining : service.draining) found.push_back(notice_draining(draining));
  for (const auto& foreign : service.foreign) found.push_back(notice_foreign(foreign));
  if (auto notice = notice_failback(service)) found.push_back(std::move(*notice));
  if (service.failback_in_s) found.push_back({false, fmt::format("failback in {}", duration(*service.failback_in_s))});
  std::stable_partition(found.begin(), found.end(), [](const Notice& notice) { return notice.trouble; });
  return found;
}

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

std::string show_history(const std::vector<HistoryEntry>& history, const View& view) {
  if (history.empty()) return "nothing has happened yet\n";
  const Colorizer paint{view.colour};
  std::size_t name = 0;
  for (const auto& entry : history) name = std::max(name, escaped(entry.service).size());
  std::string text;
  for (const auto& entry : history) {
    const bool lost = entry.flip && entry.flip->to == "none";
    const auto what = entry.flip ? show_flip(*entry.flip) : escaped(entry.text);
    text += fmt::format("{}  {:<{}}  {}\n", local_time(entry.at, view.now), escaped(entry.service), name,
                        paint(lost         ? Colour::red
                              : entry.flip ? Colour::yellow
                                           : Colour::none,
                              what));
  }
  return text;
}

std::string show_status(const Status& status, const View& view) {
  const Colorizer paint{view.colour};
  std::string text = show_daemon(status.daemon, paint, view.now) + "\n";
  if (status.services.empty()) return text + "no services: write one into the configuration, then hanatctl reload\n";
  text += show_overview(status.services, paint, view.now);
  std::size_t left_out = 0;
  for (const auto& service : status.services) {
    if (status.services.size() <= all_in_detail || !notices(service, view.now).empty())
      text += show_servers(service, paint, view.now);
    else
      ++left_out;
  }
  if (left_out > 0)
    text += fmt::format("\n{} more services without notices: hanatctl status SERVICE shows one with its servers\n", left_out);
  return text;
}

} // namespace hanat::cli
