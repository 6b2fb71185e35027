// Replies and refusals as sentences.
#include "cli/replies.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/did_you_mean.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr std::size_t names_shown = 20;

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

/// "; this replaces the override to backup by ann until 14:30:05 ("new disk")": what a command for all of them would hide.
std::string replaced_by(const json& service, WallTime now) {
  const auto found = service.find("replaced");
  if (found == service.end() || found->is_null()) return {};
  const auto old = found->get<ForcedStatus>();
  return fmt::format("; this replaces the override to {} by {}{}{}", escaped(old.target), escaped(old.by),
                     old.until ? " until " + local_time(*old.until, now) : "",
                     old.reason.empty() ? "" : fmt::format(" (\"{}\")", escaped(old.reason)));
}

std::vector<std::string> strings_in(const json& object, const char* key) {
  std::vector<std::string> strings;
  if (const auto found = object.find(key); found != object.end() && found->is_array())
    for (const auto& item : *found)
      if (item.is_string()) strings.push_back(item.get<std::string>());
  return strings;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), names_shown); ++i) text += (i == 0 ? "" : ", ") + escaped(names[i]);
  if (names.size() > names_shown) text += fmt::format(" and {} more", names.size() - names_shown);
  return text;
}

std::string lines_of(std::string_view text) {
  std::string safe;
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find('\n', start), text.size());
    safe += (start == 0 ? "" : "\n") + escaped(text.substr(start, end - start));
    start = end + 1;
  }
  return safe;
}

/// The daemon's message lists the services; this adds the one that was probably meant.
std::string suggestion(const Refusal& refusal, std::string_view service) {
  const auto names = strings_in(refusal.parameters, "services");
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto near = nearest(service, known);
  return near.empty() ? "" : fmt::format(": did you mean \"{}\"?", escaped(near));
}

} // namespace

std::string force_reply(const json& reply, std::optional<std::chrono::milliseconds> for_time, WallTime now) {
  const json& services = reply.at("services");
  if (services.empty()) return "no services: nothing was forced\n";
  const auto end_of = [&](const json& service) {
    const auto& until = service.at("until");
    if (until.is_null()) return std::string{", and stays there: no failover. To end that:"};
    return fmt::format(" until {}{}. To end that earlier:", local_time(until.get<std::string>(), now),
                       for_time ? fmt::format(" ({})", duration(std::chrono::duration<double>(*for_time).count())) : "");
  };
  const bool one = services.size() == 1;
  std::string text;
  for (const auto& service : services) {
    const auto name = escaped(service.at("name").get<std::string>());
    const std::string end = one ? end_of(service) : "";
    text += fmt::format("{}{}: {}{}{}\n", name, group_of(service),
                        service.value("pending", false) ? fmt::format("is forced to {}; the traffic is still on {} and moves in a moment",
                                                                      escaped(service.value("forced", "")), place(service))
                                                        : fmt::format("traffic goes to {}", place(service)),
                        replaced_by(service, now), end);
  }
  const std::string first = escaped(services.front().at("name").get<std::string>());
  if (one) return text + fmt::format("-> hanatctl auto {}\n", first);
  const std::string group = group_of(services.front());
  const bool one_group = !group.empty() && std::ranges::all_of(services, [&](const json& service) { return group_of(service) == group; });
  return text + fmt::format("the traffic of {} is forced{}\n-> hanatctl auto {}\n", plural(services.size(), "service"),
                            end_of(services.front()), one_group ? first : "--all");
}

std::string auto_reply(const json& reply) {
  std::string text;
  for (const auto& service : reply.at("services")) {
    const auto name = escaped(service.at("name").get<std::string>());
    text += service.at("was_forced").get<bool>()
                ? fmt::format("{}{}: the override has ended; traffic goes to {}, and hanatd decides again\n", name, group_of(service),
                              place(service))
                : fmt::format("{}: was not forced, nothing changed; traffic goes to {}\n", name, place(service));
  }
  return text.empty() ? "no services: nothing was forced\n" : text;
}

std::string reload_reply(const json& reply) {
  const auto services = reply.at("services").get<std::int64_t>();
  std::string text = fmt::format("the configuration is loaded: {} service{}", services, services == 1 ? "" : "s");
  bool same = true;
  for (const char* what : {"added", "changed", "removed", "settings"}) {
    const auto names = reply.contains(what) ? strings_in(reply, what) : std::vector<std::string>{};
    if (names.empty()) continue;
    same = false;
    text += fmt::format("; {}: {}", std::string_view{what} == "settings" ? "changed in [hanatd]" : what, list_of(names));
  }
  return text + (same ? "; nothing changed\n" : "\n");
}

std::string refusal_text(const Refusal& refusal, std::string_view command, std::string_view service) {
  std::string text = lines_of(refusal.what());
  if (refusal.name == "UnknownService") return text + suggestion(refusal, service);
  return refusal.name == "NotPermitted" ? fmt::format("{} changes the daemon, and {}", command, text) : text;
}

std::string error_lines(const Refusal& refusal) {
  std::string lines;
  if (refusal.name != "BadConfiguration") return lines;
  for (const auto& error : strings_in(refusal.parameters, "errors")) lines += escaped(error) + "\n";
  return lines;
}

} // namespace hanat::cli
