// One function a kind of notice. A notice has no line of its own length: the screen wraps it.
#include "cli/notices.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "cli/listening.hpp"
#include "cli/text.hpp"
#include "daemon/api/redundancy.hpp"
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

/// "no server is up", "no enabled server is up for all of group voice: primary is disabled": a disabled one may well be up.
std::string no_server_up(const ServiceStatus& service) {
  std::string disabled;
  for (const ServerStatus& server : service.servers)
    if (server.disabled && health_of(server) == "up") disabled += (disabled.empty() ? "" : ", ") + escaped(server.role);
  const std::string which = service.group ? fmt::format(" for all of group {}", escaped(*service.group)) : "";
  if (disabled.empty()) return fmt::format("no server is up{}", which);
  return fmt::format("no enabled server is up{} ({} is up, but disabled)", which, disabled);
}

/// " until 14:30:05 (in 30 min)"
std::string until_text(const std::optional<std::string>& until, WallTime now) {
  if (!until) return {};
  std::string text = fmt::format(" until {}", local_time(*until, now));
  if (const auto end = parse_wall_time(*until); end && *end > now)
    text += fmt::format(" (in {})", duration(std::chrono::duration<double>(*end - now).count()));
  return text;
}

/// " 10.0.0.12:8443"; empty: it is not known.
std::string address_of(const ServiceStatus& service, std::string_view role) {
  const ServerStatus* const server = find_server(service, role);
  return server == nullptr || server->address.empty() ? "" : " " + escaped(server->address);
}

Notice notice_observe(const ServiceStatus& service) {
  std::string text = std::string{observe_words} + observed_now(service);
  const std::string target = escaped(service.would_target.value_or(""));
  const std::string why = escaped(service.would_why.value_or(""));
  if (why == "starting")
    text += ". hanat has not decided yet";
  else if (why == "no-server-up")
    text += fmt::format(". hanat would turn clients away: {}", no_server_up(service));
  else if (!target.empty() && target == service.target)
    text += fmt::format(". hanat would choose the same ({})", why);
  else if (!target.empty())
    text += fmt::format(". hanat would send new connections to {}{} ({})", target, address_of(service, target), why);
  return {false, std::move(text)};
}

Notice notice_forced(const ServiceStatus& service, const ForcedStatus& forced, WallTime now) {
  const auto* const server = find_server(service, forced.target);
  const bool down = server != nullptr && server->health == "down";
  std::string text = fmt::format("{}forced to {}{} by {}{}", forced.drill ? "a drill: " : "", escaped(forced.target),
                                 down ? ", WHICH IS DOWN," : "", escaped(forced.by), until_text(forced.until, now));
  if (forced.until_down) text += forced.until ? ", or until it goes down" : " until it goes down";
  if (!forced.reason.empty()) text += fmt::format(": \"{}\"", escaped(forced.reason));
  text += service.mode == "observe" ? "; it has no effect until mode is auto again"
          : down                    ? "; clients are not served"
          : forced.until_down       ? "; another server takes over then"
                                    : "; no failover until it ends";
  return {down, text + ". To end it:", {fmt::format("hanatctl auto {}", escaped(service.name))}};
}

/// A program says how the server is.
Notice notice_report(const ServerStatus& server, const ReportStatus& report, WallTime now) {
  const bool dead = report.health == "full" && server.health == "down";
  std::string text = dead            ? fmt::format("{} is drained by {}{}, and its probes say that it is down", escaped(server.role),
                                                   escaped(report.by), until_text(report.until, now))
                     : server.drains ? fmt::format("{} is drained by {}{}: new connections go elsewhere", escaped(server.role),
                                                   escaped(report.by), until_text(report.until, now))
                                     : fmt::format("{} is reported {} by {}{}: that counts instead of its probes", escaped(server.role),
                                                   escaped(report.health), escaped(report.by), until_text(report.until, now));
  if (!report.reason.empty()) text += fmt::format(": \"{}\"", escaped(report.reason));
  return {false, std::move(text)};
}

/// Its agent wants no new connections there: planned work.
Notice notice_drained(const ServerStatus& server) {
  const std::string said = server.last && server.last->outcome == "full" ? server.last->detail : "";
  return {false, fmt::format("{} is drained: its agent says {}; new connections go elsewhere", escaped(server.role),
                             said.empty() ? "so" : "\"" + escaped(said) + "\"")};
}

/// A server that an operator took out of service: by whom, until when, and how it comes back.
Notice notice_disabled(const ServiceStatus& service, const ServerStatus& server, const DisabledStatus& disabled, WallTime now) {
  std::string text = fmt::format("{} is disabled by {}{}", escaped(server.role), escaped(disabled.by), until_text(disabled.until, now));
  if (!disabled.reason.empty()) text += fmt::format(": \"{}\"", escaped(disabled.reason));
  return {service.target == "none",
          text + "; it is never chosen. To enable it:",
          {fmt::format("hanatctl enable {} {}", escaped(service.name), escaped(server.role))}};
}

/// No server answers, and nothing moves yet.
Notice notice_outage(const ServiceStatus& service, const OutageStatus& outage) {
  const std::string target = escaped(service.target);
  if (outage.state == "settling") return {true, fmt::format("servers answer again; {} gets a moment to be up, too", target)};
  return {true,
          fmt::format("no server answers for {:.1f} s: that may be this gateway's own failure; connections stay at {} {}{}", outage.for_s,
                      target, outage.ends_in_s ? "for another " + duration(*outage.ends_in_s) : "until the witness answers",
                      outage.new_refused ? "; new ones are refused" : "")};
}

/// The old probes decide until the new ones pass.
Notice notice_new_probes(const ServerStatus& server, const NewProbesStatus& fresh, WallTime now) {
  const auto fails = [](const ProbeStatus& probe) { return !probe.last || probe.last->outcome != "pass"; };
  const auto worst = std::find_if(fresh.probes.begin(), fresh.probes.end(), fails);
  const ProbeStatus& probe = worst == fresh.probes.end() ? fresh.probes.front() : *worst;
  std::string text = fmt::format("{}: its new probe ({}) has not passed since the reload at {}: ", escaped(server.role),
                                 escaped(probe.name), local_time(fresh.since, now));
  if (!probe.last)
    text += "no result yet";
  else
    text += escaped(probe.last->reason) + (probe.last->detail.empty() ? "" : fmt::format(" ({})", escaped(probe.last->detail))) +
            (probe.last->wanted.empty() ? "" : ", wanted: " + escaped(probe.last->wanted));
  text += "; its old probes decide until then";
  if (!fresh.failing) return {false, std::move(text)};
  return {true, text + ". If the configuration is wrong, correct it, then:", {"hanatctl reload"}};
}

/// Servers that keep losing the traffic, or work with something wrong.
void add_server_notices(const ServiceStatus& service, WallTime now, std::vector<Notice>& notices) {
  for (const ServerStatus& server : service.servers) {
    if (const auto& flapping = server.flapping)
      notices.push_back(
          {false, fmt::format("{} is flapping: it {} the traffic soon after it got it, {} time{}; it must be up for {} to get "
                              "it again; forgiven in {}",
                              escaped(server.role), service.mode == "observe" ? "would have lost" : "lost", flapping->times,
                              flapping->times == 1 ? "" : "s", duration(flapping->wait_s), duration(flapping->forgiven_in_s))});
    if (server.new_probes && !server.new_probes->probes.empty()) notices.push_back(notice_new_probes(server, *server.new_probes, now));
    if (const auto& name = server.name; name && name->error && name->state == "resolved")
      notices.push_back(
          {false, fmt::format("{}: its name {} cannot be resolved{}: {}; the last good address stays in use", escaped(server.role),
                              escaped(name->name), name->failing_since ? " since " + local_time(*name->failing_since, now) : "",
                              escaped(*name->error))});
    if (const auto& warning = server.warning)
      notices.push_back({false, fmt::format("{} passes with a warning: {}{}", escaped(server.role), escaped(warning->reason),
                                            warning->detail.empty() ? "" : fmt::format(" ({})", escaped(warning->detail)))});
  }
  if (service.offload == false)
    notices.push_back(
        {false, "offload = true has no effect: the kernel has no flowtable for it, and connections are forwarded by the rules"});
  if (service.witness && service.witness->answers == false && !service.outage) // the notice of the outage says what it means
    notices.push_back(
        {false, fmt::format("the witness {} does not answer: it cannot tell an outage of the servers from one of this gateway",
                            escaped(service.witness->address))});
}

/// The target is no server of the configuration any more, and nothing of the configuration has taken over yet.
Notice notice_former(const ServiceStatus& service, const ServerStatus& former, WallTime now) {
  const auto waits = [&](const ServerStatus& server) {
    return server.role != former.role && !server.disabled && health_of(server) == "unknown";
  };
  const bool judged = std::none_of(service.servers.begin(), service.servers.end(), waits);
  const std::string text =
      fmt::format("{} is no server of the configuration any more since the reload at {}, and keeps the traffic until one that is may have "
                  "it",
                  escaped(former.address), local_time(former.former_since.value_or(""), now));
  if (!judged) return {false, text};
  return {true, text + "; none is up. Correct the configuration, or mend the servers, then:", {"hanatctl reload"}};
}

std::optional<Notice> notice_target(const ServiceStatus& service, WallTime now) {
  if (service.outage) return notice_outage(service, *service.outage);
  if (const auto* const former = find_server(service, service.target);
      former != nullptr && former->former_since && former->health != "down")
    return notice_former(service, *former, now);
  const auto* const target = find_server(service, service.target);
  if (service.why == "full-kept")
    return Notice{true, fmt::format("{} is {}, and no other server may take over: it keeps the traffic", escaped(service.target),
                                    target == nullptr ? "full" : health_word(*target))};
  if (service.why == "no-server-up-kept")
    return Notice{true, fmt::format("{}: {} keeps the traffic (on_none = \"keep\")", no_server_up(service), escaped(service.target))};
  if (service.why == "no-server-up")
    return Notice{true, fmt::format("{}: {}", no_server_up(service),
                                    service.standby ? "this gateway is the standby, and would serve nobody if it took over"
                                                    : "clients are turned away until one is")};
  if (service.mode == "observe" && service.target == "none") return std::nullopt; // its own notice says it
  if (service.target == "none")
    return Notice{false, "nothing is decided yet: new connections are dropped until the first server is known to be up or down"};
  if (target != nullptr && (health_of(*target) == "full" || (target->health == "down" && !service.forced)))
    return Notice{true, fmt::format("{} has the traffic and is {}", escaped(service.target),
                                    target->drains ? health_word(*target) : escaped(health_of(*target)))};
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
Notice notice_draining(const DrainingStatus& draining, WallTime now) {
  const std::string server = fmt::format("{} ({})", escaped(draining.server), escaped(draining.address));
  const std::string left = draining.left ? fmt::format("{} old flow{}", *draining.left, *draining.left == 1 ? "" : "s")
                                         : std::string{"old flows, not counted yet,"};
  const std::string ended = draining.drained > 0 ? fmt::format("; {} have ended by themselves", draining.drained) : "";
  if (!draining.ends_in_s) return {false, fmt::format("{} on {}: kept until they end{}", left, server, ended)};
  return {false, fmt::format("draining: {} on {}; the rest is cut in {} (at {}){}", left, server, duration(*draining.ends_in_s),
                             local_time(now + std::chrono::milliseconds{std::llround(*draining.ends_in_s * 1000)}, now), ended)};
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
  std::string on_purpose; // "disabled"; it has a notice of its own
  for (const auto& server : service.servers) {
    if (server.role == service.target) continue;
    if (server.disabled || server.drains) {
      const std::string word = server.disabled ? "disabled" : "drained";
      on_purpose = on_purpose.empty() || on_purpose == word ? word : "disabled or drained";
      continue;
    }
    if (health_of(server) == "up") {
      other_up = true;
      continue;
    }
    takes_over_soon = takes_over_soon || takes_over(service, server);
    any_down = any_down || health_of(server) == "down";
    any_full = any_full || health_of(server) == "full";
    bad += (bad.empty() ? "" : ", ") + state_of(server);
  }
  if (bad.empty() && !on_purpose.empty() && !other_up && service.target != "none")
    return Notice{false,
                  fmt::format("no redundancy while it is {}: nothing to fail over to if {} fails", on_purpose, escaped(service.target))};
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
  if (waits_for != "after" && waits_for != "window" && waits_for != "penalty") return Notice{false, fmt::format("failback in {}", when)};
  return Notice{false, fmt::format("failback to {} in {} ({} of failback). To move the traffic back at once:", to, when, waits_for),
                commands};
}

} // namespace

/// "10.0.0.12:5432 (db1.lan)"
std::string with_name(const std::string& address, const NameStatus& name) {
  const std::string text = escaped(name.name), host = text.substr(0, text.find(':'));
  return address == text ? text : fmt::format("{} ({})", address, host);
}

/// "passes 3.1 of 5 s", "1 of 2 passes"
std::string show_recovery(const RecoveringStatus& recovering) {
  if (recovering.passes < recovering.of) return fmt::format("{} of {} passes", recovering.passes, recovering.of);
  return fmt::format("passes {:.1f} of {:g} s", std::min(recovering.for_s, recovering.stable_for_s), recovering.stable_for_s);
}

std::string observed_now(const ServiceStatus& service) {
  constexpr std::string_view until = "until mode = \"auto\"";
  if (find_server(service, service.target) != nullptr && (service.target_address || service.in_table))
    return fmt::format("traffic stays frozen at {}{}; no failover {}", escaped(service.target),
                       service.target_address ? " " + escaped(*service.target_address) : address_of(service, service.target), until);
  if (service.target_address)
    return fmt::format("traffic stays frozen at {}, which is no server of this configuration; no failover {}",
                       escaped(*service.target_address), until);
  if (service.in_table) return fmt::format("clients stay turned away; no failover {}", until);
  return fmt::format("hanat sends no traffic anywhere, other rules of this machine decide; no failover by hanat {}", until);
}

std::string health_word(const ServerStatus& server) { return server.drains ? "drained" : escaped(server.health); }

bool drains_nothing(const ServiceStatus& service) {
  return std::ranges::all_of(service.draining, [](const DrainingStatus& draining) { return draining.left == 0U; });
}

bool is_moved_on_purpose(const ServiceStatus& service) {
  const auto target = std::ranges::find(service.servers, service.target, &ServerStatus::role);
  return target != service.servers.end() &&
         std::all_of(service.servers.begin(), target, [](const ServerStatus& server) { return server.disabled || server.drains; });
}

std::vector<Notice> notices(const ServiceStatus& service, WallTime now) {
  std::vector<Notice> found;
  if (service.mode == "observe") found.push_back(notice_observe(service));
  if (service.forced) found.push_back(notice_forced(service, *service.forced, now));
  for (const ServerStatus& server : service.servers) {
    if (server.disabled) found.push_back(notice_disabled(service, server, *server.disabled, now));
    if (server.report)
      found.push_back(notice_report(server, *server.report, now));
    else if (server.drains)
      found.push_back(notice_drained(server));
  }
  add_listen_notices(service, found);
  add_path_notices(service, found);
  if (auto notice = notice_target(service, now)) found.push_back(std::move(*notice));
  if (auto notice = notice_others(service)) found.push_back(std::move(*notice));
  add_server_notices(service, now, found);
  for (const auto& draining : service.draining)
    if (draining.left != 0U) found.push_back(notice_draining(draining, now));
  for (const auto& foreign : service.foreign) found.push_back(notice_foreign(foreign));
  if (auto notice = notice_failback(service)) found.push_back(std::move(*notice));
  std::stable_partition(found.begin(), found.end(), [](const Notice& notice) { return notice.trouble; });
  return found;
}

bool is_served(const ServiceStatus& service) {
  if (service.mode == "observe" && !service.in_table) return true; // by other rules, for all that hanat knows
  if (service.why == "followed") return true;                      // the active gateway of the pair serves them, by its own probes
  if (listens_nowhere(service)) return false;
  if (service.target == "none") return service.why == "starting";
  const auto* const server = find_server(service, service.target);
  return server == nullptr || server->health != "down";
}

} // namespace hanat::cli
