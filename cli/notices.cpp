// One function a kind of notice. A notice has no line of its own length: the screen wraps it.
#include "cli/notices.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

const ServerStatus* find_server(const ServiceStatus& service, std::string_view role) {
  const auto found =
      std::find_if(service.servers.begin(), service.servers.end(), [&](const ServerStatus& server) { return server.role == role; });
  return found == service.servers.end() ? nullptr : &*found;
}

/// A server that is down, or full, for one service of the group is so for all of them.
bool worse_in_group(const ServerStatus& server) {
  return (server.group_health == "down" || server.group_health == "full") && server.health != server.group_health;
}

std::string_view health_of(const ServerStatus& server) {
  if (server.group_health && worse_in_group(server)) return *server.group_health;
  return server.health;
}

/// It has passed often enough to get the traffic at once when the target fails.
bool takes_over(const ServiceStatus& service, const ServerStatus& server) {
  return server.recovering && server.recovering->passes >= server.recovering->of && (!service.group || service.failback.to == server.role);
}

/// "backup2 is down (refused)", "backup is full (53300 sorry, too many clients already)"
std::string state_of(const ServerStatus& server) {
  if (worse_in_group(server))
    return fmt::format("{} is {} here, but {} in the group", escaped(server.role), escaped(server.health),
                       escaped(server.group_health.value_or("")));
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
  text += service.mode == "observe" ? "; it has no effect until mode is auto again"
          : down                    ? "; clients are not served"
                                    : "; no failover until it ends";
  return {down, text + ". To end it:", {fmt::format("hanatctl auto {}", escaped(service.name))}};
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

/// Clients wait for an answer although their server works, and why.
void add_path_notices(const ServiceStatus& service, std::vector<Notice>& notices) {
  constexpr std::uint64_t counted = 1'024; // hanatd counts no more
  const PathStatus& path = service.path;
  if (path.state != "unanswered") return;
  const std::uint64_t number = path.unanswered_clients;
  const std::string who = number == 0 ? "clients get no answer"
                                      : fmt::format("{}{} client{} got no answer in the last minute", number < counted ? "" : "at least ",
                                                    number, number == 1 ? "" : "s");
  const std::string text = fmt::format("{}, though {} passes its probes", who, escaped(service.target));
  if (path.findings.empty())
    notices.push_back({true, text + ". To find the cause:", {fmt::format("hanatctl doctor {}", escaped(service.name))}});
  else
    notices.push_back({true, text});
  for (const FindingStatus& found : path.findings) {
    Notice notice{true, fmt::format("{} [{}]", escaped(found.what), escaped(found.code))};
    if (!found.remedy.empty()) notice.remedies.push_back(escaped(found.remedy));
    notices.push_back(std::move(notice));
  }
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
          fmt::format("{} flow{} of {} {} at {}, where hanat sends no clients: another rule does. To find it:", foreign.flows,
                      foreign.flows == 1 ? "" : "s", escaped(foreign.listen), foreign.flows == 1 ? "is" : "are", escaped(foreign.server)),
          {"nft list ruleset"}};
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

/// What the way back to a preferred server waits for, and the commands that end the wait.
std::optional<Notice> notice_failback(const ServiceStatus& service) {
  const std::string waits_for = service.failback.waits_for.value_or("");
  const std::string name = escaped(service.name), to = escaped(service.failback.to.value_or(""));
  const std::string force = to == "primary" ? "force-primary " + name : fmt::format("force-backup {} --server {}", name, to);
  const std::vector<std::string> commands{"hanatctl " + force, "hanatctl auto " + name};
  if (waits_for == "operator") {
    const auto* const server = find_server(service, service.failback.to.value_or(""));
    if (server == nullptr || server->recovering) return std::nullopt;
    return Notice{false, fmt::format("{} is up; failback is manual. To move the traffic back:", to), commands};
  }
  if (!service.failback_in_s) return std::nullopt;
  const std::string when = duration(*service.failback_in_s);
  if (waits_for != "after" && waits_for != "window") return Notice{false, fmt::format("failback in {}", when)};
  return Notice{false, fmt::format("failback to {} in {} ({} of failback). To move the traffic back at once:", to, when, waits_for),
                commands};
}

} // namespace

/// "passes 3.1 of 5 s", "1 of 2 passes"
std::string show_recovery(const RecoveringStatus& recovering) {
  if (recovering.passes < recovering.of) return fmt::format("{} of {} passes", recovering.passes, recovering.of);
  return fmt::format("passes {:.1f} of {:g} s", std::min(recovering.for_s, recovering.stable_for_s), recovering.stable_for_s);
}

std::vector<Notice> notices(const ServiceStatus& service, WallTime now) {
  std::vector<Notice> found;
  if (service.mode == "observe") found.push_back(notice_observe(service));
  if (service.forced) found.push_back(notice_forced(service, *service.forced, now));
  add_path_notices(service, found);
  if (auto notice = notice_target(service)) found.push_back(std::move(*notice));
  if (auto notice = notice_others(service)) found.push_back(std::move(*notice));
  for (const auto& draining : service.draining) found.push_back(notice_draining(draining));
  for (const auto& foreign : service.foreign) found.push_back(notice_foreign(foreign));
  if (auto notice = notice_failback(service)) found.push_back(std::move(*notice));
  std::stable_partition(found.begin(), found.end(), [](const Notice& notice) { return notice.trouble; });
  return found;
}

bool is_served(const ServiceStatus& service) {
  if (service.mode == "observe") return true;
  if (service.target == "none") return service.why == "starting";
  const auto* const server = find_server(service, service.target);
  return server == nullptr || server->health != "down";
}

} // namespace hanat::cli
