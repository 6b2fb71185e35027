// A plan to JSON and back.
#include "daemon/api/reload_plan.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace hanat {

using nlohmann::json;

void to_json(json& target, const KeyChange& change) { target = {{"key", change.key}, {"before", change.before}, {"after", change.after}}; }
void from_json(const json& source, KeyChange& change) {
  change = {.key = source.at("key"), .before = source.at("before"), .after = source.at("after")};
}

bool ends_observe(const ServicePlan& plan) {
  const auto ends = [](const KeyChange& key) { return key.key == "mode" && key.before == "observe" && key.after != "observe"; };
  return plan.change == "changed" && std::ranges::any_of(plan.keys, ends);
}

void to_json(json& target, const ServicePlan& plan) {
  json flows = json::array();
  for (const auto& [name, server, action] : plan.flows) flows.push_back({{"flows", name}, {"server", server}, {"action", action}});
  target = {{"service", plan.service},
            {"change", plan.change},
            {"keys", plan.keys},
            {"flows", std::move(flows)},
            {"probes", {{"kept", plan.probes.kept}, {"started", plan.probes.started}, {"ended", plan.probes.ended}}}};
  if (!plan.held.empty()) target["held"] = plan.held;
  if (!plan.serves_on.empty()) target["serves_on"] = plan.serves_on;
  if (const auto& taken = plan.take_over)
    target["take_over"] = {{"target", taken->target}, {"address", taken->address}, {"why", taken->why}};
  if (plan.observed) target["observed"] = true;
  if (plan.move)
    target["move"] = {{"from", plan.move->from},
                      {"to", plan.move->to},
                      {"why", plan.move->why},
                      {"from_address", plan.move->from_address},
                      {"to_address", plan.move->to_address}};
}
void from_json(const json& source, ServicePlan& plan) {
  plan = {.service = source.at("service"), .change = source.at("change")};
  plan.keys = source.at("keys").get<std::vector<KeyChange>>();
  for (const auto& flows : source.at("flows"))
    plan.flows.push_back({.flows = flows.at("flows"), .server = flows.at("server"), .action = flows.at("action")});
  const auto& probes = source.at("probes");
  plan.probes = {.kept = probes.at("kept"), .started = probes.at("started"), .ended = probes.at("ended")};
  plan.held = source.value("held", std::vector<std::string>{}); // absent: none
  plan.serves_on = source.value("serves_on", "");
  if (const auto taken = source.find("take_over"); taken != source.end() && !taken->is_null())
    plan.take_over = TakeOverPlan{.target = taken->at("target"), .address = taken->at("address"), .why = taken->at("why")};
  plan.observed = source.value("observed", false);
  if (const auto move = source.find("move"); move != source.end() && !move->is_null())
    plan.move = MovePlan{.from = move->at("from"),
                         .to = move->at("to"),
                         .why = move->at("why"),
                         .from_address = move->value("from_address", ""), // an entry of the history may be older
                         .to_address = move->value("to_address", "")};
}

void to_json(json& target, const ReloadPlan& plan) {
  target = {{"services", plan.services}, {"changes", plan.changes}, {"settings", plan.settings}, {"warnings", plan.warnings}};
}
void from_json(const json& source, ReloadPlan& plan) {
  plan = {.services = source.at("services"),
          .changes = source.at("changes").get<std::vector<ServicePlan>>(),
          .settings = source.at("settings").get<std::vector<KeyChange>>(),
          .warnings = source.at("warnings").get<std::vector<std::string>>()};
}

} // namespace hanat
