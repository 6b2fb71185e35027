// The overview first, because that is what fits on a screen at three in the morning; servers after it.
#include "cli/show.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "cli/text.hpp"

namespace hanat::cli {
namespace {

constexpr std::size_t all_in_detail = 20; // with more services, only those with a remark are shown server by server

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ", ") + printable(item);
  return text;
}

std::string address_of(const ServerStatus& server) {
  return server.addresses.empty() ? printable(server.address) : joined(server.addresses);
}

const ServerStatus* find_server(const ServiceStatus& service, std::string_view role) {
  const auto found =
      std::find_if(service.servers.begin(), service.servers.end(), [&](const ServerStatus& server) { return server.role == role; });
  return found == service.servers.end() ? nullptr : &*found;
}

/// Down for another service of the group is down for all.
bool down_in_group(const ServerStatus& server) { return server.group_health == "down" && server.health != "down"; }

/// "backup2 is down (refused)"
std::string state_of(const ServerStatus& server) {
  if (down_in_group(server)) return fmt::format("{} is {} here, and down in the group", printable(server.role), printable(server.health));
  const bool reason = server.health == "down" && server.last && server.last->outcome != "normal";
  return fmt::format("{} is {}{}", printable(server.role), printable(server.health),
                     reason ? fmt::format(" ({})", printable(server.last->reason)) : "");
}

Remark remark_observe(const ServiceStatus& service) {
  std::string text = "observe: hanatd decides and journals, and touches no traffic";
  const std::string target = printable(service.would_target.value_or(""));
  const std::string why = printable(service.would_why.value_or(""));
  if (why == "starting")
    text += "; it has not decided yet";
  else if (why == "none-fit")
    text += "; it would turn clients away: no server is fit";
  else if (target == service.target)
    text += fmt::format("; it would leave new connections on {} ({})", target, why);
  else if (!target.empty())
    text += fmt::format("; it would send new connections to {} ({})", target, why);
  return {false, std::move(text)};
}

Remark remark_forced(const ServiceStatus& service, const ForcedStatus& forced, WallTime now) {
  const auto* const server = find_server(service, forced.target);
  const bool down = server != nullptr && server->health == "down";
  std::string text = fmt::format("forced to {}{} by {}", printable(forced.target), down ? ", WHICH IS DOWN," : "", printable(forced.by));
  if (forced.until) {
    text += fmt::format(" until {}", local_time(*forced.until, now));
    if (const auto until = parse_wall_time(*forced.until); until && *until > now)
      text += fmt::format(" (in {})", duration(std::chrono::duration<double>(*until - now).count()));
  }
  if (!forced.reason.empty()) text += fmt::format(": \"{}\"", printable(forced.reason));
  if (service.mode == "observe")
    text += fmt::format("; it rules again when mode is auto, and ends with: hanatctl auto {}", printable(service.name));
  else
    text += fmt::format("; {}: hanatctl auto {}", down ? "clients are not served; to end it" : "no failover until it ends",
                        printable(service.name));
  return {down, std::move(text)};
}

std::optional<Remark> remark_target(const ServiceStatus& service) {
  if (service.why == "none-fit-kept")
    return Remark{true, fmt::format("no server is fit: {} keeps the traffic (on_none = \"keep\")", printable(service.target))};
  if (service.why == "none-fit")
    return Remark{true, service.group ? fmt::format("no server is fit for all of group {}: clients are turned away until one is",
                                                    printable(*service.group))
                                      : "no server is fit: clients are turned away until one answers again"};
  if (service.mode == "observe" && service.target == "none")
    return Remark{false, service.target_address ? fmt::format("the kernel sends its traffic to {}, no server of this configuration",
                                                              printable(*service.target_address))
                                                : "the kernel has no target for it, and gets none from hanatd"};
  if (service.target == "none") return Remark{false, "nothing is decided yet: new flows are dropped until the first server has answered"};
  const auto* const server = find_server(service, service.target);
  if (server != nullptr && server->health == "down" && !service.forced)
    return Remark{true, fmt::format("{} has the traffic and is down", printable(service.target))};
  return std::nullopt;
}

/// Old clients are still where they were: what becomes of them, and when.
Remark remark_draining(const DrainingStatus& draining) {
  const std::string server = fmt::format("{} ({})", printable(draining.server), printable(draining.address));
  const std::string left = draining.left ? fmt::format("{} old flow{}", *draining.left, *draining.left == 1 ? "" : "s")
                                         : std::string{"old flows, not counted yet,"};
  const std::string ended = draining.drained > 0 ? fmt::format("; {} have ended by themselves", draining.drained) : "";
  if (!draining.ends_in_s) return {false, fmt::format("{} on {}: kept until they end{}", left, server, ended)};
  return {false, fmt::format("draining: {} on {}, what is left in {} is cut{}", left, server, duration(*draining.ends_in_s), ended)};
}

/// The servers that do not have the traffic: is there one to fail over to?
std::optional<Remark> remark_others(const ServiceStatus& service) {
  std::string bad;
  bool fit = false, any_down = false;
  for (const auto& server : service.servers) {
    if (server.role == service.target) continue;
    if (server.health == "up" && !down_in_group(server)) {
      fit = true;
      continue;
    }
    any_down = any_down || server.health == "down" || down_in_group(server);
    bad += (bad.empty() ? "" : ", ") + state_of(server);
  }
  if (bad.empty()) return std::nullopt;
  if (fit || service.target == "none" || service.why == "none-fit-kept") return Remark{false, bad};
  return Remark{any_down, fmt::format("{}: {}; nothing to fail over to", any_down ? "redundancy lost" : "no redundancy yet", bad)};
}

std::string show_daemon(const DaemonStatus& daemon, const Paint& paint) {
  const bool in_step = daemon.kernel == "in-step";
  std::string text =
      fmt::format("hanatd{} (pid {}), up {}, kernel {}, {}\n", daemon.version.empty() ? "" : " " + printable(daemon.version), daemon.pid,
                  duration(daemon.uptime_s), in_step ? "in step" : printable(daemon.kernel), printable(daemon.config));
  if (!in_step) {
    const auto error = daemon.kernel_error ? ": " + printable(*daemon.kernel_error) : std::string{};
    text += paint(Colour::red, fmt::format("!! the kernel is not in step with what hanatd decided ({}){}; it is tried again",
                                           printable(daemon.kernel), error)) +
            "\n";
  }
  if (daemon.fallback) text += paint(Colour::red, fmt::format("!! {}", printable(*daemon.fallback))) + "\n";
  if (daemon.blind)
    text +=
        paint(Colour::red, fmt::format("!! hanatd cannot ask the servers: {}; no failover until it can", printable(*daemon.blind))) + "\n";
  return text;
}

struct Widths {
  std::size_t name = 0, target = 0, address = 0, why = 0;
};

std::string overview_line(const ServiceStatus& service, const Widths& widths, const Paint& paint, WallTime now) {
  const auto age = seconds_since(service.since, now);
  const auto target = fmt::format("{:<{}}", printable(service.target), widths.target);
  const bool good = service.target == "primary" && !service.forced && service.why == "primary-up";
  return fmt::format("{:<{}}  -> {}  {:<{}}  {:<{}}  {}\n", printable(service.name), widths.name,
                     paint(good                       ? Colour::green
                           : service.target == "none" ? Colour::red
                                                      : Colour::yellow,
                           target),
                     service.target_address ? printable(*service.target_address) : "-", widths.address, printable(service.why), widths.why,
                     age ? "for " + duration(*age) : "");
}

std::string show_overview(const std::vector<ServiceStatus>& services, const Paint& paint, WallTime now) {
  Widths widths;
  for (const auto& service : services) {
    widths.name = std::max(widths.name, printable(service.name).size());
    widths.target = std::max(widths.target, printable(service.target).size());
    widths.address = std::max(widths.address, service.target_address ? printable(*service.target_address).size() : 1);
    widths.why = std::max(widths.why, printable(service.why).size());
  }
  std::string text;
  for (const auto& service : services) {
    text += overview_line(service, widths, paint, now);
    for (const auto& remark : remarks(service, now))
      text += fmt::format(
          "  {}\n", paint(remark.trouble ? Colour::red : Colour::yellow, fmt::format("{} {}", remark.trouble ? "!!" : " !", remark.text)));
  }
  return text;
}

std::string show_last(const std::optional<LastAnswer>& last) {
  if (!last) return "not asked yet";
  std::string text = last->outcome == "normal" ? "" : printable(last->outcome) + ": ";
  text += printable(last->reason);
  if (!last->detail.empty()) text += fmt::format(" ({})", printable(last->detail));
  return fmt::format("{}, {:.2f} ms, {} ago", text, last->latency_ms, duration(last->age_s));
}

std::string show_last_flip(const FlipStatus& flip, WallTime now) {
  const auto age = seconds_since(flip.at, now);
  return fmt::format("last flip {}{}: {}", local_time(flip.at, now), age ? fmt::format(" ({} ago)", duration(*age)) : "", show_flip(flip));
}

Colour colour_of(std::string_view health) { return health == "up" ? Colour::green : health == "down" ? Colour::red : Colour::yellow; }

std::string show_servers(const ServiceStatus& service, const Paint& paint, WallTime now) {
  std::size_t role = 0, address = 0, fails = 0;
  const auto fails_text = [](const FailsStatus& window) {
    return fmt::format("fails {} of {} in {:g} s", window.count, window.of, window.within_s);
  };
  for (const auto& server : service.servers) {
    role = std::max(role, printable(server.role).size());
    address = std::max(address, address_of(server).size());
    fails = std::max(fails, fails_text(server.fails).size());
  }
  std::string text = fmt::format("\n{}  {}{}{}\n", paint(Colour::bold, printable(service.name)), joined(service.listen),
                                 service.mode == "auto" ? "" : fmt::format("  (mode {})", printable(service.mode)),
                                 service.group ? fmt::format("  (group {})", printable(*service.group)) : "");
  for (const auto& server : service.servers)
    text += fmt::format("  {} {:<{}}  {:<{}}  {}  {:<{}}  {}\n", server.role == service.target ? "->" : "  ", printable(server.role), role,
                        address_of(server), address, paint(colour_of(server.health), fmt::format("{:<7}", printable(server.health))),
                        fails_text(server.fails), fails, show_last(server.last));
  if (service.last_flip)
    text += fmt::format("  {}; {} in all\n", show_last_flip(*service.last_flip, now), service.flips);
  else
    text += "  no flip since hanatd started\n";
  return text;
}

} // namespace

std::vector<Remark> remarks(const ServiceStatus& service, WallTime now) {
  std::vector<Remark> found;
  if (service.mode == "observe") found.push_back(remark_observe(service));
  if (service.forced) found.push_back(remark_forced(service, *service.forced, now));
  if (auto remark = remark_target(service)) found.push_back(std::move(*remark));
  if (auto remark = remark_others(service)) found.push_back(std::move(*remark));
  for (const auto& draining : service.draining) found.push_back(remark_draining(draining));
  if (service.failback_in_s) found.push_back({false, fmt::format("failback in {}", duration(*service.failback_in_s))});
  std::stable_partition(found.begin(), found.end(), [](const Remark& remark) { return remark.trouble; });
  return found;
}

std::string show_flip(const FlipStatus& flip) {
  std::string text = fmt::format("{} -> {}, {}; committed in {} us; cut {} tcp, {} udp, {} sctp", printable(flip.from), printable(flip.to),
                                 printable(flip.why), flip.commit_us, flip.cut.tcp, flip.cut.udp, flip.cut.sctp);
  text += flip.cut_ms ? fmt::format(" in {:.1f} ms", *flip.cut_ms) : ", still cutting";
  if (flip.nudged > 0) text += fmt::format("; {} clients told", flip.nudged);
  if (flip.drained > 0) text += fmt::format("; {} ended by themselves", flip.drained);
  return text;
}

std::string show_history(const std::vector<HistoryEntry>& history, const View& view) {
  if (history.empty()) return "nothing has happened yet\n";
  const Paint paint{view.colour};
  std::size_t name = 0;
  for (const auto& entry : history) name = std::max(name, printable(entry.service).size());
  std::string text;
  for (const auto& entry : history) {
    const bool lost = entry.flip && entry.flip->to == "none";
    const auto what = entry.flip ? show_flip(*entry.flip) : printable(entry.text);
    text += fmt::format("{}  {:<{}}  {}\n", local_time(entry.at, view.now), printable(entry.service), name,
                        paint(lost         ? Colour::red
                              : entry.flip ? Colour::yellow
                                           : Colour::none,
                              what));
  }
  return text;
}

std::string show_status(const Status& status, const View& view) {
  const Paint paint{view.colour};
  std::string text = show_daemon(status.daemon, paint) + "\n";
  if (status.services.empty()) return text + "no services: write one into the configuration, then hanatctl reload\n";
  text += show_overview(status.services, paint, view.now);
  std::size_t left_out = 0;
  for (const auto& service : status.services) {
    if (status.services.size() <= all_in_detail || !remarks(service, view.now).empty())
      text += show_servers(service, paint, view.now);
    else
      ++left_out;
  }
  if (left_out > 0)
    text += fmt::format("\n{} more services, without a remark: hanatctl status SERVICE shows one with its servers\n", left_out);
  return text;
}

} // namespace hanat::cli
