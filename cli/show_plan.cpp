// A block a service, a line a key.
#include "cli/show_plan.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "cli/show_history.hpp"
#include "cli/text.hpp"
#include "daemon/util/escape.hpp"

namespace hanat::cli {
namespace {

std::string value_text(const std::string& text) { return text.empty() ? "(none)" : escaped(text); }

void add_row(std::string& text, const View& view, std::string_view name, const std::string& value, Colour colour = Colour::none) {
  const Colorizer paint{view.colour};
  const std::string row = fmt::format("    {:<16} {}", name, value);
  for (const std::string& line : wrapped(row, view.width, 21)) text += paint(colour, line) + "\n";
}

void add_keys(std::string& text, const View& view, const std::vector<KeyChange>& keys) {
  for (const KeyChange& key : keys)
    add_row(text, view, escaped(key.key), fmt::format("{} -> {}", value_text(key.before), value_text(key.after)));
}

std::string take_over_text(const TakeOverPlan& plan) {
  const std::string begin = "hanatd takes it over: ", why = escaped(plan.why);
  if (plan.target == "none" && plan.why == "starting") return begin + "new connections wait until its servers have answered";
  if (plan.target == "none") return fmt::format("{}no server is up, and new connections are turned away ({})", begin, why);
  return fmt::format("{}new connections go to {} ({})", begin, place_of(plan.target, plan.address), why);
}

void add_service(std::string& text, const View& view, const ServicePlan& plan) {
  const Colorizer paint{view.colour};
  text += paint(Colour::bold, fmt::format("{}  {}", escaped(plan.change), escaped(plan.service))) + "\n";
  add_keys(text, view, plan.keys);
  if (const auto& [kept, started, ended] = plan.probes; plan.change != "moved" && kept + started + ended > 0)
    add_row(text, view, "probes", fmt::format("{} kept, {} new, {} ended", kept, started, ended));
  for (const std::string& role : plan.held)
    add_row(text, view, escaped(role), "keeps its verdict: its old probes decide until each new one has passed");
  if (!plan.serves_on.empty())
    add_row(text, view, "traffic", fmt::format("{} serves on until a server of the new configuration is up", escaped(plan.serves_on)),
            Colour::yellow);
  if (plan.move)
    add_row(text, view, "traffic",
            fmt::format("{} -> {} ({})", place_of(plan.move->from, plan.move->from_address), place_of(plan.move->to, plan.move->to_address),
                        escaped(plan.move->why)),
            Colour::yellow);
  if (plan.take_over) add_row(text, view, "traffic", take_over_text(*plan.take_over), Colour::yellow);
  if (ends_observe(plan))
    add_row(text, view, "with --confirm",
            "taken back, its traffic would stay at the server that it then has, without failover: the rules of before get nothing more "
            "until the service is removed",
            Colour::yellow);
  const auto is_mode = [](const KeyChange& change) { return change.key == "mode"; };
  if (plan.observed && std::ranges::any_of(plan.keys, is_mode))
    add_row(text, view, "traffic",
            "stays where it is now, and fails over no more; for another program to have it: stop hanatd (on_stop = \"remove\"), or remove "
            "the service",
            Colour::yellow);
  else if (plan.observed)
    add_row(text, view, "traffic", "is not touched: the service is only observed");
  for (const FlowsPlan& flows : plan.flows)
    add_row(text, view, "old connections",
            fmt::format("of {} at {}: {}", escaped(flows.flows), escaped(flows.server), escaped(flows.action)),
            flows.action == "reset" ? Colour::yellow : Colour::none);
}

std::string counted(const ReloadPlan& plan) {
  std::string text;
  for (const char* change : {"added", "changed", "removed", "moved"}) {
    const auto number = std::ranges::count(plan.changes, change, &ServicePlan::change);
    if (number > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, change);
  }
  return text.empty() ? "no service would change" : text;
}

} // namespace

std::string show_plan(const ReloadPlan& plan, const std::string& file, const View& view) {
  std::string text;
  const std::string head =
      fmt::format("{}: {} service{}; by a reload: {}", escaped(file), plan.services, plan.services == 1 ? "" : "s", counted(plan));
  for (const std::string& line : wrapped(head, view.width, 2)) text += line + "\n";
  for (const ServicePlan& change : plan.changes) add_service(text, view, change);
  if (!plan.settings.empty()) text += Colorizer{view.colour}(Colour::bold, "[hanatd]") + "\n";
  add_keys(text, view, plan.settings);
  const Colorizer paint{view.colour};
  for (const std::string& warning : plan.warnings)
    for (const std::string& line : wrapped("!  " + escaped(warning), view.width, 3)) text += paint(Colour::yellow, line) + "\n";
  return text;
}

} // namespace hanat::cli
