// nft -j.
#include "tests/netns/model/table_view.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace hanat::test::model {
namespace {

using nlohmann::json;

std::string element_text(const json& value) {
  if (value.is_object() && value.contains("elem")) return element_text(value.at("elem").at("val"));
  if (value.is_object() && value.contains("concat")) {
    std::string text;
    for (const json& part : value.at("concat")) text += (text.empty() ? "" : " ") + element_text(part);
    return text;
  }
  if (value.is_string()) return value.get<std::string>();
  return value.dump();
}

void add_set(const json& set, TableView& view) {
  auto& elements = view.sets[set.at("name").get<std::string>()];
  if (!set.contains("elem")) return;
  for (const json& element : set.at("elem")) {
    if (element.is_array() && element.size() == 2)
      elements[element_text(element.at(0))] = element_text(element.at(1));
    else
      elements[element_text(element)] = {};
  }
}

} // namespace

Output run_at(Lab& lab, Host host, const std::vector<std::string>& argv) {
  constexpr std::chrono::seconds deadline{20};
  Output output;
  lab.place(host).on_keeper([&] { output = collect(argv, deadline); });
  return output;
}

const std::map<std::string, std::string>& TableView::set(const std::string& name) const {
  static const std::map<std::string, std::string> none;
  const auto found = sets.find(name);
  return found == sets.end() ? none : found->second;
}

TableView read_table(Lab& lab) {
  TableView view;
  const Output output = run_at(lab, Host::gateway, {"nft", "-j", "list", "table", "inet", "hanat"});
  if (output.exit != 0) return view;
  view.there = true;
  const json listing = json::parse(output.out);
  for (const json& entry : listing.at("nftables")) {
    if (entry.contains("set")) add_set(entry.at("set"), view);
    if (entry.contains("map")) add_set(entry.at("map"), view);
    if (entry.contains("chain")) view.rules.try_emplace(entry.at("chain").at("name").get<std::string>(), 0);
    if (entry.contains("rule")) ++view.rules[entry.at("rule").at("chain").get<std::string>()];
  }
  return view;
}

} // namespace hanat::test::model
