// The reply of a reload, and refusals, as sentences; replies about moved traffic: move_replies.
#include "cli/replies.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text.hpp"
#include "daemon/api/reload_plan.hpp"
#include "daemon/api/status.hpp"
#include "daemon/util/did_you_mean.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

using nlohmann::json;

constexpr std::size_t names_shown = 20;

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

/// What a reload that is taken back does not undo; empty: nothing.
std::string no_way_back(const json& plan) {
  std::vector<std::string> names;
  for (const json& change : plan.value("changes", json::array()))
    if (const auto service = change.get<ServicePlan>(); ends_observe(service)) names.push_back(service.service);
  if (names.empty()) return {};
  return fmt::format("!  mode observe has ended for {}: taken back, that traffic would stay at the server that it then has, without "
                     "failover, and the rules of before get nothing more until the service is removed\n",
                     list_of(names));
}

} // namespace

std::string reload_reply(const json& reply, WallTime now) {
  const auto services = reply.at("services").get<std::int64_t>();
  std::string text = fmt::format("the configuration is loaded: {} service{}", services, services == 1 ? "" : "s");
  bool same = true;
  for (const char* what : {"added", "changed", "removed", "settings"}) {
    const auto names = reply.contains(what) ? strings_in(reply, what) : std::vector<std::string>{};
    if (names.empty()) continue;
    same = false;
    text += fmt::format("; {}: {}", std::string_view{what} == "settings" ? "changed in [hanatd]" : what, list_of(names));
  }
  text += same ? "; nothing changed\n" : "\n";
  if (const auto plan = reply.find("plan"); plan != reply.end())
    for (const std::string& warning : strings_in(*plan, "warnings")) text += fmt::format("!  {}\n", escaped(warning));
  if (const auto unconfirmed = reply.find("unconfirmed"); unconfirmed != reply.end() && unconfirmed->is_object()) {
    text += fmt::format("!  on trial until {}: the configuration before it comes back then, unless you run: hanatctl confirm\n",
                        local_time(unconfirmed->at("until").get<std::string>(), now));
    if (const auto plan = reply.find("plan"); plan != reply.end()) text += no_way_back(*plan);
  }
  return text;
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
