// What hanatctl prints after a command that moves traffic: where it goes, until when, and what becomes of the connections of the old
// target. Not here: the other replies, refusals (replies).
#include "cli/replies.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

/// "backup (10.0.0.12:8443)", or "no server".
std::string place(const json& service) {
  const auto target = escaped(service.at("target").get<std::string>());
  const auto& address = service.at("target_address");
  if (target == "none") return "no server";
  return address.is_null() ? target : fmt::format("{} ({})", target, escaped(address.get<std::string>()));
}

/// " (group voice)": why a service that was not named changed too.
std::string group_of(const json& service) {
  const auto group = service.find("group");
  return group == service.end() || !group->is_string() ? "" : fmt::format(" (group {})", escaped(group->get<std::string>()));
}

std::string name_of(const json& service) { return escaped(service.at("name").get<std::string>()); }

/// The server that a reply about maintenance is about: "backup (10.0.0.12:8443)".
std::string server_of(const json& service) {
  return fmt::format("{} ({})", escaped(service.at("server").get<std::string>()), escaped(service.at("server_address").get<std::string>()));
}

/// "; this replaces the override to backup by ann until 14:30:05 ("new disk")": what a command for all of them would hide.
std::string replaced_by(const json& service, WallTime now) {
  const auto found = service.find("replaced");
  if (found == service.end() || found->is_null()) return {};
  const auto old = found->get<ForcedStatus>();
  return fmt::format("; this replaces the override to {} by {}{}{}", escaped(old.target), escaped(old.by),
                     old.until ? " until " + local_time(*old.until, now) : "",
                     old.reason.empty() ? "" : fmt::format(" (\"{}\")", escaped(old.reason)));
}

/// "14:31:05 (in 60 s)"
std::string moment_text(const std::string& time, WallTime now) {
  const auto until = parse_wall_time(time);
  const std::string in = until ? fmt::format(" (in {})", duration(std::max(0.0, std::chrono::duration<double>(*until - now).count()))) : "";
  return local_time(time, now) + in;
}

/// A line about the connections of the old target, or nothing.
std::string old_connections(const json& service, WallTime now) {
  const auto old = service.find("old_connections");
  if (old == service.end() || old->is_null()) return {};
  const std::string server = escaped(old->at("server").get<std::string>());
  const auto action = old->at("action").get<std::string>();
  const bool counted = old->contains("number");
  const std::uint64_t number = counted ? old->at("number").get<std::uint64_t>() : 0;
  if (counted && number == 0) return fmt::format("  {} had no connections\n", server);
  const std::string who = counted ? fmt::format("{} of {}", plural(number, "connection"), server) : "the connections of " + server;
  const bool one = counted && number == 1;
  if (action == "reset") return fmt::format("  {} {} reset\n", who, one ? "is" : "are");
  if (action == "keep")
    return fmt::format("  {} {} until {} by {}\n", who, one ? "stays" : "stay", one ? "it ends" : "they end",
                       one ? "itself" : "themselves");
  return fmt::format("  {} {}: what is left at {} is cut (hanatctl status {} shows {})\n", who, one ? "drains" : "drain",
                     old->at("until").is_null() ? "the end" : moment_text(old->at("until").get<std::string>(), now), name_of(service),
                     one ? "it" : "them");
}

/// When an override ends, and the line before the command that ends it.
struct End {
  std::string when, how;
};
End end_of_force(const json& service, std::optional<std::chrono::milliseconds> for_time, WallTime now) {
  const auto& until = service.at("until");
  const bool until_down = service.value("until_down", false);
  if (until.is_null() && !until_down) return {.when = ", and stays there: no failover", .how = "To end that:"};
  if (until.is_null()) return {.when = ", and stays there until that server goes down", .how = "To end that earlier:"};
  return {.when = fmt::format(" until {}{}{}", local_time(until.get<std::string>(), now),
                              for_time ? fmt::format(" ({})", duration(std::chrono::duration<double>(*for_time).count())) : "",
                              until_down ? ", or until that server goes down" : ""),
          .how = "To end that earlier:"};
}

bool is_pending(const json& service) { return service.value("pending", false); }
bool is_observed(const json& service) { return service.value("mode", "") == "observe"; }

constexpr const char* under_way = "the move is under way, and hanatctl status shows when it is done";
constexpr const char* moves_nothing = "mode is observe: hanatd moves no traffic because of this";

/// "traffic goes to backup (10.0.0.12:8443)"
std::string where_it_goes(const json& service) {
  if (is_pending(service)) return fmt::format("the traffic is still on {}: {}", place(service), under_way);
  return fmt::format("traffic goes to {}", place(service));
}

/// "web (group voice): traffic goes to backup (10.0.0.12:8443)"
std::string forced_text(const json& service, WallTime now) {
  const std::string where =
      (is_pending(service) ? fmt::format("is forced to {}; ", escaped(service.value("forced", ""))) : "") + where_it_goes(service);
  return fmt::format("{}{}: {}{}", name_of(service), group_of(service), where, replaced_by(service, now));
}

/// What `--all`, or the name of any service of a group, is for all of them.
std::string operand_for(const json& services) {
  const std::string group = group_of(services.front());
  const bool one_group = !group.empty() && std::ranges::all_of(services, [&](const json& service) { return group_of(service) == group; });
  return services.size() == 1 || one_group ? name_of(services.front()) : "--all";
}

bool is_not_up(const json& service) {
  const std::string health = service.value("health", "up");
  return health == "down" || health == "unknown";
}

/// What the way back to a server that was enabled waits for: ", and primary is down: it gets the traffic when it is up"
std::string way_back(const json& service) {
  const std::string server = escaped(service.at("server").get<std::string>());
  const auto& waits_for = service.at("waits_for");
  const bool by_itself = !waits_for.is_null() && waits_for != "operator";
  if (by_itself && !service.at("failback_in_s").is_null())
    return fmt::format(", and returns to {} in {}", server, duration(service.at("failback_in_s").get<double>()));
  if (!is_not_up(service)) return {};
  const std::string_view state = service.at("health") == "down" ? "is down" : "is not known to be up";
  return fmt::format(", {} {} {}{}", by_itself ? "and" : "but", server, state, by_itself ? ": it gets the traffic when it is up" : "");
}

/// Behind the words about a server that was reported on: "; traffic goes to backup (10.0.0.12:8443)", or nothing where that is not its
/// doing.
std::string effect_of_report(const json& service) {
  if (is_observed(service)) return fmt::format("; {}", moves_nothing);
  const auto old = service.find("old_connections");
  const bool moved = old != service.end() && !old->is_null();
  if (!moved && !is_pending(service) && service.at("target") != service.at("server")) return {};
  return "; " + where_it_goes(service);
}

} // namespace

std::string force_reply(const json& reply, std::optional<std::chrono::milliseconds> for_time, WallTime now) {
  const json& services = reply.at("services");
  if (services.empty()) return "no services: nothing was forced\n";
  const End end = end_of_force(services.front(), for_time, now);
  const std::string command = fmt::format("{}\n-> hanatctl auto {}\n", end.how, operand_for(services));
  if (services.size() == 1) {
    const std::string old = old_connections(services.front(), now);
    return forced_text(services.front(), now) + end.when + (old.empty() ? ". " : "\n" + old) + command;
  }
  std::string text;
  for (const auto& service : services) text += forced_text(service, now) + "\n" + old_connections(service, now);
  return text + fmt::format("the traffic of {} is forced{}. {}", plural(services.size(), "service"), end.when, command);
}

std::string drill_reply(const json& reply, WallTime now) {
  const json& services = reply.at("services");
  std::string text;
  for (const auto& service : services) text += fmt::format("a drill of {}\n", forced_text(service, now));
  const json until = services.empty() ? json() : services.front().at("until");
  return text + fmt::format("It ends{}, or when that server goes down, and the traffic returns by itself. Ctrl-C here ends it at once, and "
                            "so does anywhere:\n-> hanatctl auto {}\n",
                            until.is_string() ? " at " + moment_text(until.get<std::string>(), now) : "", operand_for(services));
}

std::string auto_reply(const json& reply, WallTime now) {
  std::string text;
  for (const auto& service : reply.at("services")) {
    const auto name = name_of(service);
    text += service.at("was_forced").get<bool>()
                ? fmt::format("{}{}: the override has ended; {}{}\n", name, group_of(service), where_it_goes(service),
                              is_pending(service) ? "" : ", and hanatd decides again")
                : fmt::format("{}: was not forced, nothing changed; traffic goes to {}\n", name, place(service));
    if (is_observed(service)) text += fmt::format("  {}\n", moves_nothing);
    text += old_connections(service, now);
  }
  return text.empty() ? "no services: nothing was forced\n" : text;
}

std::string report_reply(const json& reply, WallTime now) {
  std::string text;
  for (const json& service : reply.at("services")) {
    const auto& until = service.at("until");
    const std::string health = escaped(service.at("health").get<std::string>());
    text += fmt::format("{}: {} is {}: {}{}\n", name_of(service), server_of(service), health,
                        until.is_null()
                            ? std::string{"its probes decide"}
                            : fmt::format("that counts until {}, then its probes decide", moment_text(until.get<std::string>(), now)),
                        effect_of_report(service));
    text += old_connections(service, now);
  }
  return text;
}

std::string disable_reply(const json& reply, WallTime now) {
  const json& services = reply.at("services");
  if (services.empty()) return "no services: nothing was disabled\n";
  std::string text;
  for (const auto& service : services) {
    const auto& until = service.at("until");
    text += fmt::format("{}{}: {} is disabled{}, and is never chosen\n", name_of(service), group_of(service), server_of(service),
                        until.is_null() ? "" : " until " + moment_text(until.get<std::string>(), now));
    if (is_observed(service))
      text += fmt::format("  {}; when mode is auto again, new connections avoid it\n", moves_nothing);
    else if (is_pending(service))
      text += fmt::format("  the traffic is still on it: {}\n", under_way);
    else if (service.at("target") != "none")
      text += fmt::format("  traffic goes to {}\n", place(service));
    else
      text += service.value("why", "") == "no-server-up" ? "  no server is left: clients are turned away\n"
                                                         : "  no server has the traffic yet: nothing is decided\n";
    text += old_connections(service, now);
  }
  const json& first = services.front();
  return text + fmt::format("To enable it {}:\n-> hanatctl enable {} {}\n", first.at("until").is_null() ? "again" : "earlier",
                            name_of(first), escaped(first.at("server").get<std::string>()));
}

std::string enable_reply(const json& reply, WallTime now) {
  std::string text, commands;
  for (const auto& service : reply.at("services")) {
    const std::string name = name_of(service), server = escaped(service.at("server").get<std::string>());
    if (!service.at("was_disabled").get<bool>()) {
      text += fmt::format("{}: {} was not disabled, nothing changed; traffic goes to {}\n", name, server_of(service), place(service));
      continue;
    }
    text += fmt::format("{}{}: {} is enabled again; traffic goes to {}{}\n", name, group_of(service), server_of(service), place(service),
                        way_back(service));
    if (is_observed(service)) text += fmt::format("  {}\n", moves_nothing);
    if (service.at("waits_for") == "operator" && commands.empty()) // a group moves as one
      commands =
          fmt::format("failback is manual. To move the traffic back{}:\n-> hanatctl {}\n-> hanatctl auto {}\n",
                      is_not_up(service) ? " when it is up" : "",
                      server == "primary" ? "force-primary " + name : fmt::format("force-backup {} --server {}", name, server), name);
    text += old_connections(service, now);
  }
  return text + commands;
}

std::string waited_reply(const json& reply) {
  std::string text;
  for (const auto& service : reply.at("services")) {
    if (!service.contains("waited")) continue;
    const std::string server = escaped(service.at("waited_for").get<std::string>());
    const auto old = service.find("old_connections");
    if (service.at("waited") == "undone")
      text += fmt::format("{}: NOT DONE: {} has the traffic, because somebody decided otherwise meanwhile; do not shut it down\n",
                          name_of(service), server);
    else if (old != service.end() && !old->is_null() && old->contains("ended"))
      text += fmt::format("{}: the old connections of {} are gone: {} ended by themselves, {} were cut\n", name_of(service), server,
                          old->at("ended").get<std::uint64_t>(), old->at("cut").get<std::uint64_t>());
    else
      text += fmt::format("{}: the old connections of {} are gone\n", name_of(service), server);
  }
  return text;
}

std::string forwarded_reply(const json& reply) {
  const auto peer = reply.find("forwarded_to");
  if (peer == reply.end() || !peer->is_string()) return {};
  return fmt::format("this gateway is the standby: it was carried out by the active gateway ({})\n", escaped(peer->get<std::string>()));
}

} // namespace hanat::cli
